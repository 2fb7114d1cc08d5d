//! Appending files as one snapshot, on top of whatever is there.
//!
//! The library's own append begins again on newer metadata whenever it is refused. Here that must not happen blindly: a
//! commit whose answer got lost may be what the table moved on by, and its rows must not go in twice. So the snapshot
//! is made here, with an id that can be looked for, and goes on top of another's only while the log offset that the
//! table covers is still the same. It takes the table's own time where the clock is behind it.

use super::replace::{Prepared, forget, prepare_append, stage};
use crate::catalog::{TableCatalog, is_unclear};
use crate::disk::Behind;
use crate::warehouse::{committed_reach, said};
use event::Reach;
use iceberg::io::FileIO;
use iceberg::spec::{DataFile, MAIN_BRANCH, Operation, Snapshot, SnapshotReference, SnapshotRetention};
use iceberg::table::Table;
use iceberg::{Error, ErrorKind, Result, Runtime, TableRequirement, TableUpdate};

/// How often a snapshot is put on top of what others committed meanwhile.
const ATTEMPTS: usize = 8;

/// Appends files as one snapshot that covers the log as far as `reach`. What was written through `table` is settled
/// before the catalog hears of it.
///
/// # Errors
/// As [`TableCatalog::commit`]. `CatalogCommitConflicts`, too, when the table came to cover another part of the log.
pub(crate) async fn append(
    catalog: &dyn TableCatalog,
    table: &Table,
    files: Vec<DataFile>,
    (reach, behind): (&Reach, &Behind),
) -> Result<Table> {
    let covered = committed_reach(table.metadata());
    let prepared = prepare_append(table, files, reach).await.map_err(failed)?;
    let mut table = table.clone();
    for _ in 0..ATTEMPTS {
        let (list, snapshot) = match staged(&table, &prepared).await {
            Ok(staged) => staged,
            Err(error) => {
                forget(&table, &prepared).await;
                return Err(error);
            }
        };
        if let Err(error) = behind.settle().await {
            let _ = table.file_io().delete(&list).await;
            forget(&table, &prepared).await;
            return Err(error);
        }
        let (requirements, updates) = change(&table, snapshot, reach);
        let error = match catalog.commit(table.identifier(), &requirements, updates).await {
            Ok(now) => return Ok(now),
            Err(error) if is_unclear(&error) => return Err(error),
            Err(error) => error,
        };
        let _ = table.file_io().delete(&list).await;
        let now = match error.kind() {
            ErrorKind::CatalogCommitConflicts => catalog.load_table(table.identifier()).await.ok(),
            _ => None,
        };
        match now.filter(|now| committed_reach(now.metadata()) == covered) {
            Some(now) => table = writing(&now, table.file_io().clone())?,
            None => {
                forget(&table, &prepared).await;
                return Err(error);
            }
        }
    }
    forget(&table, &prepared).await;
    Err(Error::new(ErrorKind::CatalogCommitConflicts, "the table kept changing while it was appended to"))
}

/// The same table, whose files are written another way.
pub(crate) fn writing(table: &Table, files: FileIO) -> Result<Table> {
    Table::builder()
        .identifier(table.identifier().clone())
        .metadata(table.metadata_ref())
        .metadata_location(table.metadata_location_result()?.to_owned())
        .file_io(files)
        .runtime(Runtime::try_current()?)
        .build()
}

fn failed(error: crate::Error) -> Error {
    Error::new(ErrorKind::Unexpected, error.to_string()).with_source(error)
}

async fn staged(table: &Table, prepared: &Prepared) -> Result<(String, Snapshot)> {
    let staged = stage(table, Operation::Append, prepared).await.map_err(failed)?;
    staged.ok_or_else(|| Error::new(ErrorKind::Unexpected, "an append leaves nothing out"))
}

fn change(table: &Table, snapshot: Snapshot, reach: &Reach) -> (Vec<TableRequirement>, Vec<TableUpdate>) {
    let retention = SnapshotRetention::branch(None, None, None);
    let reference = SnapshotReference::new(snapshot.snapshot_id(), retention);
    let updates = vec![
        TableUpdate::AddSnapshot { snapshot },
        TableUpdate::SetSnapshotRef { ref_name: MAIN_BRANCH.to_owned(), reference },
        // What a table covers is the greater of this and the newest summary, which repeats what was covered before.
        TableUpdate::SetProperties { updates: said(reach) },
    ];
    let requirements = vec![
        TableRequirement::UuidMatch { uuid: table.metadata().uuid() },
        TableRequirement::RefSnapshotIdMatch {
            r#ref: MAIN_BRANCH.to_owned(),
            snapshot_id: table.metadata().current_snapshot_id(),
        },
    ];
    (requirements, updates)
}
