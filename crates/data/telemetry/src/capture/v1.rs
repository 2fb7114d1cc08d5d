//! The v1 capture endpoint, whose answers are per event.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::http::status_label;
use crate::metric::REQUEST_SECONDS;
use crate::{Metric, Unit};

pub(super) const ERROR: Metric =
    Metric::counter("capture_v1_analytics_error", "v1 requests refused as a whole.").labels(&[
        "error",
        "level",
        "path",
        "status_code",
    ]);
pub(super) const RESPONSE_TIME: Metric =
    Metric::histogram("capture_v1_response_time_seconds", REQUEST_SECONDS, "Time to answer a v1 request.")
        .labels(&["status", "path"])
        .unit(Unit::Seconds);
pub(super) const PARSED: Metric =
    Metric::counter("capture_v1_parsed_events", "v1 events parsed, with what was wrong with them.")
        .labels(&["result", "error"]);
pub(super) const DROPPED: Metric =
    Metric::counter("capture_v1_events_dropped", "v1 events answered `drop`.").labels(&["reason", "stage"]);
pub(super) const QUOTA: Metric =
    Metric::counter("capture_v1_events_quota_limited", "v1 events left out because a quota is used up.");
pub(super) const RATE_LIMITER: Metric =
    Metric::counter("capture_v1_rate_limiter", "v1 events the rate limiter stopped.");
pub(super) const OUTCOMES: Metric =
    Metric::counter("capture_v1_batch_outcomes", "v1 batches by how their events fared together.")
        .labels(&["outcome", "path"]);
pub(super) const HISTORICAL: Metric =
    Metric::counter("capture_v1_events_rerouted_historical", "v1 events marked as a historical import.");
pub(super) const BODY_TIMEOUT: Metric =
    Metric::counter("capture_v1_body_read_timeout_total", "v1 bodies that stopped arriving.")
        .labels(&["path"]);

/// Counts a v1 request refused as a whole; `level` is `error` when we failed, else `warning`.
pub fn v1_error(error: &'static str, level: &'static str, path: &'static str, status: u16) {
    let labels = [("error", error), ("level", level), ("path", path), ("status_code", status_label(status))];
    counter!(ERROR.name, &labels).increment(1);
}

/// Counts a v1 batch: `all_ok`, `all_drop`, `all_retry` or `partial_failure`, and its time.
pub fn v1_batch(outcome: &'static str, path: &'static str, status: u16, took: Duration) {
    counter!(OUTCOMES.name, "outcome" => outcome, "path" => path).increment(1);
    histogram!(RESPONSE_TIME.name, "status" => status_label(status), "path" => path).record(took);
}

/// Counts v1 events parsed alike: `result` is `ok` or `error`, `error` its tag or empty.
pub fn v1_parsed(result: &'static str, error: &'static str, count: u64) {
    counter!(PARSED.name, "result" => result, "error" => error).increment(count);
}

/// Counts v1 events answered `drop`.
pub fn v1_dropped(reason: &'static str, stage: &'static str, count: u64) {
    counter!(DROPPED.name, "reason" => reason, "stage" => stage).increment(count);
}

/// Counts v1 events left out: by a quota, or else by the rate limiter.
pub fn v1_limited(quota: bool, count: u64) {
    let metric = if quota { QUOTA } else { RATE_LIMITER };
    counter!(metric.name).increment(count);
}

/// Counts v1 events marked as a historical import.
pub fn v1_rerouted(count: u64) {
    counter!(HISTORICAL.name).increment(count);
}

/// Counts a v1 body that stopped arriving.
pub fn v1_body_timeout(path: &'static str) {
    counter!(BODY_TIMEOUT.name, "path" => path).increment(1);
}
