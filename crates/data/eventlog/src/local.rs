//! A log in segment files of one directory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::disk::{self, Disk};
use crate::journal::Journal;
use crate::queue::Queue;
use crate::read::Chain;
use crate::writer::{self, Shared};
use crate::{Append, Error, EventLog, Kind, Offset, Payload, Record, Result, Settings, Stats};

/// A log partition in one local directory, which no other process can open meanwhile.
///
/// Reads, `release` and `close` use the blocking threads of the tokio runtime they are awaited in.
pub struct Segments {
    shared: Arc<Shared>,
    chain: Arc<Chain>,
    disk: Arc<dyn Disk>,
    torn_tails: u64,
    writer: Mutex<Option<JoinHandle<Result<()>>>>,
}

impl Segments {
    /// Opens the log in a directory, creating it when it is empty, and starts its writer thread.
    ///
    /// Blocks: it reads and checks everything not released yet (about a second per gigabyte).
    ///
    /// # Errors
    /// `Invalid` for settings that do not fit each other, `Conflict` when another process has the
    /// directory, `Corrupt` when durable data is damaged, else what the file system said.
    pub fn open(directory: &Path, settings: Settings) -> Result<Segments> {
        Segments::open_at(directory, settings, Offset::ZERO)
    }

    /// Opens like [`Segments::open`], for a caller that depends on all records below `floor`.
    ///
    /// An empty directory becomes a log whose first offset is `floor`, so that offsets committed
    /// elsewhere are never given out again. `floor` is the highest offset any table or the
    /// metastore has committed.
    ///
    /// # Errors
    /// Also `Corrupt` when the log ends below `floor`.
    pub fn open_at(directory: &Path, settings: Settings, floor: Offset) -> Result<Segments> {
        settings.check()?;
        Segments::open_on(Arc::new(disk::Local::open(directory)?), settings, floor)
    }

    /// Opens like [`Segments::open_at`], on any disk.
    ///
    /// # Errors
    /// Those of [`Segments::open_at`].
    pub fn open_on(disk: Arc<dyn Disk>, settings: Settings, floor: Offset) -> Result<Segments> {
        let queue = Queue::new(&settings);
        let journal = Journal::open(Arc::clone(&disk), settings, floor)?;
        let chain = journal.chain();
        let torn_tails = journal.torn_tails;
        telemetry::log::durable(journal.end().0);
        let (durable, _) = watch::channel(journal.end());
        let shared = Arc::new(Shared { queue, durable, poisoned: AtomicBool::new(false) });
        let for_thread = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("eventlog".into())
            .spawn(move || writer::run(journal, for_thread))
            .map_err(|e| Error::file("cannot start the log's writer thread", e))?;
        Ok(Segments { shared, chain, disk, torn_tails, writer: Mutex::new(Some(writer)) })
    }

    fn stop(&self) -> Option<JoinHandle<Result<()>>> {
        self.shared.queue.close(Error::unavailable("the log is closed"));
        self.writer.lock().take()
    }
}

#[async_trait]
impl EventLog for Segments {
    fn append(&self, payload: Payload) -> Append {
        self.shared.queue.push(payload)
    }

    async fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>> {
        let durable = self.durable();
        if from >= durable {
            return Ok(Vec::new());
        }
        let chain = Arc::clone(&self.chain);
        blocking(move || chain.read(from, durable, max_bytes)).await
    }

    fn first(&self) -> Offset {
        self.chain.first()
    }

    fn durable(&self) -> Offset {
        *self.shared.durable.borrow()
    }

    fn subscribe(&self) -> watch::Receiver<Offset> {
        self.shared.durable.subscribe()
    }

    async fn release(&self, before: Offset) -> Result<()> {
        let (chain, disk) = (Arc::clone(&self.chain), Arc::clone(&self.disk));
        blocking(move || {
            let released = chain.release(disk.as_ref(), before);
            let (segments, bytes, _) = chain.sizes();
            telemetry::log::size(segments as u64, bytes);
            released
        })
        .await
    }

    fn stats(&self) -> Stats {
        let (segments, disk_bytes, used_bytes) = self.chain.sizes();
        let (queued_records, queued_bytes) = self.shared.queue.sizes();
        Stats {
            disk_bytes,
            used_bytes,
            segments,
            first: self.first(),
            durable: self.durable(),
            queued_records,
            queued_bytes,
            torn_tails: self.torn_tails,
        }
    }

    fn is_poisoned(&self) -> bool {
        self.shared.poisoned.load(Ordering::Acquire)
    }

    async fn close(&self) -> Result<()> {
        match self.stop() {
            Some(writer) => blocking(move || writer.join().unwrap_or_else(|_| Err(panicked()))).await,
            None => Ok(()),
        }
    }
}

impl Drop for Segments {
    /// Lets the writer finish what it has taken and waits for it: the directory is free afterwards.
    fn drop(&mut self) {
        if let Some(writer) = self.stop() {
            writer.join().ok();
        }
    }
}

/// Runs file calls where they may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(panicked()))
}

fn panicked() -> Error {
    Error::new(Kind::Bug, "a log thread panicked")
}
