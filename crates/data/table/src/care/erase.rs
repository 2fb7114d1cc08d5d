//! The rows of a person go: files that hold some are written anew without them.
//!
//! The contract. What was folded before an erasure is committed, and the person is gone from the metastore, when
//! [`Warehouse::marks`] is asked: an erasure takes rows out of what the tables held at that moment. Files that were
//! appended later are left alone, since the same distinct id may have come back as a new person. Nothing else may
//! rewrite files between the two, or old rows would seem new: care does one thing at a time. A log that is folded again
//! does not bring rows back, because every table leaves out what is below its own offset. Files with the rows are gone
//! from the disk when the snapshots that had them have expired, which no `keep` holds up: [`Warehouse::expire`].

use super::block::{self, Blocks};
use super::live::{files, place};
use super::replace::Part;
use super::rewrite::{Rewrite, Sieve, all_columns};
use super::{Listener, Progress, aside, scan};
use crate::error::Context;
use crate::objects::Objects;
use crate::schema::{SESSION_REPLAY_BLOCKS, TABLES, TableDef};
use crate::warehouse::Warehouse;
use crate::{Error, Kind, Result};
use arrow::array::BooleanArray;
use arrow::record_batch::RecordBatch;
use event::ProjectId;
use iceberg::spec::{ManifestEntryRef, Operation};
use iceberg::table::Table;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
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
    /// What each table held when the person was forgotten, from [`Warehouse::marks`]; all of it for tables not named.
    pub marks: Marks,
}

/// A moment of every table: the sequence number of its newest snapshot.
pub type Marks = BTreeMap<String, i64>;

/// What an erasure did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Files rewritten or dropped.
    pub files: usize,
    /// Rows gone.
    pub rows: u64,
    /// Rows with these ids still in memory: of a new person with an old id, when there are marks.
    pub fresh_rows: u64,
    /// Bytes of the person's replay blocks; gone at once.
    pub block_bytes: u64,
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
    /// It is the session of a recording.
    Session,
}

/// The columns that tell, by their names in the declarations.
fn telling(def: &TableDef) -> Vec<(&'static str, Tells)> {
    let tells = |name: &'static str| match (def.name, name) {
        (_, "distinct_id") => Some((name, Tells::DistinctId)),
        (_, "person_id") | ("persons", "id") => Some((name, Tells::PersonId)),
        ("ingestion_warnings", "details") | ("dead_letter", "payload") => Some((name, Tells::Inside)),
        ("session_replay_blocks", "session_id") => Some((name, Tells::Session)),
        _ => None,
    };
    def.columns.iter().filter_map(|column| tells(column.name)).collect()
}

impl Erasure {
    /// Which rows of a batch stay. The batch has `team_id` and the columns that tell.
    fn stays(
        &self,
        columns: &Columns,
        sessions: &HashSet<String>,
        batch: &RecordBatch,
    ) -> Result<BooleanArray> {
        let teams = scan::teams(batch)?;
        let persons: BTreeSet<String> = self.person_ids.iter().map(Uuid::to_string).collect();
        let quoted: Vec<String> = self.distinct_ids.iter().chain(&persons).map(|id| quoted(id)).collect();
        let mut goes = vec![false; batch.num_rows()];
        for &(name, tells) in columns {
            for (row, text) in scan::texts(batch, name)?.iter().enumerate() {
                let Some(text) = text else { continue };
                goes[row] |= match tells {
                    Tells::DistinctId => self.distinct_ids.contains(text),
                    Tells::PersonId => persons.contains(text),
                    Tells::Inside => quoted.iter().any(|id| text.contains(id.as_str())),
                    Tells::Session => sessions.contains(text),
                };
            }
        }
        let project = self.project.0;
        Ok(goes.iter().zip(teams.values()).map(|(goes, team)| Some(!(*goes && *team == project))).collect())
    }
}

