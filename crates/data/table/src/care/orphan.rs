//! Files nothing refers to: what crashes and abandoned commits leave.

use super::live::{entries, has_live, manifests};
use super::{aside, clock, expire::unlink};
use crate::Result;
use crate::catalog::local_path;
use crate::objects::split;
use crate::warehouse::{Warehouse, load};
use iceberg::spec::ManifestFile;
use iceberg::table::Table;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// What an orphan sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    /// Files removed, or that would be.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files nothing refers to that are too young to be sure.
    pub young: usize,
}

/// A location as [`crate::objects::Objects::list`] writes it.
fn listed(location: &str) -> String {
    match (local_path(location), split(location)) {
        (Some(path), _) => path.to_string_lossy().into_owned(),
        (None, Some((bucket, key))) => format!("s3://{bucket}/{key}"),
        (None, None) => location.to_owned(),
    }
}

/// Every file that the table's metadata reaches, as they are listed.
async fn reachable(table: &Table) -> Result<HashSet<String>> {
    let metadata = table.metadata();
    let mut reached: HashSet<String> = HashSet::new();
    let mut reach = |location: &str| {
        reached.insert(listed(location));
    };
    metadata.metadata_log().iter().for_each(|entry| reach(&entry.metadata_file));
    table.metadata_location().into_iter().for_each(&mut reach);
    metadata.statistics_iter().for_each(|file| reach(&file.statistics_path));
    metadata.partition_statistics_iter().for_each(|file| reach(&file.statistics_path));
    let mut known: BTreeMap<String, ManifestFile> = BTreeMap::new();
    for snapshot in metadata.snapshots() {
        reach(snapshot.manifest_list());
        known.extend(manifests(table, snapshot).await?.into_iter().map(|m| (m.manifest_path.clone(), m)));
    }
    for (path, manifest) in known {
        reach(&path);
        if has_live(&manifest) {
            entries(table, &manifest).await?.iter().for_each(|entry| reach(entry.file_path()));
        }
    }
    Ok(reached)
}

impl Warehouse {
    /// Removes files in one table's folder that its metadata does not reach and that are older than `age`: longer than
    /// any commit or compaction takes. With `dry` it only counts.
    ///
    /// # Errors
    /// `NotFound` for no such table, `Corrupt` when a manifest cannot be read: nothing is removed then.
    pub async fn remove_orphans(&self, table: &str, age: Duration, dry: bool) -> Result<Orphans> {
        let (_, bound, at) = self.current(table)?;
        let name = bound.def.name;
        let (objects, folder) = (self.objects(), listed(at.metadata().location()));
        let catalog = self.catalog.clone();
        let sweep = async move {
            // Listed before the table is loaded: what is committed in between is reached.
            let found = objects.list(&folder).await?;
            let table = load(catalog.as_ref(), name).await?;
            let reached = reachable(&table).await?;
            let oldest = clock::ago_ms(age);
            let mut orphans = Orphans::default();
            for file in found.into_iter().filter(|file| !reached.contains(&file.location)) {
                if file.changed_ms > oldest {
                    orphans.young += 1;
                    continue;
                }
                if dry || unlink(&table, &file.location).await {
                    orphans.files += 1;
                    orphans.bytes += file.bytes;
                }
            }
            Ok(orphans)
        };
        aside("looking for orphans", sweep).await
    }
}
