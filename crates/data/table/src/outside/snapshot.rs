//! Snapshots that another program adds to one of our tables: read to the last new manifest before they are taken.
//!
//! A snapshot that cannot be read would stop every query and every commit of the table; one that names files outside
//! the table's folder would have them unlinked when it expires; one that forgets files would lose rows. Delete files are
//! refused because queries here read data files alone.

use super::name::is_inside;
use super::{Fault, Reason};
use crate::care::now_ms;
use crate::warehouse::is_ours;
use futures::{StreamExt, stream};
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileFormat, Literal, Manifest, ManifestContentType, ManifestFile,
    ManifestStatus, PrimitiveLiteral, SnapshotRef, TableMetadata,
};
use iceberg::table::Table;
use std::collections::{HashMap, HashSet};

/// Milliseconds a snapshot may be ahead of the clock here: the library refuses to commit on one that is a minute ahead.
const AHEAD_MS: i64 = 30_000;
/// Bytes of one manifest or manifest list.
const MANIFEST_BYTES: u64 = 64 << 20;
/// Manifests of a snapshot that its parent does not have.
const NEW_MANIFESTS: usize = 2000;
/// Files looked for at once.
const LOOKS: usize = 16;

/// Checks the snapshots of `after` that `before` does not have.
///
/// # Errors
/// `Refused` with what is wrong; `Busy` when the storage does not answer.
pub(super) async fn check(before: &Table, after: &TableMetadata) -> Result<(), Fault> {
    let is_new = |snapshot: &&SnapshotRef| before.metadata().snapshot_by_id(snapshot.snapshot_id()).is_none();
    let mut new: Vec<&SnapshotRef> = after.snapshots().filter(is_new).collect();
    new.sort_by_key(|snapshot| snapshot.sequence_number());
    for snapshot in new {
        let parent = snapshot.parent_snapshot_id().and_then(|id| after.snapshot_by_id(id));
        One { table: before, snapshot, id: snapshot.snapshot_id() }.check(parent).await?;
    }
    Ok(())
}

/// One new snapshot.
struct One<'a> {
    table: &'a Table,
    snapshot: &'a SnapshotRef,
    id: i64,
}

