//! The data files of a snapshot, as its manifests tell them.

use crate::error::kind_of;
use crate::{Error, Kind, Result};
use iceberg::spec::{
    DataFile, Literal, ManifestContentType, ManifestEntryRef, ManifestFile, PrimitiveLiteral, SnapshotRef,
};
use iceberg::table::Table;

/// A team and a day since 1970.
pub(super) type Place = (i64, i32);

/// Where a file's rows belong; none when it follows another partition spec than the table's own.
pub(super) fn place(table: &Table, file: &DataFile) -> Option<Place> {
    match file.partition().fields() {
        [
            Some(Literal::Primitive(PrimitiveLiteral::Long(team))),
            Some(Literal::Primitive(PrimitiveLiteral::Int(day))),
        ] if table.metadata().partition_specs_iter().len() == 1 => Some((*team, *day)),
        _ => None,
    }
}

fn unread(table: &Table, path: &str, error: iceberg::Error) -> Error {
    Error::new(kind_of(&error), format!("table {}: cannot read {path}", table.identifier()))
        .from_source(error)
}

/// The manifests of one snapshot.
pub(crate) async fn manifests(table: &Table, snapshot: &SnapshotRef) -> Result<Vec<ManifestFile>> {
    let list = table.manifest_list_reader(snapshot).load().await;
    let list = list.map_err(|error| unread(table, snapshot.manifest_list(), error))?;
    Ok(list.consume_entries().into_iter().collect())
}

/// The manifests of the current snapshot: none before the first.
pub(super) async fn current_manifests(table: &Table) -> Result<Vec<ManifestFile>> {
    match table.metadata().current_snapshot() {
        Some(snapshot) => manifests(table, snapshot).await,
        None => Ok(Vec::new()),
    }
}

/// The files of one manifest that are part of the table.
pub(crate) async fn entries(table: &Table, manifest: &ManifestFile) -> Result<Vec<ManifestEntryRef>> {
    let loaded = manifest.load_manifest(table.file_io()).await;
    let loaded = loaded.map_err(|error| unread(table, &manifest.manifest_path, error))?;
    Ok(loaded.into_parts().0.into_iter().filter(|entry| entry.is_alive()).collect())
}

/// Whether a manifest names any file that is part of the table.
pub(crate) fn has_live(manifest: &ManifestFile) -> bool {
    manifest.has_added_files() || manifest.has_existing_files()
}

/// Refuses a table whose rows are partly taken back by delete files: rewriting a file would bring them back.
pub(super) fn refuse_deletes(table: &Table, manifests: &[ManifestFile]) -> Result<()> {
    if manifests.iter().any(|manifest| manifest.content == ManifestContentType::Deletes && has_live(manifest))
    {
        let text = format!(
            "table {} has delete files of another program; have that program compact it first",
            table.identifier()
        );
        return Err(Error::new(Kind::Invalid, text));
    }
    Ok(())
}

/// All data files of the current snapshot, oldest first.
pub(super) async fn files(table: &Table) -> Result<Vec<ManifestEntryRef>> {
    let manifests = current_manifests(table).await?;
    refuse_deletes(table, &manifests)?;
    let mut files = Vec::new();
    for manifest in manifests.iter().filter(|manifest| has_live(manifest)) {
        files.extend(entries(table, manifest).await?);
    }
    files.sort_by_key(|entry| entry.sequence_number());
    Ok(files)
}
