//! The tables of one data folder: open, append, look.

mod create;
mod offset;

pub(crate) use offset::{committed_reach, is_ours, said};

use crate::catalog::{SqlCatalog, TableCatalog};
use crate::commit::GRACE_MS;
use crate::error::{Context, kind_of};
use crate::objects::{Objects, S3};
use crate::row::{Origin, Rows};
use crate::schema::{Bound, NAMESPACE, TABLES};
use crate::tail::{EventKey, Frozen, Tail};
use crate::turn::Turn;
use crate::view::{TableView, View};
use crate::write::DAY;
use crate::{Error, Kind, Result};
use arrow::record_batch::RecordBatch;
use event::{ProjectId, Reach, Spot};
use foldhash::quality::RandomState;
use iceberg::table::Table;
use iceberg::{NamespaceIdent, TableIdent};
use identity::EventRow;
use parking_lot::Mutex;
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Where the tables are.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of `catalog.db` and, unless `location` says otherwise, of `warehouse/`. Table metadata holds absolute
    /// paths: the folder cannot move.
    pub dir: PathBuf,
    /// `s3://bucket/folder` below which tables lie, or empty for the folder.
    pub location: String,
    /// How that store is spoken to.
    pub s3: S3,
}

impl Settings {
    /// Everything in one folder of this machine.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), location: String::new(), s3: S3::default() }
    }

    /// The files, and where tables lie, with the folder made if it is not there.
    ///
    /// # Errors
    /// `Unavailable` when the folder cannot be made, `Invalid` when its name cannot be written in a table.
    pub fn place(&self) -> Result<(PathBuf, String, Objects)> {
        let unavailable = || format!("open the folder {}", self.dir.display());
        std::fs::create_dir_all(&self.dir).context(Kind::Unavailable, unavailable)?;
        let dir = self.dir.canonicalize().context(Kind::Unavailable, unavailable)?;
        let root = match self.location.trim_end_matches('/') {
            "" => {
                let text = || Error::new(Kind::Invalid, format!("{} is not UTF-8", dir.display()));
                format!("file://{}", dir.join("warehouse").to_str().ok_or_else(text)?)
            }
            elsewhere => elsewhere.to_owned(),
        };
        let objects = Objects::new(self.s3.clone(), &dir);
        Ok((dir, root, objects))
    }
}

/// One table in memory.
struct Slot {
    bound: Bound,
    table: Table,
    committed: Reach,
    /// Rows being committed; still visible.
    frozen: Option<Frozen>,
    tail: Tail,
}

struct State {
    /// In the order of [`TABLES`].
    slots: Vec<Slot>,
    /// The last view, while nothing has changed since.
    view: Option<View>,
    /// What readers see while a record is added bit by bit.
    held: Option<View>,
}

/// Readers see the tables as they were; see [`Warehouse::hold`].
pub struct Held<'a>(&'a Warehouse);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.state.lock().held = None;
    }
}

/// The tables of one data folder. One per process and folder: it is the only writer.
pub struct Warehouse {
    pub(crate) catalog: Arc<dyn TableCatalog>,
    pub(crate) committing: Arc<tokio::sync::Mutex<()>>,
    /// Asks rewriting work to break off.
    pub(crate) stopped: Arc<AtomicBool>,
    /// See [`GRACE_MS`].
    pub(crate) grace_ms: i64,
    /// When another program is given a moment.
    pub(crate) turn: Turn,
    state: Mutex<State>,
    keys: (RandomState, RandomState),
}

/// Numbers about one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// Table name.
    pub table: &'static str,
    /// See [`Warehouse::committed`].
    pub committed: Reach,
    /// Rows in memory.
    pub tail_rows: usize,
    /// Their memory.
    pub tail_bytes: usize,
    /// Current snapshot.
    pub snapshot_id: Option<i64>,
    /// Snapshots kept.
    pub snapshots: usize,
}

/// Numbers about all tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Per table.
    pub tables: Vec<TableStats>,
}

impl Stats {
    /// Memory of all tails.
    pub fn tail_bytes(&self) -> usize {
        self.tables.iter().map(|table| table.tail_bytes).sum()
    }