impl One<'_> {
    fn refuse<T>(&self, why: impl std::fmt::Display) -> Result<T, Fault> {
        Err(Fault::refused(format!(
            "Snapshot {} cannot be added to {}: {why}",
            self.id,
            self.table.identifier()
        )))
    }

    async fn check(&self, parent: Option<&SnapshotRef>) -> Result<(), Fault> {
        self.check_words()?;
        let manifests = self.manifests(self.snapshot).await?;
        let inherited: HashMap<String, ManifestFile> = match parent {
            Some(parent) => {
                self.manifests(parent).await?.into_iter().map(|m| (m.manifest_path.clone(), m)).collect()
            }
            None => HashMap::new(),
        };
        let paths: HashSet<&str> = manifests.iter().map(|manifest| manifest.manifest_path.as_str()).collect();
        let new: Vec<&ManifestFile> =
            manifests.iter().filter(|manifest| !inherited.contains_key(&manifest.manifest_path)).collect();
        if new.len() > NEW_MANIFESTS {
            return self.refuse(format_args!("it has more than {NEW_MANIFESTS} new manifests."));
        }
        let mut named = HashSet::new();
        for manifest in new {
            self.check_manifest(manifest)?;
            let read = self.read(manifest).await?;
            self.check_files(&read).await?;
            named.extend(read.entries().iter().map(|entry| entry.file_path().to_owned()));
        }
        for (_, manifest) in inherited.iter().filter(|(path, _)| !paths.contains(path.as_str())) {
            for entry in self.read(manifest).await?.entries().iter().filter(|entry| entry.is_alive()) {
                if !named.contains(entry.file_path()) {
                    return self.refuse(format_args!(
                        "it leaves out {} without saying that it is deleted.",
                        entry.file_path()
                    ));
                }
            }
        }
        Ok(())
    }

    /// What the snapshot says of itself.
    fn check_words(&self) -> Result<(), Fault> {
        let said = &self.snapshot.summary().additional_properties;
        if let Some(key) = said.keys().find(|key| is_ours(key)) {
            return self.refuse(format_args!("{key} is said by Tenrec's own commits only."));
        }
        for (key, value) in said.iter().filter(|(key, _)| key.starts_with("total-")) {
            if value.parse::<u64>().map_or(true, |total| i64::try_from(total).is_err()) {
                return self.refuse(format_args!("{key} of its summary is no count."));
            }
        }
        if self.snapshot.timestamp_ms() > now_ms() + AHEAD_MS {
            return self.refuse("its time is in the future; set the clock of the machine that made it.");
        }
        if self.snapshot.encryption_key_id().is_some() {
            return self.refuse("it is encrypted.");
        }
        if !self.is_ours(self.snapshot.manifest_list()) {
            return self.refuse("its manifest list does not lie in the table's folder.");
        }
        Ok(())
    }

    fn is_ours(&self, path: &str) -> bool {
        is_inside(self.table.metadata().location(), path)
    }

    fn check_manifest(&self, manifest: &ManifestFile) -> Result<(), Fault> {
        let path = &manifest.manifest_path;
        if manifest.content != ManifestContentType::Data {
            return self.refuse(
                "it has delete files, which queries here do not read. Rewrite the files instead: \
                 write.delete.mode, write.update.mode and write.merge.mode copy-on-write.",
            );
        }
        if manifest.partition_spec_id != self.table.metadata().default_partition_spec_id() {
            return self.refuse(format_args!("{path} follows another partition spec than the table's."));
        }
        if !self.is_ours(path) {
            return self.refuse(format_args!("{path} does not lie in the table's folder."));
        }
        Ok(())
    }

    async fn check_files(&self, manifest: &Manifest) -> Result<(), Fault> {
        let alive = manifest.entries().iter().filter(|entry| entry.is_alive());
        let mut added = Vec::new();
        for entry in alive {
            let file = entry.data_file();
            self.check_file(file)?;
            if entry.status() == ManifestStatus::Added {
                let (files, path) = (self.table.file_io().clone(), file.file_path().to_owned());
                let said = file.file_size_in_bytes();
                added.push(async move { (size(&files, &path).await, said, path) });
            }
        }
        let mut looked = stream::iter(added).buffer_unordered(LOOKS);
        while let Some((found, said, path)) = looked.next().await {
            if self.is_there(found, &path)? != said {
                return self.refuse(format_args!("{path} has another size than its manifest says."));
            }
        }
        Ok(())
    }

    fn check_file(&self, file: &DataFile) -> Result<(), Fault> {
        let path = file.file_path();
        if file.content_type() != DataContentType::Data || file.file_format() != DataFileFormat::Parquet {
            return self.refuse(format_args!("{path} is no Parquet data file."));
        }
        if !self.is_ours(path) {
            return self.refuse(format_args!("{path} does not lie in the table's folder."));
        }
        let [Some(Literal::Primitive(PrimitiveLiteral::Long(_))), Some(_)] = file.partition().fields() else {
            return self.refuse(format_args!("{path} does not say its project and day."));
        };
        Ok(())
    }

    fn is_there(&self, size: iceberg::Result<u64>, path: &str) -> Result<u64, Fault> {
        match size {
            Ok(size) => Ok(size),
            Err(error) if error.kind() == iceberg::ErrorKind::DataInvalid => {
                self.refuse(format_args!("{path} is not there."))
            }
            Err(error) => Err(Fault::from(error).because(Reason::Busy)),
        }
    }

    async fn check_size(&self, path: &str) -> Result<(), Fault> {
        if self.is_there(size(self.table.file_io(), path).await, path)? > MANIFEST_BYTES {
            return self.refuse(format_args!("{path} is larger than {MANIFEST_BYTES} bytes."));
        }
        Ok(())
    }

    async fn manifests(&self, snapshot: &SnapshotRef) -> Result<Vec<ManifestFile>, Fault> {
        let path = snapshot.manifest_list();
        self.check_size(path).await?;
        match self.table.manifest_list_reader(snapshot).load().await {
            Ok(list) => Ok(list.consume_entries().into_iter().collect()),
            Err(error) => self.refuse(format_args!("{path} cannot be read: {}", error.message())),
        }
    }

    async fn read(&self, manifest: &ManifestFile) -> Result<Manifest, Fault> {
        let path = &manifest.manifest_path;
        self.check_size(path).await?;
        match manifest.load_manifest(self.table.file_io()).await {
            Ok(read) => Ok(read),
            Err(error) => self.refuse(format_args!("{path} cannot be read: {}", error.message())),
        }
    }
}

async fn size(files: &FileIO, path: &str) -> iceberg::Result<u64> {
    Ok(files.new_input(path)?.metadata().await?.size)
}
