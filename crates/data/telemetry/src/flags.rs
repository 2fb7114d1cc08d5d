//! Feature flags: evaluations and the local-evaluation feed.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::metric::REQUEST_SECONDS;
use crate::{Metric, Unit};

const EVALUATED: Metric =
    Metric::counter("tenrec_flags_evaluations_total", "Flags decided, by how the decision came out.")
        .labels(&["reason"]);
const SECONDS: Metric =
    Metric::histogram("tenrec_flags_seconds", REQUEST_SECONDS, "Time to decide all flags of one request.")
        .unit(Unit::Seconds);
const FEED: Metric =
    Metric::counter("tenrec_flags_feed_total", "Answers of the local-evaluation feed.").labels(&["result"]);

pub(crate) const TABLE: &[Metric] = &[EVALUATED, SECONDS, FEED];

/// Counts flags decided alike, by the reason's tag.
pub fn evaluated(reason: &'static str, count: u64) {
    counter!(EVALUATED.name, "reason" => reason).increment(count);
}

/// Records the time to decide all flags of one request.
pub fn decided(took: Duration) {
    histogram!(SECONDS.name).record(took);
}

/// Counts an answer of the local-evaluation feed: `full`, `not_modified`, `refused`.
pub fn feed(result: &'static str) {
    counter!(FEED.name, "result" => result).increment(1);
}
