//! From tail to table: files, snapshot, swap.
//!
//! For each table with rows: write and sync data files, write and sync manifests and metadata, move the
//! catalog's pointer, and under the lock replace the rows in memory by the new snapshot. Until the pointer
//! moves nothing refers to the files; after it moved the snapshot itself says which log offset it covers.

use crate::care::{append, drop_snapshots, old_snapshots, unlink_unreachable};
use crate::catalog::is_unclear;
use crate::disk::Behind;
use crate::error::{Context, kind_of};
use crate::schema::{Bound, TABLES};
use crate::warehouse::{Warehouse, committed_reach};
use crate::write::{Job, discard};
use crate::{Error, Kind, Result};
use event::Reach;
use iceberg::spec::DataFile;
use iceberg::table::Table;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OwnedMutexGuard;

/// Snapshots a table keeps for time travel; at twice as many the older half expires.
const SNAPSHOTS_KEPT: usize = if cfg!(test) { 4 } else { 100 };
/// Milliseconds a snapshot stays after another took its place: see [`crate::care::Expiry::grace`].
pub(crate) const GRACE_MS: i64 = 600_000;

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Tables that got a snapshot, in commit order.
    pub tables: Vec<Committed>,
}

/// One table's part of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Table name.
    pub table: &'static str,
    /// Rows written.
    pub rows: u64,
    /// Data files written.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

impl Summary {
    /// Rows over all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// A commit that has taken its rows out of the tails. They stay visible; rows appended from now on belong to the next.
///
/// Dropping it unfinished puts the rows back.
#[must_use = "nothing is written until the commit is finished"]
pub struct Begun {
    warehouse: Arc<Warehouse>,
    positions: Vec<usize>,
    reach: Reach,
    // Released after the rows are back, so that the next commit finds them.
    _only: OwnedMutexGuard<()>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.warehouse.thaw(&self.reach);
    }
}

