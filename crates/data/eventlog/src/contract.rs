//! What every log promises, wherever its bytes live.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};

use crate::{Error, Offset, Payload, Record, Result};

/// An append-only sequence of records: one log partition.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Puts a record at the end of the log.
    ///
    /// Offsets follow the order of the calls: the record takes its place when `append` is called,
    /// and dropping the future does not take it out again.
    ///
    /// # Durability
    /// When the future gives `Ok`, the record survives a crash and a power cut. When it gives
    /// `Busy` or `Invalid`, the record is not stored. When it gives `Unavailable`, the record may
    /// or may not be there after a restart: the client's retry carries the same uuid.
    ///
    /// # Errors
    /// `Invalid` for a record above `max_record_bytes`; `Busy` when the queue, the log or the disk
    /// is full; `Unavailable` once the log is closed or poisoned.
    fn append(&self, payload: Payload) -> Append;

    /// Reads durable records from `from` on, in order and without gaps.
    ///
    /// Gives at least one record when there is one, then as many as stay within `max_bytes`.
    /// Empty means `from` is not durable yet: wait with [`EventLog::subscribe`].
    ///
    /// # Errors
    /// `NotFound` when `from` was released; `Corrupt` when the bytes are damaged; nothing after
    /// the damage is given.
    async fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>>;

    /// Gives the oldest offset that can still be read; equals [`EventLog::durable`] when empty.
    fn first(&self) -> Offset;

    /// Gives the offset the next durable record will get.
    fn durable(&self) -> Offset;

    /// Follows [`EventLog::durable`]; it moves before the appends are answered.
    fn subscribe(&self) -> watch::Receiver<Offset>;

    /// Gives up records below `before`, once a table and the metastore hold them.
    ///
    /// Works in whole segments, so records below `before` may stay readable. Later calls with a
    /// lower offset do nothing.
    ///
    /// # Errors
    /// `Unavailable` when a file cannot be deleted; the next call tries again.
    async fn release(&self, before: Offset) -> Result<()>;

    /// Gives the sizes of the moment.
    fn stats(&self) -> Stats;

    /// Says whether a failed write ended this log's life; the process should exit and restart.
    fn is_poisoned(&self) -> bool;

    /// Says whether an append has a chance now. A log that is not in this machine may be away for a while; appends are
    /// `Busy` meanwhile, and it comes back by itself.
    fn is_reachable(&self) -> bool {
        true
    }

    /// Takes no more appends and makes those already taken durable; reads still work.
    ///
    /// # Errors
    /// `Unavailable` when the log is poisoned. A second call does nothing.
    async fn close(&self) -> Result<()>;
}

/// Sizes of a log at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes the segments take on disk, preallocation included.
    pub disk_bytes: u64,
    /// Bytes of batches in the segments.
    pub used_bytes: u64,
    /// Segment files.
    pub segments: usize,
    /// The oldest offset that can be read.
    pub first: Offset,
    /// The offset the next durable record will get.
    pub durable: Offset,
    /// Records taken and not durable yet.
    pub queued_records: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Unfinished last writes cut off when this log was opened: 0 or 1.
    pub torn_tails: u64,
}

/// Waits until an appended record is durable; see [`EventLog::append`].
#[must_use = "the record is durable only when this future says so"]
#[derive(Debug)]
pub struct Append(State);

#[derive(Debug)]
enum State {
    Waiting(oneshot::Receiver<Result<Offset>>),
    Refused(Option<Error>),
}

impl Append {
    /// Makes the future and the half that answers it, for an implementation of [`EventLog`].
    pub fn channel() -> (oneshot::Sender<Result<Offset>>, Append) {
        let (sender, receiver) = oneshot::channel();
        (sender, Append(State::Waiting(receiver)))
    }

    /// Makes a future that is refused at once.
    pub fn refused(error: Error) -> Append {
        Append(State::Refused(Some(error)))
    }

    /// Waits without a runtime; for tools and tests, never inside a task.
    ///
    /// # Errors
    /// Those of [`EventLog::append`].
    pub fn wait(self) -> Result<Offset> {
        match self.0 {
            State::Waiting(receiver) => receiver.blocking_recv().unwrap_or_else(|_| Err(gone())),
            State::Refused(error) => Err(error.unwrap_or_else(gone)),
        }
    }
}

impl Future for Append {
    type Output = Result<Offset>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Waiting(receiver) => {
                Pin::new(receiver).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(gone())))
            }
            State::Refused(error) => Poll::Ready(Err(error.take().unwrap_or_else(gone))),
        }
    }
}

/// The writer went away without an answer.
fn gone() -> Error {
    Error::unavailable("the log stopped before it answered an append")
}
