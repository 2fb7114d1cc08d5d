//! The rows of a person go: files that hold some are written anew without them.
//!
//! The contract. This crate erases what is committed. Before it is asked the caller sees to it that no new rows of the
//! person are folded (the person is deleted in the metastore and refused at the door), and that what was folded before
//! is committed. [`Erased::fresh_rows`] says how many rows in memory would still bring the person back: unless it is
//! 0, commit and ask again. A log that is folded again does not bring rows back, because every table leaves out what is
//! below its own offset. Files with the rows are gone from the disk when the snapshots that had them have expired:
//! [`Warehouse::expire`] with `keep: 1`, after its grace period. Recorded replay blocks are objects outside the
//! tables: remove those that the rows of `session_replay_blocks` name before erasing the rows.

use super::live::{files, place};
use super::replace::Part;
use super::rewrite::{Rewrite, Sieve, all_columns};
use super::{Listener, Progress, aside};
use crate::error::Context;
use crate::objects::Objects;
use crate::schema::TableDef;
use crate::warehouse::Warehouse;
use crate::{Error, Kind, Result};
use arrow::array::{AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use event::ProjectId;
use iceberg::spec::{ManifestEntryRef, Operation};
use iceberg::table::Table;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// How often the table is looked through for rows that were committed or moved meanwhile.
const PASSES: usize = 6;

/// Whose rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Their project.
    pub project: ProjectId,
    /// Every distinct id the person ever had.
    pub distinct_ids: BTreeSet<String>,
    /// The person and every person merged into it.
    pub person_ids: BTreeSet<Uuid>,
}

/// What an erasure did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Files rewritten or dropped.
    pub files: usize,
    /// Rows gone.
    pub rows: u64,
    /// Rows of the person still in memory.
    pub fresh_rows: u64,
}

/// How a column tells whose row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// It is a distinct id.
    DistinctId,
    /// It is a person id.
    PersonId,
    /// It is JSON with a distinct id or person id as one of its strings.
    Inside,
}

/// The columns that tell, by their names in the declarations.
fn telling(def: &TableDef) -> Vec<(&'static str, Tells)> {
    let tells = |name: &'static str| match (def.name, name) {
        (_, "distinct_id") => Some((name, Tells::DistinctId)),
        (_, "person_id") | ("persons", "id") => Some((name, Tells::PersonId)),
        ("ingestion_warnings", "details") => Some((name, Tells::Inside)),
        _ => None,
    };
    def.columns.iter().filter_map(|column| tells(column.name)).collect()
}

