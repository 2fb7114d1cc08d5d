//! Rows of one table that are not in a data file yet.
//!
//! Rows are numbered in arrival order. They sit in an open encoder until somebody looks or enough have
//! gathered; batches then merge with neighbours of their own size, so that many small appends stay few
//! batches and each row is copied a logarithmic number of times.

use crate::row::{Encode, Encoder, Origin};
use crate::schema::Bound;
use crate::{Kind, Result, error::Context};
use arrow::array::BooleanArray;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::record_batch::RecordBatch;
use event::Reach;
use foldhash::fast::RandomState;
use std::collections::HashMap;

/// A batch holds at most this many rows.
const BATCH_ROWS: usize = 8192;
/// A batch is closed when its rows take this much memory.
const BATCH_BYTES: usize = 8 << 20;
/// What one entry of the duplicate index costs, measured with the map's load factor.
const INDEX_BYTES: usize = 56;

/// The duplicate key of an event, hashed to 128 bits with per-process keys.
pub(crate) type EventKey = u128;

struct Sealed {
    batch: RecordBatch,
    ordinals: Vec<u64>,
    /// Ordinals masked since the batch was built.
    dead: Vec<u64>,
}

impl Sealed {
    fn bytes(&self) -> usize {
        self.batch.get_array_memory_size() + self.ordinals.len() * 8
    }

    fn live(&self) -> usize {
        self.ordinals.len() - self.dead.len()
    }

    fn retain(&mut self, keep: impl Fn(u64) -> bool) -> Result<()> {
        let mask: BooleanArray = self.ordinals.iter().map(|&ordinal| Some(keep(ordinal))).collect();
        self.batch =
            filter_record_batch(&self.batch, &mask).context(Kind::Bug, || "mask tail rows".to_owned())?;
        self.ordinals.retain(|&ordinal| keep(ordinal));
        Ok(())
    }

    fn bury(&mut self) -> Result<()> {
        if self.dead.is_empty() {
            return Ok(());
        }
        let mut dead = std::mem::take(&mut self.dead);
        dead.sort_unstable();
        self.retain(|ordinal| dead.binary_search(&ordinal).is_err())
    }
}

/// Rows taken out of a tail to be committed.
#[derive(Default)]
pub(crate) struct Frozen {
    sealed: Vec<Sealed>,
    index: HashMap<EventKey, u64, RandomState>,
    /// Commits that were tried for a prefix of the rows: (records covered, first ordinal not covered).
    attempts: Vec<(u64, u64)>,
    end: u64,
    /// How far the log must be covered to cover all rows.
    high: Reach,
}

impl Frozen {
    /// The rows, oldest first.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        self.sealed.iter().map(|sealed| sealed.batch.clone()).collect()
    }

    /// How many rows.
    pub(crate) fn rows(&self) -> usize {
        self.sealed.iter().map(Sealed::live).sum()
    }

    /// Memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.sealed.iter().map(Sealed::bytes).sum::<usize>() + self.index.len() * INDEX_BYTES
    }
}

/// See the module.
pub(crate) struct Tail {
    bound: Bound,
    encoder: Encoder,
    rows: Frozen,
    sealed_bytes: usize,
    next: u64,
}

impl Tail {
    /// An empty tail.
    pub(crate) fn new(bound: Bound) -> Self {
        let encoder = Encoder::new(bound.arrow.clone());
        Self { bound, encoder, rows: Frozen::default(), sealed_bytes: 0, next: 0 }
    }

