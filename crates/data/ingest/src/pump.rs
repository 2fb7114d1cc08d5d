//! The one writer: reads the log in order, folds, keeps the tail fresh, commits.

mod cut;

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
use event::{CapturedEvent, ProjectId};
use eventlog::{Offset, Record};
use identity::EventRow;
use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::Rows;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes of log read at once; also bounds how much work lies between two looks at the clock.
const READ_BYTES: usize = 2 << 20;
/// Bytes of JSON folded as one piece. Compressed records unpack to many times their size, and parsed events take several
/// times that again: the bound keeps a turn's memory small.
const PIECE_BYTES: usize = 4 << 20;
/// Reason of the dead letters of requests with an event that a fold panicked on.
const PANICKED: &str = "fold_panicked";

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

    /// Folds some records and appends their rows to the tail.
    async fn turn(&mut self, records: &[Record]) -> Result<(), Error> {
        let mut piece = Vec::new();
        let mut bytes = 0;
        for record in records {
            let unpacked = self.unpack(record)?;
            bytes += unpacked.opened.json.len();
            piece.push((record.offset.0, unpacked));
            if bytes >= PIECE_BYTES {
                self.fold_piece(std::mem::take(&mut piece)).await?;
                bytes = 0;
            }
        }
        self.fold_piece(piece).await
    }

    async fn fold_piece(&mut self, piece: Vec<(u64, Unpacked)>) -> Result<(), Error> {
        let started = Instant::now();
        self.load(&piece).await?;
        let mut count = 0;
        for (offset, unpacked) in piece {
            count += unpacked.events.len() as u64;
            let rows = self.fold_record(offset, unpacked).await?;
            self.stores.warehouse.append(offset, &rows).map_err(Error::from_table)?;
            self.next = offset + 1;
        }
        telemetry::pump::folded(count, started.elapsed());
        Ok(())
    }

    fn unpack(&self, record: &Record) -> Result<Unpacked, Error> {
        let opened = landing::open(&record.bytes)?;
        if landing::is_replay(&opened.received) {
            return Ok(Unpacked { opened, events: Vec::new(), broken: None });
        }
        match landing::events(&opened) {
            Ok(events) => Ok(Unpacked { opened, events, broken: None }),
            Err(rejection) => {
                let broken = Some(rejection.tag());
                Ok(Unpacked { opened, events: Vec::new(), broken })
            }
        }
    }

    /// Loads the identities of a whole piece at once.
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
            self.fold_event((offset, &opened), event, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn fold_event(
        &mut self,
        (offset, opened): (u64, &Opened),
        mut event: CapturedEvent,
        rows: &mut Rows,
    ) -> Result<(), Error> {
        let project = opened.received.project;
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
        // After the cookieless rewrite, which takes the address of those who wish to be nobody.
        if let Some(geo) = &self.geo {
            geo.enrich(&mut event.properties);
        }
        let working = working(&mut self.projects, project, &stores).await?;
        working.load(&*stores.metastore, std::iter::once(&event)).await?;
        // A fold that panics is our bug: the request is kept whole, and the other events go on.
        let folded = panic::catch_unwind(AssertUnwindSafe(|| working.fold(event, &rules)));
        let Ok(mut folded) = folded else {
            telemetry::process::task_panicked("pump");
            // Once per request, however many of its events panic.
            if !rows.dead_letters.iter().any(|letter| letter.reason == PANICKED) {
                letters::record(opened, PANICKED, rows);
            }
            return Ok(());
        };
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