impl Erasure {
    /// Which rows of a batch stay. The batch has `team_id` and the columns that tell.
    fn stays(&self, columns: &[(&'static str, Tells)], batch: &RecordBatch) -> Result<BooleanArray> {
        let bug = |name: &str| Error::new(Kind::Bug, format!("rows without {name}"));
        let team = batch.column_by_name("team_id").ok_or_else(|| bug("team_id"))?;
        let team =
            cast(team, &DataType::Int64).context(Kind::Corrupt, || "team_id is no number".to_owned())?;
        let team = team.as_primitive::<arrow::datatypes::Int64Type>();
        let persons: BTreeSet<String> = self.person_ids.iter().map(Uuid::to_string).collect();
        let quoted: Vec<String> = self.distinct_ids.iter().chain(&persons).map(|id| quoted(id)).collect();
        let mut goes = vec![false; batch.num_rows()];
        for &(name, tells) in columns {
            let column = batch.column_by_name(name).ok_or_else(|| bug(name))?;
            let column =
                cast(column, &DataType::Utf8).context(Kind::Corrupt, || format!("{name} is no text"))?;
            for (row, text) in column.as_string::<i32>().iter().enumerate() {
                let Some(text) = text else { continue };
                goes[row] |= match tells {
                    Tells::DistinctId => self.distinct_ids.contains(text),
                    Tells::PersonId => persons.contains(text),
                    Tells::Inside => quoted.iter().any(|id| text.contains(id.as_str())),
                };
            }
        }
        let project = self.project.0;
        Ok(goes.iter().zip(team.values()).map(|(goes, team)| Some(!(*goes && *team == project))).collect())
    }
}

fn quoted(id: &str) -> String {
    serde_json::Value::from(id).to_string()
}

/// How many rows of a file go.
fn matches(
    objects: &Objects,
    sieve: &Sieve,
    columns: &[(&'static str, Tells)],
    entry: &ManifestEntryRef,
) -> Result<u64> {
    let unread = || format!("read {}", entry.file_path());
    let file = objects.fetch(entry.file_path())?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).context(Kind::Corrupt, unread)?;
    let names = columns.iter().map(|(name, _)| *name).chain(["team_id"]);
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let reader = builder.with_projection(mask).build().context(Kind::Corrupt, unread)?;
    let mut count = 0;
    for batch in reader {
        let stays = sieve(&batch.context(Kind::Corrupt, unread)?)?;
        count += (stays.len() - stays.true_count()) as u64;
    }
    Ok(count)
}

/// The files with rows that go; `clean` learns those without.
async fn dirty(
    (table, objects): (Table, Objects),
    def: &'static TableDef,
    project: ProjectId,
    sieve: Sieve,
    mut clean: HashSet<String>,
) -> Result<(Vec<ManifestEntryRef>, HashSet<String>)> {
    let columns = telling(def);
    let mut dirty = Vec::new();
    for entry in files(&table).await? {
        let place = place(&table, entry.data_file());
        if clean.contains(entry.file_path()) || place.is_some_and(|(team, _)| team != project.0) {
            continue;
        }
        if matches(&objects, &sieve, &columns, &entry)? == 0 {
            clean.insert(entry.file_path().to_owned());
        } else if place.is_some() {
            dirty.push(entry);
        } else {
            let text =
                format!("{} follows another partition spec; it cannot be rewritten", entry.file_path());
            return Err(Error::new(Kind::Invalid, text));
        }
    }
    Ok((dirty, clean))
}

impl Warehouse {
    /// Takes the rows of a person out of one table. See the module for what the caller must see to.
    ///
    /// # Errors
    /// `NotFound` for no such table; `Invalid` when files of other programs are in the way; `Conflict` when the table
    /// kept changing: what was done stays done, ask again. `Corrupt` and `Unavailable` as reading and changing it.
    pub async fn erase(&self, table: &str, whose: &Erasure, listener: Listener<'_>) -> Result<Erased> {
        let (position, bound, _) = self.current(table)?;
        let def = bound.def;
        let columns = telling(def);
        let mut erased = Erased::default();
        if columns.is_empty() {
            return Ok(erased);
        }
        let judge = whose.clone();
        let sieve: Sieve = Arc::new(move |batch| judge.stays(&columns, batch));
        let mut clean = HashSet::new();
        for _ in 0..PASSES {
            let (_, _, at) = self.current(table)?;
            let look = dirty((at.clone(), self.objects()), def, whose.project, sieve.clone(), clean);
            let found;
            (found, clean) = aside("looking for a person's rows", look).await?;
            let mut progress = Progress { table: def.name, done: 0, total: found.len(), rows: erased.rows };
            listener(progress);
            if found.is_empty() {
                for batch in self.fresh(position)? {
                    let stays = sieve(&batch)?;
                    erased.fresh_rows += (stays.len() - stays.true_count()) as u64;
                }
                return Ok(erased);
            }
            let bound = all_columns(&bound, &at)?;
            let mut parts: Vec<Part> = Vec::with_capacity(found.len());
            for entry in found {
                let Some(place) = place(&at, entry.data_file()) else { continue };
                let sieve = Some(sieve.clone());
                let stopped = self.stopped.clone();
                let (table, bound) = (at.clone(), bound.clone());
                let (files, target_bytes) = (vec![entry], usize::MAX);
                let objects = self.objects();
                let rewrite = Rewrite { table, objects, bound, place, files, target_bytes, stopped, sieve };
                let done = tokio::task::spawn_blocking(move || rewrite.run()).await;
                match done.context(Kind::Bug, || format!("erase rows of {}", def.name))? {
                    Ok(done) => parts.push(done.part),
                    Err(error) => {
                        for part in &parts {
                            crate::write::discard(&at, &part.added).await;
                        }
                        return Err(error);
                    }
                }
                progress.done += 1;
                listener(progress);
            }
            let replaced = self.replace(def.name, Operation::Overwrite, parts).await?;
            for part in &replaced.done {
                let left: u64 = part.added.iter().map(|file| file.record_count()).sum();
                erased.files += part.removed.len();
                erased.rows += part.removed_rows.saturating_sub(left);
            }
        }
        Err(Error::new(Kind::Conflict, format!("{} kept changing while rows were erased", def.name)))
    }
}
