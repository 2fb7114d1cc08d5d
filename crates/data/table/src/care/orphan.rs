//! Files nothing refers to: what crashes and abandoned commits leave.

use super::live::{entries, has_live, manifests};
use super::{aside, clock, expire::unlink};
use crate::catalog::local_path;
use crate::error::Context;
use crate::warehouse::{Warehouse, load};
use crate::{Error, Kind, Result};
use iceberg::spec::ManifestFile;
use iceberg::table::Table;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

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

/// A file of a table's folder.
struct Found {
    path: PathBuf,
    bytes: u64,
    changed_ms: i64,
}

fn look(folder: &Path, found: &mut Vec<Found>) -> std::io::Result<()> {
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in listed {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other?,
        };
        if metadata.is_dir() {
            look(&entry.path(), found)?;
        } else if metadata.is_file() {
            let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let changed_ms = i64::try_from(changed.as_millis()).unwrap_or(i64::MAX);
            found.push(Found { path: entry.path(), bytes: metadata.len(), changed_ms });
        }
    }
    Ok(())
}

/// Every file that the table's metadata reaches, as local paths.
async fn reachable(table: &Table) -> Result<HashSet<PathBuf>> {
    let metadata = table.metadata();
    let mut reached: HashSet<PathBuf> = HashSet::new();
    let mut reach = |location: &str| reached.extend(local_path(location));
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
        let folder = local_path(at.metadata().location())
            .ok_or_else(|| Error::new(Kind::Invalid, format!("table {name} is not on this machine")))?;
        let catalog = self.catalog.clone();
        let sweep = async move {
            // Listed before the table is loaded: what is committed in between is reached.
            let mut found = Vec::new();
            look(&folder, &mut found).context(Kind::Unavailable, || format!("list {}", folder.display()))?;
            let table = load(&catalog, name).await?;
            let reached = reachable(&table).await?;
            let oldest = clock::ago_ms(age);
            let mut orphans = Orphans::default();
            for file in found.into_iter().filter(|file| !reached.contains(&file.path)) {
                if file.changed_ms > oldest {
                    orphans.young += 1;
                    continue;
                }
                let path = file.path.to_string_lossy();
                if dry || unlink(&table, &path).await {
                    orphans.files += 1;
                    orphans.bytes += file.bytes;
                }
            }
            Ok(orphans)
        };
        aside("looking for orphans", sweep).await
    }
}