/// Columns that tell whose row it is.
type Columns = Vec<(&'static str, Tells)>;

fn quoted(id: &str) -> String {
    serde_json::Value::from(id).to_string()
}

/// How many rows of a file go.
fn matches(objects: &Objects, sieve: &Sieve, columns: &Columns, entry: &ManifestEntryRef) -> Result<u64> {
    let mut count = 0;
    scan::columns(objects, entry, columns.iter().map(|(name, _)| *name).chain(["team_id"]), |batch| {
        let stays = sieve(batch)?;
        count += (stays.len() - stays.true_count()) as u64;
        Ok(())
    })?;
    Ok(count)
}

/// Whether a file was appended by a commit of this program, as its name tells.
fn is_commit(path: &str) -> bool {
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let Some((offset, id)) = stem.rsplit_once('-') else { return false };
    offset.len() >= 12 && offset.bytes().all(|digit| digit.is_ascii_digit()) && Uuid::try_parse(id).is_ok()
}

/// Where a person's rows may be: everywhere but in what was committed after `mark`, and in files of other projects.
async fn suspects(table: &Table, project: ProjectId, mark: Option<i64>) -> Result<Vec<ManifestEntryRef>> {
    let mut found = files(table).await?;
    found.retain(|entry| {
        let later = mark.is_some_and(|mark| entry.sequence_number().is_some_and(|number| number > mark));
        let here = place(table, entry.data_file()).is_none_or(|(team, _)| team == project.0);
        here && (!later || !is_commit(entry.file_path()))
    });
    Ok(found)
}

/// What is looked for, and where.
#[derive(Clone)]
struct Search {
    table: Table,
    objects: Objects,
    def: &'static TableDef,
    project: ProjectId,
    mark: Option<i64>,
    sieve: Sieve,
}

/// The files with rows that go. Notes those without any in `clean`, so that they are read once.
async fn dirty(
    search: Search,
    mut clean: HashSet<String>,
) -> Result<(Vec<ManifestEntryRef>, HashSet<String>)> {
    let Search { table, objects, def, project, mark, sieve } = search;
    let columns = telling(def);
    let mut dirty = Vec::new();
    for entry in suspects(&table, project, mark).await? {
        if clean.contains(entry.file_path()) {
            continue;
        }
        if matches(&objects, &sieve, &columns, &entry)? == 0 {
            clean.insert(entry.file_path().to_owned());
        } else if place(&table, entry.data_file()).is_some() {
            dirty.push(entry);
        } else {
            let text =
                format!("{} follows another partition spec; it cannot be rewritten", entry.file_path());
            return Err(Error::new(Kind::Invalid, text));
        }
    }
    Ok((dirty, clean))
}

/// Removes the replay blocks of rows that go; gives the bytes.
async fn remove_blocks(
    (table, objects): (Table, Objects),
    sieve: Sieve,
    found: Vec<ManifestEntryRef>,
) -> Result<u64> {
    let mut blocks = Blocks::default();
    let columns = telling(&SESSION_REPLAY_BLOCKS);
    for entry in found {
        let names = columns.iter().map(|(name, _)| *name).chain(["team_id", block::ADDRESS]);
        scan::columns(&objects, &entry, names, |batch| {
            let stays = sieve(batch)?;
            let addresses = scan::texts(batch, block::ADDRESS)?;
            let gone = addresses.iter().zip(stays.values()).filter(|(_, stays)| !stays);
            gone.filter_map(|(address, _)| address).try_for_each(|address| blocks.add(address))
        })?;
    }
    blocks.remove(table.file_io()).await
}

/// Ids that lead to each other: `distinct_ids` and `person_ids`, as rows of `person_distinct_ids` link them.
async fn linked((table, objects): (Table, Objects), mut whose: Erasure) -> Result<Erasure> {
    let mark = whose.marks.get(table.identifier().name()).copied();
    let files = suspects(&table, whose.project, mark).await?;
    loop {
        let known = whose.distinct_ids.len() + whose.person_ids.len();
        for entry in &files {
            scan::columns(&objects, entry, ["team_id", "distinct_id", "person_id"], |batch| {
                let (teams, ids) = (scan::teams(batch)?, scan::texts(batch, "distinct_id")?);
                let persons = scan::texts(batch, "person_id")?;
                for ((team, id), person) in teams.values().iter().zip(ids.iter()).zip(persons.iter()) {
                    let (Some(id), Some(person)) = (id, person.and_then(|id| Uuid::parse_str(id).ok()))
                    else {
                        continue;
                    };
                    let is_theirs = whose.distinct_ids.contains(id) || whose.person_ids.contains(&person);
                    if *team == whose.project.0 && is_theirs {
                        whose.person_ids.insert(person);
                        whose.distinct_ids.insert(id.to_owned());
                    }
                }
                Ok(())
            })?;
        }
        if whose.distinct_ids.len() + whose.person_ids.len() == known {
            return Ok(whose);
        }
    }
}

/// The sessions in which the person was recorded.
async fn sessions((table, objects): (Table, Objects), whose: Erasure) -> Result<HashSet<String>> {
    let mark = whose.marks.get(table.identifier().name()).copied();
    let mut sessions = HashSet::new();
    for entry in suspects(&table, whose.project, mark).await? {
        scan::columns(&objects, &entry, ["team_id", "distinct_id", "session_id"], |batch| {
            let (teams, ids) = (scan::teams(batch)?, scan::texts(batch, "distinct_id")?);
            let named = scan::texts(batch, "session_id")?;
            let rows = teams.values().iter().zip(ids.iter()).zip(named.iter());
            let theirs = rows.filter(|((team, id), _)| {
                **team == whose.project.0 && id.is_some_and(|id| whose.distinct_ids.contains(id))
            });
            sessions.extend(theirs.filter_map(|(_, session)| session.map(str::to_owned)));
            Ok(())
        })?;
    }
    Ok(sessions)
}

impl Warehouse {
    /// What every table holds now, for [`Erasure::marks`].
    pub fn marks(&self) -> Result<Marks> {
        let mark = |def: &TableDef| {
            let (_, _, table) = self.current(def.name)?;
            Ok((def.name.to_owned(), table.metadata().last_sequence_number()))
        };
        TABLES.into_iter().map(mark).collect()
    }

    /// Adds every distinct id and person id that the tables link to those given: a person that others were merged into
    /// has theirs too. Ask before anything is erased.
    ///
    /// # Errors
    /// `Corrupt` and `Unavailable` as reading `person_distinct_ids`.
    pub async fn links(&self, whose: Erasure) -> Result<Erasure> {
        let (_, _, at) = self.current("person_distinct_ids")?;
        aside("looking for the ids of a person", linked((at, self.objects()), whose)).await
    }

    /// Takes the rows of a person out of one table. See the module for what the caller must see to.
    ///
    /// # Errors
    /// `NotFound` for no such table; `Invalid` when files of other programs are in the way; `Conflict` when the table
    /// kept changing: what was done stays done, ask again. `Corrupt` and `Unavailable` as reading and changing it.
    pub async fn erase(&self, table: &str, whose: &Erasure, listener: Listener<'_>) -> Result<Erased> {
        let (position, bound, at) = self.current(table)?;
        let def = bound.def;
        let mut erased = Erased::default();
        if telling(def).is_empty() {
            return Ok(erased);
        }
        let is_replay = def.name == SESSION_REPLAY_BLOCKS.name;
        let sessions = match is_replay {
            true => {
                aside("looking for a person's sessions", sessions((at, self.objects()), whose.clone()))
                    .await?
            }
            false => HashSet::new(),
        };
        let (judge, columns) = (whose.clone(), telling(def));
        let sieve: Sieve = Arc::new(move |batch| judge.stays(&columns, &sessions, batch));
        let mark = whose.marks.get(def.name).copied();
        let mut clean = HashSet::new();
        for _ in 0..PASSES {
            let (_, _, at) = self.current(table)?;
            let search = Search {
                table: at.clone(),
                objects: self.objects(),
                def,
                project: whose.project,
                mark,
                sieve: sieve.clone(),
            };
            let found;
            (found, clean) = aside("looking for a person's rows", dirty(search, clean)).await?;
            listener(Progress { table: def.name, done: 0, total: found.len(), rows: erased.rows });
            if found.is_empty() {
                for batch in self.fresh(position)? {
                    let stays = sieve(&batch)?;
                    erased.fresh_rows += (stays.len() - stays.true_count()) as u64;
                }
                return Ok(erased);
            }
            if is_replay {
                // The rows are the only ones to know where the blocks are: those go first.
                let blocks = remove_blocks((at.clone(), self.objects()), sieve.clone(), found.clone());
                erased.block_bytes += aside("removing replay blocks", blocks).await?;
            }
            let bound = all_columns(&bound, &at)?;
            let parts = self.without(&at, &bound, (found, sieve.clone()), listener).await?;
            let replaced = self.replace(def.name, Operation::Overwrite, parts).await?;
            for part in &replaced.done {
                let left: u64 = part.added.iter().map(|file| file.record_count()).sum();
                erased.files += part.removed.len();
                erased.rows += part.removed_rows.saturating_sub(left);
            }
        }
        Err(Error::new(Kind::Conflict, format!("{} kept changing while rows were erased", def.name)))
    }

    /// Writes files anew without the rows that go.
    async fn without(
        &self,
        at: &Table,
        bound: &crate::schema::Bound,
        (found, sieve): (Vec<ManifestEntryRef>, Sieve),
        listener: Listener<'_>,
    ) -> Result<Vec<Part>> {
        let mut progress = Progress { table: bound.def.name, done: 0, total: found.len(), rows: 0 };
        let mut parts: Vec<Part> = Vec::with_capacity(found.len());
        for entry in found {
            let Some(place) = place(at, entry.data_file()) else { continue };
            let sieve = Some(sieve.clone());
            let stopped = self.stopped.clone();
            let (table, bound) = (at.clone(), bound.clone());
            progress.rows += entry.record_count();
            let (files, target_bytes) = (vec![entry], usize::MAX);
            let objects = self.objects();
            let rewrite = Rewrite { table, objects, bound, place, files, target_bytes, stopped, sieve };
            let done = tokio::task::spawn_blocking(move || rewrite.run()).await;
            match done.context(Kind::Bug, || format!("erase rows of {}", at.identifier()))? {
                Ok(done) => parts.push(done.part),
                Err(error) => {
                    for part in &parts {
                        crate::write::discard(at, &part.added).await;
                    }
                    return Err(error);
                }
            }
            progress.done += 1;
            listener(progress);
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_commits_are_told_by_their_names() {
        let id = Uuid::now_v7().simple();
        assert!(is_commit(&format!("file:///d/000000000007-{id}.parquet")));
        for other in [format!("care-{id}"), format!("00000-0-{id}"), format!("0000-{id}"), "x".to_owned()] {
            assert!(!is_commit(&format!("file:///d/{other}.parquet")), "{other}");
        }
    }
}
