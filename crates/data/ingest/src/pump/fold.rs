//! How the pump turns records into rows: in pieces of bounded size, whatever the size of a record.

use super::Pump;
use crate::commit::Stores;
use crate::directory::Entry;
use crate::error::Error;
use crate::landing::{self, Opened};
use crate::recordings::{self, Shelf};
use crate::seen::{self, Verdict};
use crate::working::Working;
use crate::{letters, outcome};
use event::{CapturedEvent, ProjectId, Spot};
use eventlog::Record;
use identity::{EventRow, Rules};
use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;
use table::Rows;

/// Bytes of JSON folded as one piece, and of events built from it. Compressed records unpack to many times their size,
/// and events take more than that again: the bound keeps a turn's memory small.
const PIECE_BYTES: usize = 4 << 20;
/// Reason of the dead letters of requests with an event that a fold panicked on.
const PANICKED: &str = "fold_panicked";

/// A record that fits into a piece, on its way through the pump.
struct Unpacked {
    opened: Opened,
    events: Vec<CapturedEvent>,
    /// Why it cannot be read, as a tag.
    broken: Option<&'static str>,
}

/// The request whose events are being folded.
struct Request<'a> {
    spot: Spot,
    opened: &'a Opened,
    project: ProjectId,
    entry: Option<Arc<Entry>>,
    rules: Arc<Rules>,
    /// It is a dead letter already, because a fold panicked.
    panicked: bool,
}

impl Pump {
    /// Folds some records of a partition and appends their rows to the tail.
    pub(super) async fn turn(&mut self, partition: usize, records: &[Record]) -> Result<(), Error> {
        let mut piece = Vec::new();
        let mut bytes = 0;
        for record in records {
            let spot = Spot { partition, offset: record.offset.0 };
            let opened = landing::open(&record.bytes)?;
            if opened.json.len() >= PIECE_BYTES && !landing::is_replay(&opened.received) {
                self.fold_piece(std::mem::take(&mut piece)).await?;
                self.fold_large(spot, &opened).await?;
                bytes = 0;
                continue;
            }
            bytes += opened.json.len();
            piece.push((spot, unpack(opened)));
            if bytes >= PIECE_BYTES {
                self.fold_piece(std::mem::take(&mut piece)).await?;
                bytes = 0;
            }
        }
        self.fold_piece(piece).await
    }

    async fn fold_piece(&mut self, piece: Vec<(Spot, Unpacked)>) -> Result<(), Error> {
        let started = Instant::now();
        self.load(&piece).await?;
        let mut count = 0;
        for (spot, unpacked) in piece {
            count += unpacked.events.len() as u64;
            let rows = self.fold_record(spot, unpacked).await?;
            self.stores.warehouse.append(spot, &rows).map_err(Error::from_table)?;
            self.next.advance(spot.partition, spot.offset + 1);
        }
        telemetry::pump::folded(count, started.elapsed());
        Ok(())
    }

    /// Folds a record that is more than a piece: built, folded and appended bit by bit, and visible as a whole.
    async fn fold_large(&mut self, spot: Spot, opened: &Opened) -> Result<(), Error> {
        let started = Instant::now();
        let warehouse = Arc::clone(&self.stores.warehouse);
        let held = warehouse.hold().map_err(Error::from_table)?;
        let mut request = self.request(spot, opened);
        let mut count = 0;
        let mut reading = landing::read(opened);
        loop {
            let read = reading.as_mut().map_err(|rejection| rejection.tag());
            let events =
                read.and_then(|reading| reading.piece(PIECE_BYTES).map_err(|rejection| rejection.tag()));
            let mut rows = Rows::new(request.project, opened.received.at);
            match events {
                Ok(events) if events.is_empty() => break,
                Ok(events) => {
                    count += events.len() as u64;
                    let working = working(&mut self.projects, request.project, &self.stores).await?;
                    working.load(&*self.stores.metastore, events.iter()).await?;
                    for event in events {
                        self.fold_event(&mut request, event, &mut rows).await?;
                    }
                }
                Err(tag) => {
                    letters::record(opened, tag, &mut rows);
                    warehouse.append(spot, &rows).map_err(Error::from_table)?;
                    break;
                }
            }
            warehouse.append(spot, &rows).map_err(Error::from_table)?;
        }
        drop(held);
        self.next.advance(spot.partition, spot.offset + 1);
        telemetry::pump::folded(count, started.elapsed());
        Ok(())
    }

