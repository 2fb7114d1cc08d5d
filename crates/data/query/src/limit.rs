//! How much one question, and all of them together, may use.

use std::{path::PathBuf, time::Duration};

/// Bounds on queries. The memory pool and the number of threads are shared by all queries of one
/// [`Engine`](crate::Engine).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest run of one query.
    pub time: Duration,
    /// Bytes that all queries together may hold for sorting, grouping and joining.
    pub memory_bytes: usize,
    /// Rows returned when the statement has no LIMIT.
    pub default_rows: usize,
    /// Rows returned at most.
    pub rows: usize,
    /// Bytes of one answer at most, measured on the columns before they become text.
    pub answer_bytes: usize,
    /// Bytes of SQL text at most.
    pub text_bytes: usize,
    /// Queries that run at once.
    pub concurrent: usize,
    /// Queries that wait for their turn; beyond these the engine answers busy at once.
    pub waiting: usize,
    /// Longest wait for a turn.
    pub patience: Duration,
    /// Threads that run queries, and partitions of one query.
    pub threads: usize,
    /// Where sorting and grouping may spill; `None` keeps everything in memory.
    pub spill_dir: Option<PathBuf>,
    /// Bytes of spilled data at most, all queries together.
    pub spill_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(60),
            memory_bytes: 256 << 20,
            default_rows: 100,
            rows: 50_000,
            answer_bytes: 64 << 20,
            text_bytes: 64 << 10,
            concurrent: 2,
            waiting: 16,
            patience: Duration::from_secs(10),
            threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            spill_dir: None,
            spill_bytes: 4 << 30,
        }
    }
}
