//! Writing the manifests and the manifest list of a change.

use super::clock;
use crate::Result;
use crate::error::Context;
use iceberg::spec::{
    DataFile, DataFileBuilder, ManifestEntryRef, ManifestFile, ManifestListWriter, ManifestWriterBuilder,
    PartitionSpecRef, TableMetadata,
};
use iceberg::table::Table;

/// Files a manifest names at most: about 4 MB of it.
const FILES: usize = 1500;

/// What a manifest says about a file.
pub(super) enum Line {
    /// It stays.
    Existing(ManifestEntryRef),
    /// It is gone as of this snapshot.
    Removed(ManifestEntryRef),
    /// It is new as of this snapshot.
    Added(Box<DataFile>),
}

impl Line {
    /// The file.
    pub(super) fn file(&self) -> &DataFile {
        match self {
            Self::Existing(entry) | Self::Removed(entry) => entry.data_file(),
            Self::Added(file) => file,
        }
    }
}

/// Writes lines of one partition spec as manifests of the snapshot `id`, files of a table partition together.
pub(super) async fn write(
    table: &Table,
    id: i64,
    spec: &PartitionSpecRef,
    mut lines: Vec<Line>,
) -> Result<Vec<ManifestFile>> {
    lines.sort_by(|a, b| a.file().file_path().cmp(b.file().file_path()));
    let mut written = Vec::new();
    let mut lines = lines.into_iter().peekable();
    while lines.peek().is_some() {
        let part: Vec<Line> = lines.by_ref().take(FILES).collect();
        let done = write_one(table, id, spec, part).await;
        let name = table.identifier();
        written.push(done.context(crate::Kind::Unavailable, || format!("write a manifest of {name}"))?);
    }
    Ok(written)
}

fn metadata_location(metadata: &TableMetadata, name: &str) -> String {
    format!("{}/metadata/{name}.avro", metadata.location())
}

async fn write_one(
    table: &Table,
    id: i64,
    spec: &PartitionSpecRef,
    lines: Vec<Line>,
) -> iceberg::Result<ManifestFile> {
    let metadata = table.metadata();
    let output =
        table.file_io().new_output(metadata_location(metadata, &format!("{}-m", clock::fresh_name())))?;
    let schema = metadata.current_schema().clone();
    let mut writer =
        ManifestWriterBuilder::new(output, Some(id), schema, spec.as_ref().clone()).build_v2_data();
    let unnumbered =
        || iceberg::Error::new(iceberg::ErrorKind::DataInvalid, "a live file has no sequence number");
    for line in lines {
        match line {
            // A sequence number below zero: that of the snapshot.
            Line::Added(file) => writer.add_file(*file, -1)?,
            Line::Existing(entry) => {
                let sequence = entry.sequence_number().ok_or_else(unnumbered)?;
                let added = entry.snapshot_id().ok_or_else(unnumbered)?;
                let file = entry.data_file().clone();
                writer.add_existing_file(file, added, sequence, entry.file_sequence_number)?;
            }
            Line::Removed(entry) => {
                let sequence = entry.sequence_number().ok_or_else(unnumbered)?;
                writer.add_delete_file(bare(entry.data_file())?, sequence, entry.file_sequence_number)?;
            }
        }
    }
    writer.write_manifest_file().await
}

/// A file without what is known about its columns: nobody reads that of a removed file.
fn bare(file: &DataFile) -> iceberg::Result<DataFile> {
    let mut builder = DataFileBuilder::default();
    builder
        .content(file.content_type())
        .file_path(file.file_path().to_owned())
        .file_format(file.file_format())
        .partition(file.partition().clone())
        .record_count(file.record_count())
        .file_size_in_bytes(file.file_size_in_bytes());
    builder.build().map_err(|error| {
        iceberg::Error::new(iceberg::ErrorKind::Unexpected, "incomplete removed file").with_source(error)
    })
}

/// Writes the list of the snapshot `id`, a child of the current one; gives its location.
pub(super) async fn write_list(
    table: &Table,
    id: i64,
    manifests: Vec<ManifestFile>,
) -> iceberg::Result<String> {
    let metadata = table.metadata();
    let location = metadata_location(metadata, &format!("snap-{id}-0-{}", clock::fresh_name()));
    let output = table.file_io().new_output(&location)?.writer().await?;
    let parent = metadata.current_snapshot_id();
    let mut list = ManifestListWriter::v2(output, id, parent, metadata.next_sequence_number());
    list.add_manifests(manifests.into_iter())?;
    list.close().await?;
    Ok(location)
}
