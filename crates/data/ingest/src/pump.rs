//! The one writer: reads the log in order, folds, keeps the tail fresh, commits.

mod cut;
mod fold;
mod order;

pub use order::Orders;

use crate::blocks::Blocks;
use crate::commit::{Ended, Pending, Stores};
use crate::directory::Directory;
use crate::error::{Error, Kind};
use crate::geo::Database;
use crate::salts::Salts;
use crate::seen::{Seen, Window};
use crate::working::Working;
use event::{ProjectId, Reach};
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
    /// Go on at the oldest record there is when the log lost some that were never folded.
    pub skip_lost: bool,
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
    /// Which log partition is read first the next time.
    turn: usize,
    next: Reach,
    committed: Reach,
    due: Instant,
    caught_up: Instant,
    /// How long a failed commit waits for its next try; zero when the last one went well.
    pause: Duration,
    /// What a failed commit left over.
    pending: Pending,
    committing: Option<JoinHandle<Ended>>,
    desk: order::Desk,
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
        let known = stores.metastore.checkpoint().await.map_err(Error::from_metastore)?.unwrap_or_default();
        let next = find_start(&stores, known, settings.skip_lost)?;
        telemetry::pump::replayed(behind(&stores, &next));
        let seen = Seen::open(&settings.seen, settings.window, next.total())?;
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
            turn: 0,
            committed: next.clone(),
            next,
            due,
            caught_up: Instant::now(),
            pause: Duration::ZERO,
            pending: Pending::default(),
            committing: None,
            desk: order::Desk::open(),
        })
    }

    /// Runs until `stop` turns true; then folds what is durable, commits, and returns.
    ///
    /// # Errors
    /// What waiting cannot mend: the process must end, and starts again from what is on disk.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut durable = self.stores.log.subscribe();
        loop {
            self.obey().await?;
            let stopping = *stop.borrow();
            durable.mark_seen();
            let (partition, records) = self.read().await?;
            if !records.is_empty() {
                self.turn(partition, &records).await?;
                self.report_lag();
                self.commit_if_due().await?;
                continue;
            }
            if stopping {
                return self.finish().await;
            }
            let stores = &self.stores;
            tokio::select! {
                () = durable.changed() => {}
                _ = stop.changed() => {}
                () = self.desk.wait(|| order::durable(stores)), if !self.desk.is_busy() => {}
                () = tokio::time::sleep_until(self.due.into()) => {}
            }
            self.commit_if_due().await?;
        }
    }

    /// The next records of a partition that has some; partitions take turns.
    async fn read(&mut self) -> Result<(usize, Vec<Record>), Error> {
        let count = self.stores.log.iter().len();
        for _ in 0..count {
            let partition = self.turn % count;
            self.turn = partition + 1;
            let Some(log) = self.stores.log.iter().nth(partition) else { continue };
            let from = Offset(self.next.of(partition));
            let records = log.read(from, READ_BYTES).await.map_err(Error::from_log)?;
            if !records.is_empty() {
                return Ok((partition, records));
            }
        }
        Ok((0, Vec::new()))
    }

    /// Tells how far the log is ahead, and for how long already.
    fn report_lag(&mut self) {
        let behind = behind(&self.stores, &self.next);
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

/// Records that are durable and not folded.
fn behind(stores: &Stores, next: &Reach) -> u64 {
    let logs = stores.log.iter().enumerate();
    logs.map(|(partition, log)| log.durable().0.saturating_sub(next.of(partition))).sum()
}

/// Where to go on in each partition: at the checkpoint, if the log belongs to it.
fn find_start(stores: &Stores, mut known: Reach, skip_lost: bool) -> Result<Reach, Error> {
    for (partition, log) in stores.log.iter().enumerate() {
        let (first, durable, next) = (log.first().0, log.durable().0, known.of(partition));
        if first > next && skip_lost {
            tracing::warn!(
                partition,
                from = next,
                to = first,
                "records that were never folded are gone; going on without them"
            );
            known.advance(partition, first);
            continue;
        }
        if first > next || durable < next {
            let more = if first > next {
                " If the log is a topic, its retention removed records before they were in the tables: lengthen \
                 retention.ms, and set kafka.skip_lost = true to go on without them."
            } else {
                ""
            };
            return Err(Error::new(
                Kind::Corrupt,
                format!(
                    "the metastore has folded the log up to record {next}, but the log holds records {first} to \
                     {durable} (partition {partition}): log and metastore do not belong together. Restore both from one \
                     backup.{more}"
                ),
            ));
        }
    }
    Ok(known)
}
