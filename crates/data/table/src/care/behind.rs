//! Appending to a table that is ahead of the clock.
//!
//! A snapshot must not be older than its table, and the library stamps what it appends with the clock. Where the clock
//! was set back, or had been wrong once, commits would wait until it is past the table again: for as long as it had
//! jumped. So such a snapshot is made here, and takes the table's own time.

use super::clock;
use super::replace::{Part, prepare, stage};
use crate::catalog::Embedded;
use crate::warehouse::said;
use event::Reach;
use iceberg::spec::{DataFile, MAIN_BRANCH, Operation, SnapshotReference, SnapshotRetention};
use iceberg::table::Table;
use iceberg::{Error, ErrorKind, Result, TableRequirement, TableUpdate};

/// The library lets a snapshot be a minute older than its table.
const TOLERATED_MS: i64 = 30_000;

/// Whether the table has seen a later time than it is.
pub(crate) fn is_behind(table: &Table) -> bool {
    clock::now_ms() < table.metadata().last_updated_ms().saturating_sub(TOLERATED_MS)
}

/// Appends files as one snapshot that covers the log as far as `reach`.
///
/// # Errors
/// As the library's own append: after any, ask the catalog whether it was committed.
pub(crate) async fn append(
    catalog: &Embedded,
    table: &Table,
    files: Vec<DataFile>,
    reach: &Reach,
) -> Result<Table> {
    let failed = |error: crate::Error| Error::new(ErrorKind::Unexpected, error.to_string());
    let part = Part { added: files, ..Part::default() };
    let prepared = prepare(table.clone(), Operation::Append, vec![part]).await.map_err(failed)?;
    let staged = stage(table, Operation::Append, &prepared).await.map_err(failed)?;
    let Some((_, snapshot)) = staged else {
        return Err(Error::new(
            ErrorKind::CatalogCommitConflicts,
            "the table changed while it was appended to",
        ));
    };
    let retention = SnapshotRetention::branch(None, None, None);
    let reference = SnapshotReference::new(snapshot.snapshot_id(), retention);
    let updates = vec![
        TableUpdate::AddSnapshot { snapshot },
        TableUpdate::SetSnapshotRef { ref_name: MAIN_BRANCH.to_owned(), reference },
        // What a table covers is the greater of this and the newest summary, which repeats what was covered before.
        TableUpdate::SetProperties { updates: said(reach) },
    ];
    let requirements = [
        TableRequirement::UuidMatch { uuid: table.metadata().uuid() },
        TableRequirement::RefSnapshotIdMatch {
            r#ref: MAIN_BRANCH.to_owned(),
            snapshot_id: table.metadata().current_snapshot_id(),
        },
    ];
    catalog.commit(table.identifier(), &requirements, updates).await
}
