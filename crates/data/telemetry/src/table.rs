//! The tables: the fresh tail, commits, files, maintenance.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::metric::REQUEST_SECONDS;
use crate::{Metric, Unit};

const LABEL: &[&str] = &["table"];

const TAIL_ROWS: Metric =
    Metric::gauge("tenrec_table_tail_rows", "Rows that can be queried and are not committed yet.")
        .labels(LABEL);
const TAIL_BYTES: Metric =
    Metric::gauge("tenrec_table_tail_bytes", "Memory of the rows that are not committed yet.")
        .unit(Unit::Bytes);
const COMMITS: Metric =
    Metric::counter("tenrec_table_commits_total", "Table snapshots committed.").labels(&["table", "result"]);
const COMMIT_SECONDS: Metric = Metric::histogram(
    "tenrec_table_commit_seconds",
    REQUEST_SECONDS,
    "Time from cutting the tail to the committed snapshot.",
)
.labels(LABEL)
.unit(Unit::Seconds);
const COMMITTED_ROWS: Metric =
    Metric::counter("tenrec_table_committed_rows_total", "Rows in committed snapshots.").labels(LABEL);
const COMMITTED_BYTES: Metric =
    Metric::counter("tenrec_table_committed_bytes_total", "Bytes of data files in committed snapshots.")
        .labels(LABEL)
        .unit(Unit::Bytes);
const COMMITTED_FILES: Metric =
    Metric::counter("tenrec_table_committed_files_total", "Data files in committed snapshots.").labels(LABEL);
const SKIPPED: Metric = Metric::counter(
    "tenrec_table_replay_skipped_rows_total",
    "Replayed rows left out because a snapshot already holds them.",
)
.labels(LABEL);
const SNAPSHOTS: Metric =
    Metric::gauge("tenrec_table_live_snapshots", "Snapshots that can still be read.").labels(LABEL);
const LIVE_FILES: Metric =
    Metric::gauge("tenrec_table_live_files", "Data files of the current snapshot.").labels(LABEL);
const MAINTENANCE_SECONDS: Metric = Metric::histogram(
    "tenrec_table_maintenance_seconds",
    REQUEST_SECONDS,
    "Time of one maintenance run, by what it did.",
)
.labels(&["table", "work"])
.unit(Unit::Seconds);
const FREED: Metric =
    Metric::counter("tenrec_table_freed_bytes_total", "Bytes deleted from storage by maintenance.")
        .labels(&["table", "work"])
        .unit(Unit::Bytes);

const DAMAGED: Metric = Metric::counter(
    "tenrec_table_damaged_files_total",
    "Files of tables found to be other than they were written, each time one was looked at.",
);

pub(crate) const TABLE: &[Metric] = &[
    TAIL_ROWS,
    TAIL_BYTES,
    COMMITS,
    COMMIT_SECONDS,
    COMMITTED_ROWS,
    COMMITTED_BYTES,
    COMMITTED_FILES,
    SKIPPED,
    SNAPSHOTS,
    LIVE_FILES,
    MAINTENANCE_SECONDS,
    FREED,
    DAMAGED,
];

/// What one commit added to one table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Committed {
    /// Rows in the new data files.
    pub rows: u64,
    /// Their bytes on storage.
    pub bytes: u64,
    /// How many files there are.
    pub files: u64,
}

/// Sets the rows of one table that are not committed yet.
pub fn tail_rows(table: &'static str, rows: u64) {
    gauge!(TAIL_ROWS.name, "table" => table).set(rows as f64);
}

/// Sets the memory all tails take together.
pub fn tail_bytes(bytes: u64) {
    gauge!(TAIL_BYTES.name).set(bytes as f64);
}

/// Counts a committed snapshot.
pub fn committed(table: &'static str, added: Committed, took: Duration) {
    counter!(COMMITS.name, "table" => table, "result" => "ok").increment(1);
    histogram!(COMMIT_SECONDS.name, "table" => table).record(took);
    counter!(COMMITTED_ROWS.name, "table" => table).increment(added.rows);
    counter!(COMMITTED_BYTES.name, "table" => table).increment(added.bytes);
    counter!(COMMITTED_FILES.name, "table" => table).increment(added.files);
}

/// Counts a commit that did not happen: the tag of the error.
pub fn commit_failed(table: &'static str, error: &'static str) {
    counter!(COMMITS.name, "table" => table, "result" => error).increment(1);
}

/// Counts replayed rows that a snapshot already holds.
pub fn replay_skipped(table: &'static str, rows: u64) {
    counter!(SKIPPED.name, "table" => table).increment(rows);
}

/// Sets how many snapshots and data files one table keeps.
pub fn live(table: &'static str, snapshots: u64, files: u64) {
    gauge!(SNAPSHOTS.name, "table" => table).set(snapshots as f64);
    gauge!(LIVE_FILES.name, "table" => table).set(files as f64);
}

/// Counts a file whose content is not what was written.
pub fn damaged() {
    counter!(DAMAGED.name).increment(1);
}

/// Counts a maintenance run: `compact`, `expire`, `retain`, `erase`, `orphans`, `verify`.
pub fn maintained(table: &'static str, work: &'static str, freed_bytes: u64, took: Duration) {
    histogram!(MAINTENANCE_SECONDS.name, "table" => table, "work" => work).record(took);
    counter!(FREED.name, "table" => table, "work" => work).increment(freed_bytes);
}
