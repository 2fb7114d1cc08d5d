//! Rows of old days go, whole table partitions at a time.

use super::block::remove_of_files;
use super::live::{files, place};
use super::replace::Part;
use super::{Listener, Progress, aside};
use crate::warehouse::Warehouse;
use crate::{Error, Kind, Result};
use event::ProjectId;
use iceberg::spec::{ManifestEntryRef, Operation};
use iceberg::table::Table;
use std::collections::BTreeMap;

/// Tables whose rows are versions: the newest may be old and is still the truth.
const VERSIONED: [&str; 3] = ["persons", "person_distinct_ids", "groups"];

/// How often the table is looked through for files that moved meanwhile.
const PASSES: usize = 6;

/// What may go. Days count from 1970-01-01 UTC; `None` keeps everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The first day that stays, of projects not named below.
    pub first_day: Option<i32>,
    /// The same for single projects.
    pub projects: BTreeMap<ProjectId, Option<i32>>,
}

impl Retention {
    /// For one project, or for all.
    #[must_use]
    pub fn from_day(first_day: i32, project: Option<ProjectId>) -> Self {
        match project {
            None => Self { first_day: Some(first_day), projects: BTreeMap::new() },
            Some(project) => Self { first_day: None, projects: BTreeMap::from([(project, Some(first_day))]) },
        }
    }

    /// Whether nothing can ever go.
    #[must_use]
    pub fn keeps_all(&self) -> bool {
        self.first_day.is_none() && self.projects.values().all(Option::is_none)
    }

    /// Whether the rows of a team's day go.
    fn drops(&self, team: i64, day: i32) -> bool {
        let first = self.projects.get(&ProjectId(team)).copied().unwrap_or(self.first_day);
        first.is_some_and(|first| day < first)
    }
}

/// What a retention run did. The bytes are free when the snapshots that had them have expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Files dropped.
    pub files: usize,
    /// Rows dropped.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Bytes of replay blocks that the rows pointed to; free at once.
    pub block_bytes: u64,
}

impl Warehouse {
    /// Drops the table partitions of days before the first that stays. Rows that are still in memory go with the next
    /// run after they are committed.
    ///
    /// # Errors
    /// `Invalid` for a table whose rows are versions of something, `NotFound` for no such table; `Corrupt`, `Conflict`
    /// and `Unavailable` as reading and changing it.
    pub async fn retain(&self, table: &str, policy: &Retention, listener: Listener<'_>) -> Result<Retained> {
        let (_, bound, _) = self.current(table)?;
        let name = bound.def.name;
        if VERSIONED.contains(&name) {
            let text = format!("{name} holds the current state, however old: it has no retention");
            return Err(Error::new(Kind::Invalid, text));
        }
        let mut retained = Retained::default();
        if policy.keeps_all() {
            return Ok(retained);
        }
        for _ in 0..PASSES {
            let (_, _, at) = self.current(table)?;
            let parts = aside("planning retention", old_parts(at, policy.clone())).await?;
            let rows = parts.iter().map(|part| part.removed_rows).sum();
            listener(Progress {
                table: name,
                done: retained.files,
                total: retained.files + parts.len(),
                rows,
            });
            if parts.is_empty() {
                return Ok(retained);
            }
            // The rows are the only ones to know where the blocks are: those go first.
            let at = self.current(table)?.2;
            let gone = parts.iter().flat_map(|part| part.removed.iter().cloned()).collect();
            retained.block_bytes +=
                aside("removing replay blocks", remove_of_files(at, self.objects(), gone)).await?;
            let replaced = self.replace(name, Operation::Delete, parts).await?;
            for part in &replaced.done {
                retained.files += part.removed.len();
                retained.rows += part.removed_rows;
                retained.bytes += part.removed_bytes;
            }
            // A file that a compaction has just replaced lives on in its successor: that goes in the next pass.
            if replaced.lost == 0 {
                return Ok(retained);
            }
        }
        Err(Error::new(Kind::Conflict, format!("table {name} kept changing while old days were dropped")))
    }
}

/// The files of old days, one part each: one that was just replaced does not hold up the others.
async fn old_parts(table: Table, policy: Retention) -> Result<Vec<Part>> {
    let goes = |entry: &ManifestEntryRef| {
        place(&table, entry.data_file()).is_some_and(|(team, day)| policy.drops(team, day))
    };
    let old = files(&table).await?.into_iter().filter(goes);
    Ok(old.map(|entry| Part::without(&[entry])).collect())
}