    /// Adds one row; `key` makes it findable by [`Tail::mask`].
    pub(crate) fn push(&mut self, row: &impl Encode, origin: Origin, key: Option<EventKey>) -> Result<()> {
        row.encode(origin, &mut self.encoder);
        if let Some(key) = key {
            self.rows.index.insert(key, self.next);
        }
        self.next += 1;
        self.rows.high.advance(origin.spot.partition, origin.spot.offset + 1);
        if self.encoder.rows() >= BATCH_ROWS || self.encoder.bytes() >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Hides the row last pushed under `key`; false when there is none.
    pub(crate) fn mask(&mut self, key: EventKey) -> Result<bool> {
        let Some(ordinal) = self.rows.index.remove(&key) else { return Ok(false) };
        if ordinal >= self.next - self.encoder.rows() as u64 {
            self.flush()?;
        }
        let position =
            self.rows.sealed.partition_point(|s| s.ordinals.last().is_none_or(|&last| last < ordinal));
        if let Some(sealed) = self.rows.sealed.get_mut(position) {
            sealed.dead.push(ordinal);
        }
        Ok(true)
    }

    /// How far the log must be covered to cover all rows.
    pub(crate) fn high(&self) -> &Reach {
        &self.rows.high
    }

    /// Whether a commit of some of the rows was tried and its end is not known.
    pub(crate) fn tried(&self) -> bool {
        !self.rows.attempts.is_empty()
    }

    /// How many rows are visible.
    pub(crate) fn len(&self) -> usize {
        self.rows.rows() + self.encoder.rows()
    }

    /// Memory held, approximately.
    pub(crate) fn bytes(&self) -> usize {
        self.sealed_bytes + self.encoder.bytes() + self.rows.index.len() * INDEX_BYTES
    }

    /// All visible rows as batches, oldest first.
    pub(crate) fn batches(&mut self) -> Result<Vec<RecordBatch>> {
        self.settle()?;
        Ok(self.rows.batches())
    }

    /// Takes all rows out.
    pub(crate) fn freeze(&mut self) -> Result<Frozen> {
        self.settle()?;
        self.rows.end = self.next;
        self.sealed_bytes = 0;
        Ok(std::mem::take(&mut self.rows))
    }

    /// Puts rows back in front after a commit that covers `tried` records failed or may have failed.
    pub(crate) fn thaw(&mut self, mut frozen: Frozen, tried: u64) {
        frozen.attempts.push((tried, frozen.end));
        let newer = std::mem::take(&mut self.rows);
        frozen.sealed.extend(newer.sealed);
        frozen.index.extend(newer.index);
        frozen.attempts.extend(newer.attempts);
        frozen.high.merge(&newer.high);
        self.rows = frozen;
        self.sealed_bytes = self.rows.sealed.iter().map(Sealed::bytes).sum();
    }

    /// Forgets rows that an earlier attempt turns out to have committed: those tried at or below `committed`.
    pub(crate) fn drop_committed(&mut self, committed: u64) -> Result<()> {
        let covered = self.rows.attempts.iter().filter(|(offset, _)| *offset <= committed);
        let Some(end) = covered.map(|(_, end)| *end).max() else { return Ok(()) };
        self.settle()?;
        for sealed in &mut self.rows.sealed {
            if sealed.ordinals.first().is_some_and(|&first| first < end) {
                sealed.retain(|ordinal| ordinal >= end)?;
            }
        }
        self.rows.sealed.retain(|sealed| !sealed.ordinals.is_empty());
        self.rows.index.retain(|_, ordinal| *ordinal >= end);
        self.rows.attempts.retain(|(offset, _)| *offset > committed);
        if self.rows.sealed.is_empty() {
            self.rows.high = Reach::default();
        }
        self.sealed_bytes = self.rows.sealed.iter().map(Sealed::bytes).sum();
        Ok(())
    }

    /// Closes the open rows and removes masked ones.
    fn settle(&mut self) -> Result<()> {
        self.flush()?;
        for sealed in &mut self.rows.sealed {
            if !sealed.dead.is_empty() {
                self.sealed_bytes -= sealed.bytes();
                sealed.bury()?;
                self.sealed_bytes += sealed.bytes();
            }
        }
        self.rows.sealed.retain(|sealed| !sealed.ordinals.is_empty());
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = self.encoder.rows() as u64;
        if rows == 0 {
            return Ok(());
        }
        let batch = self.encoder.finish()?;
        let ordinals = (self.next - rows..self.next).collect();
        let sealed = Sealed { batch, ordinals, dead: Vec::new() };
        self.sealed_bytes += sealed.bytes();
        self.rows.sealed.push(sealed);
        while self.merge_last()? {}
        Ok(())
    }

    /// Merges the last two batches when the newer has reached half the size of the older.
    fn merge_last(&mut self) -> Result<bool> {
        let [.., older, newer] = self.rows.sealed.as_slice() else { return Ok(false) };
        let small = older.ordinals.len() + newer.ordinals.len() <= BATCH_ROWS
            && older.bytes() + newer.bytes() <= BATCH_BYTES;
        if !small || newer.ordinals.len() * 2 < older.ordinals.len() {
            return Ok(false);
        }
        let batch = concat_batches(&self.bound.arrow, [&older.batch, &newer.batch])
            .context(Kind::Bug, || "merge tail batches".to_owned())?;
        let gone = older.bytes() + newer.bytes();
        let newer = self.rows.sealed.pop().expect("two batches were just seen");
        let older = self.rows.sealed.last_mut().expect("two batches were just seen");
        older.batch = batch;
        older.ordinals.extend(newer.ordinals);
        older.dead.extend(newer.dead);
        self.sealed_bytes = self.sealed_bytes - gone + older.bytes();
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
