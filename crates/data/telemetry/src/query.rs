//! Queries: how long, how many failed, how many were refused.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::metric::REQUEST_SECONDS;
use crate::{Metric, Unit};

const SECONDS: Metric =
    Metric::histogram("tenrec_query_seconds", REQUEST_SECONDS, "Time of one query, by the kind of query.")
        .labels(&["kind"])
        .unit(Unit::Seconds);
const ALIAS: Metric = Metric::histogram(
    "posthog_clickhouse_query_duration_seconds",
    REQUEST_SECONDS,
    "Time of one query, all kinds together.",
)
.unit(Unit::Seconds);
const ERRORS: Metric =
    Metric::counter("tenrec_query_errors_total", "Queries that failed.").labels(&["kind", "error"]);
const REFUSED: Metric =
    Metric::counter("tenrec_query_refused_total", "Queries not run: a guard, a limit, an overload.")
        .labels(&["reason"]);

pub(crate) const TABLE: &[Metric] = &[SECONDS, ALIAS, ERRORS, REFUSED];

/// Records the time of an answered query: `sql`, `hogql`, `trends`, `funnel`, ...
pub fn answered(kind: &'static str, took: Duration) {
    histogram!(SECONDS.name, "kind" => kind).record(took);
    histogram!(ALIAS.name).record(took);
}

/// Counts a query that failed, by the tag of its error.
pub fn failed(kind: &'static str, error: &'static str) {
    counter!(ERRORS.name, "kind" => kind, "error" => error).increment(1);
}

/// Counts a query that was not run.
pub fn refused(reason: &'static str) {
    counter!(REFUSED.name, "reason" => reason).increment(1);
}
