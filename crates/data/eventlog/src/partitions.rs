//! Several logs side by side, and which of them a project's records are in.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;

use crate::{EventLog, Offset, Result};

/// All partitions of a log, in order of their number. Cloning shares them.
#[derive(Clone)]
pub struct Partitions(Arc<[Arc<dyn EventLog>]>);

impl From<Arc<dyn EventLog>> for Partitions {
    /// A log of one partition.
    fn from(log: Arc<dyn EventLog>) -> Self {
        Partitions(Arc::new([log]))
    }
}

impl Partitions {
    /// Puts partitions side by side; `None` when there is none.
    pub fn new(logs: Vec<Arc<dyn EventLog>>) -> Option<Self> {
        if logs.is_empty() { None } else { Some(Partitions(logs.into())) }
    }

    /// Gives the partition of everything with this key: crc32 of its eight bytes, lowest first, modulo the number of
    /// partitions. It never changes, because records of one key must stay in order.
    pub fn of(&self, key: u64) -> &Arc<dyn EventLog> {
        &self.0[self.number_of(key)]
    }

    /// Gives the number of the partition of a key; see [`Partitions::of`].
    pub fn number_of(&self, key: u64) -> usize {
        crc32fast::hash(&key.to_le_bytes()) as usize % self.0.len()
    }

    /// Gives the partitions in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<dyn EventLog>> {
        self.0.iter()
    }

    /// Says whether one of them takes no appends any more, so that the process must start again.
    pub fn is_poisoned(&self) -> bool {
        self.0.iter().any(|log| log.is_poisoned())
    }

    /// Says whether appends have a chance now.
    pub fn is_reachable(&self) -> bool {
        self.0.iter().all(|log| log.is_reachable())
    }

    /// Closes all of them; the first failure is given when each had its turn.
    ///
    /// # Errors
    /// Those of [`EventLog::close`].
    pub async fn close(&self) -> Result<()> {
        let mut closed = Ok(());
        for log in self.0.iter() {
            closed = closed.and(log.close().await);
        }
        closed
    }

    /// Follows all of them.
    pub fn subscribe(&self) -> Growth {
        Growth(self.0.iter().map(|log| log.subscribe()).collect())
    }
}

/// Tells when any partition has more records; see [`EventLog::subscribe`].
#[derive(Debug)]
pub struct Growth(Vec<watch::Receiver<Offset>>);

impl Growth {
    /// Takes note of everything there is now.
    pub fn mark_seen(&mut self) {
        self.0.iter_mut().for_each(watch::Receiver::mark_unchanged);
    }

    /// Waits for more records since the last look. Never ends when all logs are gone.
    pub async fn changed(&mut self) {
        let mut waits: Vec<_> =
            self.0.iter_mut().map(|receiver| Some(Box::pin(receiver.changed()))).collect();
        poll_fn(|cx| {
            for wait in &mut waits {
                let Some(changed) = wait else { continue };
                match Future::poll(Pin::as_mut(changed), cx) {
                    Poll::Ready(Ok(())) => return Poll::Ready(()),
                    Poll::Ready(Err(_)) => *wait = None,
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await;
    }
}
