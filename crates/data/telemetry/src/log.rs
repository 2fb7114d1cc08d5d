//! The event log: bytes, segments, group commits, damage.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::metric::{BATCH_COUNT, FLUSH_SECONDS, SIZE_BYTES};
use crate::{Metric, Unit};

const APPENDED: Metric =
    Metric::counter("tenrec_log_appended_records_total", "Records made durable in the log.");
const WRITTEN: Metric =
    Metric::counter("tenrec_log_written_bytes_total", "Bytes written to log segments.").unit(Unit::Bytes);
const DISK: Metric =
    Metric::gauge("tenrec_log_disk_bytes", "Bytes the log segments take on disk, preallocation included.")
        .unit(Unit::Bytes);
const SEGMENTS: Metric = Metric::gauge("tenrec_log_segments", "Log segments on disk.");
const DURABLE: Metric =
    Metric::gauge("tenrec_log_durable_offset", "The offset the next durable record will get.");
const BATCH_RECORDS: Metric = Metric::histogram(
    "tenrec_log_append_batch_records",
    BATCH_COUNT,
    "Records that shared one write and one flush.",
);
const BATCH_BYTES: Metric = Metric::histogram(
    "tenrec_log_append_batch_bytes",
    SIZE_BYTES,
    "Bytes that shared one write and one flush.",
)
.unit(Unit::Bytes);
const FSYNC: Metric =
    Metric::histogram("tenrec_log_fsync_seconds", FLUSH_SECONDS, "Time of one flush to disk.")
        .unit(Unit::Seconds);
const REFUSED: Metric =
    Metric::counter("tenrec_log_appends_refused_total", "Appends the log did not take.").labels(&["reason"]);
const TORN: Metric =
    Metric::counter("tenrec_log_torn_tails_total", "Unfinished last writes cut off when the log was opened.");
const POISONED: Metric =
    Metric::gauge("tenrec_log_poisoned", "1 after a failed write or flush, until the process is restarted.");
const CORRUPT: Metric = Metric::counter("tenrec_log_corruptions_total", "Damage found in durable log data.");

pub(crate) const TABLE: &[Metric] = &[
    APPENDED,
    WRITTEN,
    DISK,
    SEGMENTS,
    DURABLE,
    BATCH_RECORDS,
    BATCH_BYTES,
    FSYNC,
    REFUSED,
    TORN,
    POISONED,
    CORRUPT,
];

/// Counts one group commit: its records, the bytes written, the time of its flush.
pub fn committed(records: u64, bytes: u64, fsync: Duration) {
    counter!(APPENDED.name).increment(records);
    counter!(WRITTEN.name).increment(bytes);
    histogram!(BATCH_RECORDS.name).record(records as f64);
    histogram!(BATCH_BYTES.name).record(bytes as f64);
    histogram!(FSYNC.name).record(fsync);
}

/// Sets the log's size on disk.
pub fn size(segments: u64, bytes: u64) {
    gauge!(SEGMENTS.name).set(segments as f64);
    gauge!(DISK.name).set(bytes as f64);
}

/// Sets the offset the next durable record will get.
pub fn durable(offset: u64) {
    gauge!(DURABLE.name).set(offset as f64);
}

/// Counts appends refused: `queue_full`, `no_space`, `too_large`, `closed`, `unreachable`.
pub fn refused(reason: &'static str, count: u64) {
    counter!(REFUSED.name, "reason" => reason).increment(count);
}

/// Counts a torn tail cut off at open.
pub fn torn_tail() {
    counter!(TORN.name).increment(1);
}

/// Notes that the log takes no appends any more.
pub fn poisoned() {
    gauge!(POISONED.name).set(1.0);
}

/// Counts damage found in durable data.
pub fn corrupt() {
    counter!(CORRUPT.name).increment(1);
}
