//! Rows of old days go, whole table partitions at a time.

use super::live::{files, place};
use super::replace::Part;
use super::{Listener, Progress, aside};
use crate::warehouse::Warehouse;
use crate::{Error, Kind, Result};
use event::ProjectId;
use iceberg::spec::{ManifestEntryRef, Operation};
use iceberg::table::Table;

/// Tables whose rows are versions: the newest may be old and is still the truth.
const VERSIONED: [&str; 3] = ["persons", "person_distinct_ids", "groups"];

/// How often the table is looked through for files that moved meanwhile.
const PASSES: usize = 6;

/// What may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// The first day (since 1970-01-01 UTC) that stays.
    pub first_day: i32,
    /// Only rows of this project.
    pub project: Option<ProjectId>,
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
        for _ in 0..PASSES {
            let (_, _, at) = self.current(table)?;
            let parts = aside("planning retention", old_parts(at, *policy)).await?;
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
        place(&table, entry.data_file()).is_some_and(|(team, day)| {
            day < policy.first_day && policy.project.is_none_or(|project| project.0 == team)
        })
    };
    let old = files(&table).await?.into_iter().filter(goes);
    Ok(old.map(|entry| Part::without(&[entry])).collect())
}