    /// Rows of all tails.
    pub fn tail_rows(&self) -> usize {
        self.tables.iter().map(|table| table.tail_rows).sum()
    }
}

impl Warehouse {
    /// Opens the folder, creating catalog, namespace and tables that are missing and adding new columns.
    ///
    /// # Errors
    /// `Invalid` when a newer program wrote a table, `Corrupt` naming a damaged metadata file, `Unavailable`
    /// when the disk does not answer.
    pub async fn open(settings: Settings) -> Result<Self> {
        let (dir, root, objects) = settings.place()?;
        let catalog = SqlCatalog::embedded(&dir, root, objects)
            .map_err(|error| Error::new(kind_of(&error), error.message().to_owned()).from_source(error))?;
        Self::open_in(Arc::new(catalog)).await
    }

    /// Opens the tables of a catalog, creating namespace and tables that are missing and adding new columns.
    ///
    /// # Errors
    /// As [`Warehouse::open`].
    pub async fn open_in(catalog: Arc<dyn TableCatalog>) -> Result<Self> {
        let mut slots = Vec::with_capacity(TABLES.len());
        for def in TABLES {
            let (table, bound) = create::open_table(catalog.as_ref(), def).await?;
            let committed = committed_reach(table.metadata());
            let tail = Tail::new(bound.clone());
            slots.push(Slot { bound, table, committed, frozen: None, tail });
        }
        Ok(Self {
            catalog,
            committing: Arc::default(),
            stopped: Arc::default(),
            grace_ms: GRACE_MS,
            turn: Turn::default(),
            state: Mutex::new(State { slots, view: None, held: None }),
            keys: (RandomState::default(), RandomState::default()),
        })
    }

    /// The catalog, for maintenance and for serving it to other engines.
    pub fn catalog(&self) -> Arc<dyn TableCatalog> {
        self.catalog.clone()
    }

    /// The files of the tables.
    pub fn objects(&self) -> Objects {
        self.catalog.objects().clone()
    }

    /// Adds the rows of the log record at `spot`; visible to the next [`Warehouse::view`].
    ///
    /// A table that has committed beyond it skips its rows: they are in it already, this is a replay.
    /// Rows of one record become visible together.
    ///
    /// # Errors
    /// `Bug` only.
    pub fn append(&self, spot: impl Into<Spot>, rows: &Rows) -> Result<()> {
        let origin = Origin { project: rows.project, at: rows.at, spot: spot.into() };
        let mut state = self.state.lock();
        state.view = None;
        for slot in &mut state.slots {
            if slot.committed.covers(origin.spot) {
                telemetry::table::replay_skipped(slot.bound.def.name, rows.count_of(slot.bound.def.name));
                continue;
            }
            let tail = &mut slot.tail;
            match slot.bound.def.name {
                "events" => {
                    for row in &rows.events {
                        tail.push(row, origin, Some(self.key(rows.project, row)))?;
                    }
                }
                "persons" => rows.persons.iter().try_for_each(|row| tail.push(row, origin, None))?,
                "person_distinct_ids" => {
                    rows.mappings.iter().try_for_each(|row| tail.push(row, origin, None))?
                }
                "groups" => rows.groups.iter().try_for_each(|row| tail.push(row, origin, None))?,
                "heatmaps" => rows.heatmaps.iter().try_for_each(|row| tail.push(row, origin, None))?,
                "ingestion_warnings" => {
                    rows.warnings.iter().try_for_each(|row| tail.push(row, origin, None))?
                }
                "dead_letter" => rows.dead_letters.iter().try_for_each(|row| tail.push(row, origin, None))?,
                "session_replay_blocks" => {
                    rows.replay_blocks.iter().try_for_each(|row| tail.push(row, origin, None))?;
                }
                other => return Err(Error::new(Kind::Bug, format!("no rows for table {other}"))),
            }
        }
        Ok(())
    }

