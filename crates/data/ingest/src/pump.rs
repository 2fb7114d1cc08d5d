//! The one writer: reads the log in order, folds, keeps the tail fresh, commits.

use crate::blocks::Blocks;
use crate::commit::{Ended, Pending, Stores};
use crate::directory::Directory;
use crate::error::{Error, Kind};
use crate::geo::Database;
use crate::landing::{self, Opened};
use crate::recordings::{self, Shelf};
use crate::salts::Salts;
use crate::seen::{self, Seen, Verdict, Window};
use crate::working::Working;
use crate::{letters, outcome};
use event::{CapturedEvent, ProjectId, Received};
use eventlog::{Offset, Record};
use identity::EventRow;
use metastore::Checkpoint;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::Rows;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes of log read at once; also bounds how much work lies between two looks at the clock.
const READ_BYTES: usize = 2 << 20;
/// Entries of the identity working set that cause a commit, so that it can be emptied.
const WORKING_ENTRIES: usize = 200_000;
/// Entries kept in memory after a commit, the last used ones.
const KEPT_ENTRIES: usize = 50_000;

/// First and longest pause between attempts to commit.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

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
    /// Folder of replay blocks; absolute.
    pub blocks: PathBuf,
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

    /// Folds some records and appends their rows to the tail.
    async fn turn(&mut self, records: &[Record]) -> Result<(), Error> {
        let started = Instant::now();
        let mut opened = Vec::with_capacity(records.len());
        for record in records {
            opened.push((record.offset.0, self.unpack(record).await?));
        }
        self.load(&opened).await?;
        let mut count = 0;
        for (offset, unpacked) in opened {
            count += unpacked.events.len() as u64;
            let rows = self.fold_record(offset, unpacked).await?;
            self.stores.warehouse.append(offset, &rows).map_err(Error::from_table)?;
            self.next = offset + 1;
        }
        telemetry::pump::folded(count, started.elapsed());
        Ok(())
    }

    async fn unpack(&mut self, record: &Record) -> Result<Unpacked, Error> {
        let opened = landing::open(&record.bytes)?;
        if landing::is_replay(&opened.received) {
            return Ok(Unpacked { opened, events: Vec::new(), broken: None });
        }
        match landing::events(&opened) {
            Ok(mut events) => {
                for event in &mut events {
                    if let Some(geo) = &self.geo {
                        geo.enrich(&mut event.properties);
                    }
                }
                Ok(Unpacked { opened, events, broken: None })
            }
            Err(rejection) => {
                let broken = Some(rejection.tag());
                Ok(Unpacked { opened, events: Vec::new(), broken })
            }
        }
    }

    /// Loads the identities of a whole turn at once.
    async fn load(&mut self, opened: &[(u64, Unpacked)]) -> Result<(), Error> {
        let mut by_project: HashMap<ProjectId, Vec<&CapturedEvent>> = HashMap::new();
        for (_, unpacked) in opened {
            by_project.entry(unpacked.opened.received.project).or_default().extend(&unpacked.events);
        }
        for (project, events) in by_project {
            let metastore = self.stores.metastore.clone();
            let working = working(&mut self.projects, project, &self.stores).await?;
            working.load(&*metastore, events.into_iter()).await?;
        }
        Ok(())
    }

    async fn fold_record(&mut self, offset: u64, unpacked: Unpacked) -> Result<Rows, Error> {
        let Unpacked { opened, events, broken } = unpacked;
        let received = &opened.received;
        let mut rows = Rows::new(received.project, received.at);
        if let Some(reason) = broken {
            letters::record(&opened, reason, &mut rows);
        }
        if landing::is_replay(received) {
            let entry = self.directory.project(received.project);
            let fresh = offset >= self.stores.warehouse.committed_offset("session_replay_blocks");
            let shelf = Shelf { blocks: &mut self.blocks, seen: &mut self.seen, offset, fresh };
            if let Err(rejection) = recordings::land(&opened, entry.as_deref(), shelf, &mut rows)? {
                letters::record(&opened, rejection.tag(), &mut rows);
            }
        }
        for event in events {
            self.fold_event((offset, received), event, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn fold_event(
        &mut self,
        (offset, received): (u64, &Received),
        mut event: CapturedEvent,
        rows: &mut Rows,
    ) -> Result<(), Error> {
        let project = received.project;
        let key = seen::key(project, &event);
        let verdict = self.seen.note(key, &event)?;
        if verdict != Verdict::New {
            telemetry::pump::duplicates(1);
        }
        if verdict == Verdict::Repeat {
            return Ok(());
        }
        let entry = self.directory.project(project);
        let rules = entry.as_ref().map(|entry| entry.rules.clone()).unwrap_or_default();
        let stores = self.stores.clone();
        if let Some((drop, warning)) =
            self.salts.rewrite(&mut event, (project, entry.as_deref()), &*stores.metastore).await?
        {
            telemetry::pump::dropped(drop.tag(), 1);
            self.seen.forget(key);
            rows.warnings.extend(warning);
            return Ok(());
        }
        let working = working(&mut self.projects, project, &stores).await?;
        working.load(&*stores.metastore, std::iter::once(&event)).await?;
        let mut folded = working.fold(event, &rules);
        if let Some(drop) = folded.dropped {
            telemetry::pump::dropped(drop.tag(), 1);
            // Only what was stored is remembered: a corrected copy of a dropped event is welcome.
            self.seen.forget(key);
        }
        if verdict == Verdict::Changed {
            self.supersede((offset, project), folded.event.take(), rows)?;
        }
        outcome::add(folded, rows);
        Ok(())
    }

    /// Puts a changed copy of an event in the place of the first, while that is not in a table yet.
    fn supersede(
        &self,
        (offset, project): (u64, ProjectId),
        row: Option<EventRow>,
        rows: &mut Rows,
    ) -> Result<(), Error> {
        let Some(row) = row else { return Ok(()) };
        let same = |other: &EventRow| {
            (other.uuid, &other.event, &other.distinct_id) == (row.uuid, &row.event, &row.distinct_id)
        };
        if let Some(slot) = rows.events.iter_mut().find(|other| same(other)) {
            *slot = row;
            return Ok(());
        }
        // When the first copy is in a table already it stays; the later one was counted as a duplicate.
        self.stores.warehouse.replace_event(offset, project, &row).map_err(Error::from_table)?;
        Ok(())
    }

    /// Starts a commit when it is time, or when memory says so; takes note of one that has ended.
    async fn commit_if_due(&mut self) -> Result<(), Error> {
        if self.committing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.settle().await?;
        }
        let bytes = self.stores.warehouse.tail_bytes() + self.blocks.bytes();
        let entries: usize = self.projects.values().map(|working| working.state.len()).sum();
        let full = bytes >= self.settings.bytes || entries >= WORKING_ENTRIES;
        if Instant::now() < self.due && (!full || !self.pause.is_zero()) {
            return Ok(());
        }
        if self.committing.is_some() {
            // One commit at a time. Folding goes on beside it until twice the memory is used; then it waits, the log
            // grows, and in the end the door says 503.
            if bytes < 2 * self.settings.bytes && entries < 2 * WORKING_ENTRIES {
                return Ok(());
            }
            self.settle().await?;
            return Ok(());
        }
        self.begin().await?;
        if entries >= WORKING_ENTRIES {
            self.settle().await?;
            for working in self.projects.values_mut().filter(|_| self.pause.is_zero()) {
                // Everything is in the metastore now, so nothing is lost by letting go of it.
                working.state.forget(KEPT_ENTRIES);
            }
        }
        Ok(())
    }

    /// Takes what was folded since the last commit and writes it beside further folding.
    async fn begin(&mut self) -> Result<(), Error> {
        self.due = Instant::now() + self.settings.every;
        if self.next == self.committed && self.pending.checkpoints.is_empty() {
            return Ok(());
        }
        let rows = match self.stores.warehouse.begin(self.next).await.map_err(Error::from_table) {
            Ok(rows) => rows,
            Err(error) => return self.put_off(error),
        };
        self.seen.cut(self.next, self.committed)?;
        let mut checkpoint = Checkpoint { offset: self.next, ..Checkpoint::default() };
        for (project, working) in &mut self.projects {
            let (changes, definitions) = working.take();
            checkpoint.projects.push((*project, changes));
            checkpoint.definitions.push((*project, definitions));
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.checkpoints.push(checkpoint);
        pending.blocks.extend(self.blocks.cut());
        let stores = self.stores.clone();
        self.committing = Some(tokio::spawn(async move { pending.write(rows, &stores).await }));
        Ok(())
    }

    /// Waits for the commit that is under way.
    async fn settle(&mut self) -> Result<(), Error> {
        let Some(task) = self.committing.take() else { return Ok(()) };
        let ended = task
            .await
            .map_err(|e| Error::because(Kind::Bug, "the commit task ended without an answer", e))?;
        match ended {
            Ended::Done(offset) => {
                self.committed = offset;
                self.pause = Duration::ZERO;
                Ok(())
            }
            Ended::Failed(pending, error) => {
                self.pending = pending;
                self.put_off(error)
            }
        }
    }

    /// Tries again later what a store could not do now: the log keeps the events, queries still see the tail.
    fn put_off(&mut self, error: Error) -> Result<(), Error> {
        if !matches!(error.kind, Kind::Busy | Kind::Unavailable) {
            return Err(error);
        }
        telemetry::pump::stalled(error.part());
        self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.due = Instant::now() + self.pause;
        tracing::warn!(error = %error.chain(), retry_in = ?self.pause, "cannot commit; events stay in the log");
        Ok(())
    }

    /// Commits everything folded, or says why that is not possible now.
    async fn finish(mut self) -> Result<(), Error> {
        self.settle().await?;
        self.begin().await?;
        self.settle().await?;
        if self.pause.is_zero() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Unavailable,
            "the last commit failed; the log keeps its events for the next start",
        ))
    }

    fn report_lag(&self) {
        let behind = self.stores.log.durable().0.saturating_sub(self.next);
        telemetry::pump::lag(behind, 0, Duration::ZERO);
    }
}

/// A record on its way through the pump.
struct Unpacked {
    opened: Opened,
    events: Vec<CapturedEvent>,
    /// Why it cannot be read, as a tag.
    broken: Option<&'static str>,
}

async fn working<'a>(
    projects: &'a mut HashMap<ProjectId, Working>,
    project: ProjectId,
    stores: &Stores,
) -> Result<&'a mut Working, Error> {
    use std::collections::hash_map::Entry;
    match projects.entry(project) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(new) => Ok(new.insert(Working::open(project, &*stores.metastore).await?)),
    }
}