impl Begun {
    /// How far the tables cover the log once it is finished.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Writes the files and moves the tables on, one after the other. A table that fails keeps its rows in the tail,
    /// visible, for the next commit; the others go through.
    ///
    /// # Durability
    /// When it returns Ok, all rows below the offset survive a power cut.
    ///
    /// # Errors
    /// The first table's failure: after `Conflict` and `Unavailable` begin again, with the same or a greater offset.
    pub async fn finish(self) -> Result<Summary> {
        let mut summary = Summary::default();
        let mut failure = None;
        for position in &self.positions {
            let started = Instant::now();
            match self.warehouse.commit_table(*position, &self.reach).await {
                Ok(committed) => {
                    let added = telemetry::table::Committed {
                        rows: committed.rows,
                        bytes: committed.bytes,
                        files: committed.files as u64,
                    };
                    telemetry::table::committed(committed.table, added, started.elapsed());
                    summary.tables.push(committed);
                }
                Err(error) => {
                    telemetry::table::commit_failed(TABLES[*position].name, error.kind().tag());
                    tracing::warn!(%error, "a table could not be committed; its rows stay in memory");
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(summary), Err)
    }
}

impl Warehouse {
    /// Takes every row appended so far out of the tails, to be made durable by [`Begun::finish`]. `reach` is how
    /// far the log is covered then: it must be above every appended record. Waits for a commit that is under way.
    ///
    /// # Errors
    /// `Invalid` when rows at or above `reach` are in the tail; `Corrupt` or `Unavailable` when an earlier commit
    /// ended unclear and the catalog does not tell how.
    pub async fn begin(self: &Arc<Self>, reach: impl Into<Reach>) -> Result<Begun> {
        let reach = reach.into();
        let only = self.committing.clone().lock_owned().await;
        self.reconcile(false).await?;
        let positions = self.freeze(&reach)?;
        Ok(Begun { warehouse: self.clone(), positions, reach, _only: only })
    }

    /// Begins and finishes a commit.
    ///
    /// # Errors
    /// Those of [`Warehouse::begin`] and [`Begun::finish`].
    pub async fn commit(self: &Arc<Self>, reach: impl Into<Reach>) -> Result<Summary> {
        self.begin(reach).await?.finish().await
    }

    /// Looks at the catalog for snapshots made by others since the tables were last loaded.
    ///
    /// # Errors
    /// As loading: `Corrupt`, `Unavailable`.
    pub async fn refresh(&self) -> Result<()> {
        let _only = self.committing.lock().await;
        self.reconcile(true).await
    }

    async fn commit_table(&self, position: usize, reach: &Reach) -> Result<Committed> {
        let (bound, table, batches) = self.frozen(position);
        let (files, behind) = self.objects().behind();
        let failed = |error| Error::new(Kind::Bug, format!("write {}", bound.def.name)).from_source(error);
        let table = append::writing(&table, files).map_err(failed)?;
        let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
        let job = Job { batches, bound: bound.clone(), table: table.clone(), offset: reach.total() };
        let written = tokio::task::spawn_blocking(move || job.run()).await;
        let files = written.context(Kind::Bug, || format!("write {}", bound.def.name))??;
        telemetry::fail_point!("table.after_data_files");
        let committed = Committed {
            table: bound.def.name,
            rows,
            files: files.len(),
            bytes: files.iter().map(DataFile::file_size_in_bytes).sum(),
        };
        let table = self.publish(&bound, table, files, (reach, &behind)).await?;
        telemetry::fail_point!("table.before_tail_swap");
        self.swap(position, table, reach);
        telemetry::fail_point!("table.after_tail_swap");
        Ok(committed)
    }

    /// Appends the files as one snapshot. Whatever the answer was, the catalog is asked what happened.
    async fn publish(
        &self,
        bound: &Bound,
        table: Table,
        files: Vec<DataFile>,
        (reach, behind): (&Reach, &Behind),
    ) -> Result<Table> {
        let error = match self.append_snapshot(&table, files.clone(), (reach, behind)).await {
            Ok(table) => return Ok(table),
            Err(error) => error,
        };
        let name = bound.def.name;
        let failed = |error: iceberg::Error| {
            let text = format!("commit {name} at log offset {reach}: {}", error.message());
            Error::new(kind_of(&error), text).from_source(error)
        };
        match self.catalog.load_table(table.identifier()).await {
            Ok(now) if !reach.is_beyond(&committed_reach(now.metadata())) => Ok(now),
            // It may still be made: a snapshot without its files would be the end of the table.
            Ok(_) if is_unclear(&error) => Err(failed(error)),
            Ok(_) => {
                discard(&table, &files).await;
                Err(failed(error))
            }
            // Nobody knows: the files stay, the rows stay, the next commit looks again.
            Err(_) => Err(failed(error)),
        }
    }

    async fn append_snapshot(
        &self,
        table: &Table,
        files: Vec<DataFile>,
        until: (&Reach, &Behind),
    ) -> iceberg::Result<Table> {
        let now = append::append(self.catalog.as_ref(), table, files, until).await?;
        Ok(self.expire_many(now).await)
    }

    /// Lets old snapshots go when there are many: what counts is that the metadata file, which every commit writes anew,
    /// stays small. Those that a reader may still be at stay. A failure is tried again by the next commit.
    async fn expire_many(&self, table: Table) -> Table {
        if table.metadata().snapshots().len() < 2 * SNAPSHOTS_KEPT {
            return table;
        }
        let newest = table.metadata().current_snapshot().map_or(0, |snapshot| snapshot.timestamp_ms());
        let old = old_snapshots(table.metadata(), SNAPSHOTS_KEPT, newest - self.grace_ms + 1);
        if old.len() < SNAPSHOTS_KEPT {
            return table;
        }
        let now = match drop_snapshots(self.catalog.as_ref(), &table, old).await {
            Ok(now) => now,
            Err(error) => {
                tracing::warn!(%error, "cannot expire old snapshots; trying again with the next commit");
                return table;
            }
        };
        if let Err(error) = unlink_unreachable(table, now.clone()).await {
            tracing::warn!(%error, "files of expired snapshots stay as orphans");
        }
        now
    }
}