    /// Keeps what readers see as it is until the answer is dropped: what is appended by then becomes visible at once.
    ///
    /// # Errors
    /// `Bug` only.
    pub fn hold(&self) -> Result<Held<'_>> {
        let view = self.view()?;
        self.state.lock().held = Some(view);
        Ok(Held(self))
    }

    /// Puts `row` in place of the fresh row of the same event (project, UTC day, name, distinct id, uuid).
    ///
    /// Gives false and does nothing when there is no such row, or it is committed or just being committed:
    /// the earlier copy then stands.
    ///
    /// # Errors
    /// `Bug` only.
    pub fn replace_event(&self, spot: impl Into<Spot>, project: ProjectId, row: &EventRow) -> Result<bool> {
        let spot = spot.into();
        let key = self.key(project, row);
        let mut state = self.state.lock();
        let slot = state.slots.iter_mut().find(|slot| slot.bound.def.name == "events");
        let Some(slot) = slot.filter(|slot| !slot.committed.covers(spot)) else { return Ok(false) };
        if !slot.tail.mask(key)? {
            return Ok(false);
        }
        slot.tail.push(row, Origin { project, at: row.created_at, spot }, Some(key))?;
        state.view = None;
        Ok(true)
    }

    fn key(&self, project: ProjectId, row: &EventRow) -> EventKey {
        let day = row.timestamp.as_microsecond().div_euclid(DAY);
        let fields = (project, day, &row.event, &row.distinct_id, row.uuid);
        (EventKey::from(self.keys.0.hash_one(fields)) << 64) | EventKey::from(self.keys.1.hash_one(fields))
    }

    /// A consistent picture of all tables at this moment, with every appended row exactly once.
    ///
    /// # Errors
    /// `Bug` only.
    pub fn view(&self) -> Result<View> {
        let mut state = self.state.lock();
        if let Some(view) = state.held.as_ref().or(state.view.as_ref()) {
            return Ok(view.clone());
        }
        let mut own = std::collections::BTreeMap::new();
        for slot in &mut state.slots {
            let mut tail = slot.frozen.as_ref().map(Frozen::batches).unwrap_or_default();
            tail.extend(slot.tail.batches()?);
            let view = TableView {
                table: slot.table.clone(),
                tail: tail.into(),
                schema: slot.bound.arrow.clone(),
                def: Some(slot.bound.def),
            };
            own.insert(slot.bound.def.name, view);
        }
        let view = View::new(own, self.catalog.clone());
        state.view = Some(view.clone());
        Ok(view)
    }

    /// Until when commits and table care that can wait should: another program's change was refused, and it tries again.
    pub fn others_until(&self) -> Option<Instant> {
        self.turn.until(Instant::now())
    }

    /// How far `table` covers the log; nothing when it never got a row or does not exist.
    pub fn committed(&self, table: &str) -> Reach {
        let state = self.state.lock();
        let slot = state.slots.iter().find(|slot| slot.bound.def.name == table);
        slot.map(|slot| slot.committed.clone()).unwrap_or_default()
    }

    /// Memory of all rows not committed yet, approximately.
    pub fn tail_bytes(&self) -> usize {
        self.stats().tail_bytes()
    }

    /// Numbers for metrics and for deciding when to commit.
    pub fn stats(&self) -> Stats {
        let state = self.state.lock();
        let stats = |slot: &Slot| TableStats {
            table: slot.bound.def.name,
            committed: slot.committed.clone(),
            tail_rows: slot.tail.len() + slot.frozen.as_ref().map_or(0, Frozen::rows),
            tail_bytes: slot.tail.bytes() + slot.frozen.as_ref().map_or(0, Frozen::bytes),
            snapshot_id: slot.table.metadata().current_snapshot_id(),
            snapshots: slot.table.metadata().snapshots().len(),
        };
        Stats { tables: state.slots.iter().map(stats).collect() }
    }

    /// Takes all rows to be committed; gives the positions of tables that have some.
    pub(crate) fn freeze(&self, reach: &Reach) -> Result<Vec<usize>> {
        let mut state = self.state.lock();
        if let Some(high) = state.slots.iter().map(|slot| slot.tail.high()).find(|high| high.is_beyond(reach))
        {
            let text =
                format!("commit at log offset {reach}, but rows of records below {high} were appended");
            return Err(Error::new(Kind::Invalid, text));
        }
        let mut positions = Vec::new();
        for (position, slot) in state.slots.iter_mut().enumerate() {
            if slot.tail.len() > 0 {
                slot.frozen = Some(slot.tail.freeze()?);
                positions.push(position);
            }
        }
        Ok(positions)
    }

    /// Puts rows still frozen back into their tails.
    pub(crate) fn thaw(&self, tried: &Reach) {
        let mut state = self.state.lock();
        for slot in &mut state.slots {
            if let Some(frozen) = slot.frozen.take() {
                slot.tail.thaw(frozen, tried.total());
            }
        }
    }

    /// What a commit of the table at `position` needs.
    pub(crate) fn frozen(&self, position: usize) -> (Bound, Table, Vec<RecordBatch>) {
        let state = self.state.lock();
        let slot = &state.slots[position];
        let batches = slot.frozen.as_ref().map(Frozen::batches).unwrap_or_default();
        (slot.bound.clone(), slot.table.clone(), batches)
    }

    /// Replaces the frozen rows by the snapshot that holds them, in one step for readers.
    pub(crate) fn swap(&self, position: usize, table: Table, reach: &Reach) {
        let mut state = self.state.lock();
        let slot = &mut state.slots[position];
        slot.table = table;
        slot.committed = reach.clone();
        slot.frozen = None;
        state.view = None;
    }

    /// The table called `name`: position, columns, current snapshot.
    pub(crate) fn current(&self, name: &str) -> Result<(usize, Bound, Table)> {
        let state = self.state.lock();
        let found = state.slots.iter().enumerate().find(|(_, slot)| slot.bound.def.name == name);
        let (position, slot) = found.ok_or_else(|| {
            Error::new(Kind::NotFound, format!("no table {NAMESPACE}.{name} of this program"))
        })?;
        Ok((position, slot.bound.clone(), slot.table.clone()))
    }

    /// Columns and current snapshot of the table at `position`.
    pub(crate) fn at(&self, position: usize) -> (Bound, Table) {
        let state = self.state.lock();
        (state.slots[position].bound.clone(), state.slots[position].table.clone())
    }

    /// Goes on with another snapshot of the same rows. The caller holds `committing`.
    pub(crate) fn adopt(&self, position: usize, table: Table) {
        let mut state = self.state.lock();
        state.slots[position].table = table;
        state.view = None;
    }

    /// Rows of the table at `position` that are in memory.
    pub(crate) fn fresh(&self, position: usize) -> Result<Vec<RecordBatch>> {
        let mut state = self.state.lock();
        let slot = &mut state.slots[position];
        let mut fresh = slot.frozen.as_ref().map(Frozen::batches).unwrap_or_default();
        fresh.extend(slot.tail.batches()?);
        Ok(fresh)
    }

    /// Loads tables whose last commit ended unclear (or all) and forgets rows they turn out to hold.
    /// The caller holds `committing`.
    pub(crate) async fn reconcile(&self, all: bool) -> Result<()> {
        let unclear: Vec<usize> = {
            let state = self.state.lock();
            (0..state.slots.len()).filter(|&position| all || state.slots[position].tail.tried()).collect()
        };
        for position in unclear {
            let table = load(self.catalog.as_ref(), TABLES[position].name).await?;
            let committed = committed_reach(table.metadata());
            let mut state = self.state.lock();
            let slot = &mut state.slots[position];
            slot.tail.drop_committed(committed.total())?;
            slot.committed.merge(&committed);
            slot.table = table;
            state.view = None;
        }
        Ok(())
    }
}

/// A table as the catalog has it now.
pub(crate) async fn load(catalog: &dyn TableCatalog, name: &str) -> Result<Table> {
    let ident = TableIdent::new(NamespaceIdent::new(NAMESPACE.to_owned()), name.to_owned());
    catalog.load_table(&ident).await.map_err(|error| {
        Error::new(kind_of(&error), format!("load {ident}: {}", error.message())).from_source(error)
    })
}

#[cfg(test)]
pub(crate) mod tests;
