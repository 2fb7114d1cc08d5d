//! Table care: what keeps tables small, quick and lawful while rows keep coming.
//!
//! Long work (reading, merging, writing files) runs beside the pump's commits. Only the last step of a change takes
//! their lock: see [`replace`]. Files that a change makes superfluous stay until the last snapshot with them has
//! expired, and a snapshot expires only after it has been out of date for a while: readers keep what they began with.

pub(crate) mod append;
mod block;
mod clock;
mod column;
mod compact;
mod erase;
mod expire;
pub(crate) mod live;
mod manifest;
mod merge;
mod orphan;
mod replace;
mod retain;
mod rewrite;
mod scan;
mod stats;
mod stitch;

pub use compact::{Compacted, Compaction};
pub use erase::{Erased, Erasure, Marks};
pub use expire::{Expired, Expiry};
pub use orphan::Orphans;
pub use retain::{Retained, Retention};
pub use stats::CareStats;

use crate::error::Context;
use crate::{Kind, Result, Warehouse};
use std::future::Future;
use std::sync::atomic::Ordering;

pub(crate) use clock::{fresh_name, now_ms};
pub(crate) use expire::{drop_snapshots, old_snapshots, unlink_unreachable};

/// How far a long piece of work has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Table name.
    pub table: &'static str,
    /// Pieces of work done.
    pub done: usize,
    /// Pieces in all, as known now.
    pub total: usize,
    /// Rows read so far.
    pub rows: u64,
}

/// Hears of [`Progress`].
pub type Listener<'a> = &'a mut (dyn FnMut(Progress) + Send);

impl Warehouse {
    /// Makes compactions and erasures that are under way break off within moments, leaving the tables as they are. For a
    /// process that ends: there is no way back.
    pub fn stop_care(&self) {
        self.stopped.store(true, Ordering::Release);
    }
}

/// Runs work that uses the processor for long, away from the threads that serve requests.
async fn aside<T: Send + 'static>(
    what: &'static str,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let runtime = tokio::runtime::Handle::current();
    let ended = tokio::task::spawn_blocking(move || runtime.block_on(work)).await;
    ended.context(Kind::Bug, || format!("{what} ended without an answer"))?
}

#[cfg(test)]
mod tests;
