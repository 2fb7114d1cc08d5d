//! The one writer: reads the log in order, folds, keeps the tail fresh, commits.

mod cut;
mod fold;

use crate::blocks::Blocks;
use crate::commit::{Ended, Pending, Stores};
use crate::directory::Directory;
use crate::error::{Error, Kind};
use crate::geo::Database;
use crate::salts::Salts;
use crate::seen::{Seen, Window};
use crate::working::Working;
use event::ProjectId;
use eventlog::{Offset, Record};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes of log read at once; also bounds how much work lies between two looks at the clock.
const READ_BYTES: usize = 2 << 20;

/// How the pump works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time between commits.
    pub every: Duration,
    /// Bytes of fresh rows and blocks that cause one earlier.
    pub bytes: usize,
    /// The window in which repeats are recognised.
    pub window: Window,
    /// Folder of the repeat memory.
    pub seen: PathBuf,
    /// Where replay blocks go: `file:///folder` or `s3://bucket/folder`.
    pub blocks: String,
}

/// The pump and everything it owns.
pub struct Pump {
    stores: Stores,
    directory: Arc<Directory>,
    geo: Option<Database>,
    settings: Settings,
    seen: Seen,
    blocks: Blocks,
    salts: Salts,
    projects: HashMap<ProjectId, Working>,
    next: u64,
    committed: u64,
    due: Instant,
    caught_up: Instant,
    /// How long a failed commit waits for its next try; zero when the last one went well.
    pause: Duration,
    /// What a failed commit left over.
    pending: Pending,
    committing: Option<JoinHandle<Ended>>,
}

impl Pump {
    /// Opens the pump at the last checkpoint.
    ///
    /// # Errors
    /// `Corrupt` when the log no longer holds what comes after the checkpoint.
    pub async fn open(
        stores: Stores,
        directory: Arc<Directory>,
        geo: Option<Database>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let next = stores.metastore.checkpoint().await.map_err(Error::from_metastore)?.unwrap_or(0);
        let (first, durable) = (stores.log.first().0, stores.log.durable().0);
        if first > next || durable < next {
            return Err(Error::new(
                Kind::Corrupt,
                format!(
                    "the metastore has folded the log up to record {next}, but the log holds records {first} to \
                     {durable}: log and metastore do not belong together. Restore both from one backup."
                ),
            ));
        }
        telemetry::pump::replayed(durable - next);
        let seen = Seen::open(&settings.seen, settings.window, next)?;
        let blocks = Blocks::open(&settings.blocks);
        let due = Instant::now() + settings.every;
        let salts = Salts::default();
        let projects = HashMap::new();
        Ok(Self {
            stores,
            directory,
            geo,
            settings,
            seen,
            blocks,
            salts,
            projects,
            next,
            committed: next,
            due,
            caught_up: Instant::now(),
            pause: Duration::ZERO,
            pending: Pending::default(),
            committing: None,
        })
    }

    /// Runs until `stop` turns true; then folds what is durable, commits, and returns.
    ///
    /// # Errors
    /// What waiting cannot mend: the process must end, and starts again from what is on disk.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut durable = self.stores.log.subscribe();
        loop {
            let stopping = *stop.borrow();
            durable.mark_unchanged();
            let records = self.read().await?;
            if !records.is_empty() {
                self.turn(&records).await?;
                self.report_lag();
                self.commit_if_due().await?;
                continue;
            }
            if stopping {
                return self.finish().await;
            }
            tokio::select! {
                _ = durable.changed() => {}
                _ = stop.changed() => {}
                () = tokio::time::sleep_until(self.due.into()) => {}
            }
            self.commit_if_due().await?;
        }
    }

    async fn read(&self) -> Result<Vec<Record>, Error> {
        self.stores.log.read(Offset(self.next), READ_BYTES).await.map_err(Error::from_log)
    }

    /// Tells how far the log is ahead, and for how long already.
    fn report_lag(&mut self) {
        let behind = self.stores.log.durable().0.saturating_sub(self.next);
        if behind == 0 {
            self.caught_up = Instant::now();
        }
        telemetry::pump::lag(behind, 0, self.caught_up.elapsed());
    }

    /// Measures what waits in memory to be committed, in bytes, and tells it.
    fn measure_tail(&self) -> usize {
        let stats = self.stores.warehouse.stats();
        telemetry::table::tail_bytes(stats.tail_bytes() as u64);
        for table in &stats.tables {
            telemetry::table::tail_rows(table.table, table.tail_rows as u64);
        }
        stats.tail_bytes() + self.blocks.bytes()
    }
}
