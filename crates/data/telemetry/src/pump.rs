//! The pump: how far it is behind the log, and what it left out.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::metric::REQUEST_SECONDS;
use crate::{Metric, Unit};

const LAG_RECORDS: Metric =
    Metric::gauge("tenrec_pump_lag_records", "Durable log records the pump has not folded yet.");
const LAG_BYTES: Metric =
    Metric::gauge("tenrec_pump_lag_bytes", "Durable log bytes the pump has not folded yet.")
        .unit(Unit::Bytes);
const LAG_SECONDS: Metric =
    Metric::gauge("tenrec_pump_lag_seconds", "Age of the oldest record the pump has not folded yet.")
        .unit(Unit::Seconds);
const QUEUE_SIZE: Metric =
    Metric::gauge("posthog_events_processing_queue_size", "Durable log records the pump has not folded yet.");
const FOLDED: Metric =
    Metric::counter("tenrec_pump_folded_events_total", "Events folded into rows by the pump.");
const FOLD_SECONDS: Metric =
    Metric::histogram("tenrec_pump_fold_seconds", REQUEST_SECONDS, "Time the pump took for one read.")
        .unit(Unit::Seconds);
const DROPPED: Metric =
    Metric::counter("tenrec_pump_dropped_total", "Events the pump left out by policy.").labels(&["cause"]);
const DUPLICATES: Metric =
    Metric::counter("tenrec_pump_duplicates_total", "Events left out because they had been seen before.");
const DEAD_LETTERS: Metric =
    Metric::counter("tenrec_pump_dead_letters_total", "Records kept aside because they cannot be folded.");
const REPLAYED: Metric =
    Metric::counter("tenrec_pump_replayed_records_total", "Log records folded again after a restart.");
const STALLED: Metric =
    Metric::counter("tenrec_pump_stalls_total", "Times the pump waited for a failing part.")
        .labels(&["part"]);
const CHECKPOINT: Metric =
    Metric::gauge("tenrec_pump_checkpoint_offset", "The log offset the metastore has committed.");

pub(crate) const TABLE: &[Metric] = &[
    LAG_RECORDS,
    LAG_BYTES,
    LAG_SECONDS,
    QUEUE_SIZE,
    FOLDED,
    FOLD_SECONDS,
    DROPPED,
    DUPLICATES,
    DEAD_LETTERS,
    REPLAYED,
    STALLED,
    CHECKPOINT,
];

/// Sets how far the pump is behind the durable end of the log.
pub fn lag(records: u64, bytes: u64, age: Duration) {
    gauge!(LAG_RECORDS.name).set(records as f64);
    gauge!(QUEUE_SIZE.name).set(records as f64);
    gauge!(LAG_BYTES.name).set(bytes as f64);
    gauge!(LAG_SECONDS.name).set(age.as_secs_f64());
}

/// Counts the events of one read and the time they took.
pub fn folded(events: u64, took: Duration) {
    counter!(FOLDED.name).increment(events);
    histogram!(FOLD_SECONDS.name).record(took);
}

/// Counts events left out by policy.
pub fn dropped(cause: &'static str, count: u64) {
    counter!(DROPPED.name, "cause" => cause).increment(count);
}

/// Counts events that had been seen before.
pub fn duplicates(count: u64) {
    counter!(DUPLICATES.name).increment(count);
}

/// Counts records that cannot be folded and are kept aside.
pub fn dead_letters(count: u64) {
    counter!(DEAD_LETTERS.name).increment(count);
}

/// Counts records folded again after a restart.
pub fn replayed(records: u64) {
    counter!(REPLAYED.name).increment(records);
}

/// Counts a wait for a failing part: `table`, `metastore`, `log`.
pub fn stalled(part: &'static str) {
    counter!(STALLED.name, "part" => part).increment(1);
}

/// Sets the log offset the metastore has committed.
pub fn checkpoint(offset: u64) {
    gauge!(CHECKPOINT.name).set(offset as f64);
}