    /// Loads the identities of a whole piece at once.
    async fn load(&mut self, opened: &[(Spot, Unpacked)]) -> Result<(), Error> {
        let mut by_project: HashMap<ProjectId, Vec<&CapturedEvent>> = HashMap::new();
        for (_, unpacked) in opened {
            by_project.entry(unpacked.opened.received.project).or_default().extend(&unpacked.events);
        }
        for (project, events) in by_project {
            let working = working(&mut self.projects, project, &self.stores).await?;
            working.load(&*self.stores.metastore, events.into_iter()).await?;
        }
        Ok(())
    }

    fn request<'a>(&self, spot: Spot, opened: &'a Opened) -> Request<'a> {
        let project = opened.received.project;
        let entry = self.directory.project(project);
        let rules = entry.as_ref().map(|entry| Arc::clone(&entry.rules)).unwrap_or_default();
        Request { spot, opened, project, entry, rules, panicked: false }
    }

    async fn fold_record(&mut self, spot: Spot, unpacked: Unpacked) -> Result<Rows, Error> {
        let Unpacked { opened, events, broken } = unpacked;
        let mut request = self.request(spot, &opened);
        let mut rows = Rows::new(request.project, opened.received.at);
        if let Some(reason) = broken {
            letters::record(&opened, reason, &mut rows);
        }
        if landing::is_replay(&opened.received) {
            let fresh = !self.stores.warehouse.committed("session_replay_blocks").covers(spot);
            let shelf = Shelf { blocks: &mut self.blocks, seen: &mut self.seen, offset: spot.offset, fresh };
            if let Err(rejection) = recordings::land(&opened, request.entry.as_deref(), shelf, &mut rows)? {
                letters::record(&opened, rejection.tag(), &mut rows);
            }
        }
        for event in events {
            self.fold_event(&mut request, event, &mut rows).await?;
        }
        Ok(rows)
    }

    async fn fold_event(
        &mut self,
        request: &mut Request<'_>,
        mut event: CapturedEvent,
        rows: &mut Rows,
    ) -> Result<(), Error> {
        let key = seen::key(request.project, &event);
        let verdict = self.seen.note(key, &event)?;
        if verdict != Verdict::New {
            telemetry::pump::duplicates(1);
        }
        if verdict == Verdict::Repeat {
            return Ok(());
        }
        let origin = (request.project, request.entry.as_deref());
        if let Some((drop, warning)) = self.salts.rewrite(&mut event, origin, &*self.stores.metastore).await?
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
        let working = working(&mut self.projects, request.project, &self.stores).await?;
        working.load(&*self.stores.metastore, std::iter::once(&event)).await?;
        // A fold that panics is our bug: the request is kept whole, and the other events go on.
        let folded = panic::catch_unwind(AssertUnwindSafe(|| working.fold(event, &request.rules)));
        let Ok(mut folded) = folded else {
            telemetry::process::task_panicked("pump");
            // Once per request, however many of its events panic.
            if !std::mem::replace(&mut request.panicked, true) {
                letters::record(request.opened, PANICKED, rows);
            }
            return Ok(());
        };
        if let Some(drop) = folded.dropped {
            telemetry::pump::dropped(drop.tag(), 1);
            // Only what was stored is remembered: a corrected copy of a dropped event is welcome.
            self.seen.forget(key);
        }
        if verdict == Verdict::Changed {
            self.supersede((request.spot, request.project), folded.event.take(), rows)?;
        }
        outcome::add(folded, rows);
        Ok(())
    }

    /// Puts a changed copy of an event in the place of the first, while that is not in a table yet.
    fn supersede(
        &self,
        (spot, project): (Spot, ProjectId),
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
        self.stores.warehouse.replace_event(spot, project, &row).map_err(Error::from_table)?;
        Ok(())
    }
}

fn unpack(opened: Opened) -> Unpacked {
    if landing::is_replay(&opened.received) {
        return Unpacked { opened, events: Vec::new(), broken: None };
    }
    let read = landing::read(&opened).and_then(|mut reading| reading.piece(usize::MAX));
    let (events, broken) = match read {
        Ok(events) => (events, None),
        Err(rejection) => (Vec::new(), Some(rejection.tag())),
    };
    Unpacked { opened, events, broken }
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
