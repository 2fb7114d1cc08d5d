//! Finding damage in backups before they are needed: every byte is read, and what names what is followed.

use crate::error::Doing;
use crate::target::Sums;
use crate::{Entry, Listener, Manifest, Part, Progress, Result, Target};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use table::carry::{self, Move, Role};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Backups read.
    pub backups: usize,
    /// Files read; those that several backups share count once.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// One line each.
    pub faults: Vec<String>,
}

/// Reads everything at a target.
///
/// # Errors
/// `Unavailable` when it cannot be listed; all else is a fault in the answer.
pub async fn verify(target: &Target, tell: Listener<'_>) -> Result<Verified> {
    let mut found = Verified::default();
    let mut manifests = Vec::new();
    for id in target.ids().await? {
        match target.manifest(&id).await {
            Ok(manifest) => manifests.push(manifest),
            Err(error) => found.faults.push(line(&error)),
        }
    }
    found.backups = manifests.len();
    let contents = target.contents().await?;
    let all: BTreeMap<&str, &Entry> = manifests
        .iter()
        .flat_map(|manifest| &manifest.files)
        .map(|entry| (entry.sha256.as_str(), entry))
        .collect();
    let mut progress = Progress {
        of_files: all.len(),
        of_bytes: all.values().map(|entry| entry.piece.size).sum(),
        ..Progress::default()
    };
    let mut bad: HashSet<String> = HashSet::new();
    for (sha256, entry) in &all {
        tell(progress);
        let fault = match contents.get(*sha256) {
            None => Some(format!("{}: its content {sha256} is missing", entry.piece.path)),
            Some(size) if *size != entry.piece.size => Some(format!(
                "{}: its content {sha256} has {size} bytes instead of {}",
                entry.piece.path, entry.piece.size
            )),
            Some(_) => read(target, entry).await.err(),
        };
        if let Some(fault) = fault {
            found.faults.push(fault);
            bad.insert((*sha256).to_owned());
        }
        progress.files += 1;
        progress.bytes += entry.piece.size;
    }
    tell(progress);
    (found.files, found.bytes) = (progress.files, progress.bytes);
    for manifest in &manifests {
        let faults = follow(target, manifest, &bad).await;
        found.faults.extend(faults.into_iter().map(|fault| format!("backup {}: {fault}", manifest.point.id)));
    }
    Ok(found)
}

/// An error and its causes.
fn line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

async fn read(target: &Target, entry: &Entry) -> Result<(), String> {
    let mut sums = Sums::default();
    let mut sink = |bytes: &[u8]| -> io::Result<()> {
        sums.add(bytes);
        Ok(())
    };
    let done = target.fetch(&entry.sha256, entry.piece.size, &mut sink).await;
    done.map_err(|error| format!("{}: {}", entry.piece.path, line(&error)))?;
    match sums.end().sha256 == entry.sha256 {
        true => Ok(()),
        false => Err(format!("{}: its content {} is damaged", entry.piece.path, entry.sha256)),
    }
}

/// Whether the parts of one backup belong together. What is damaged was said already.
async fn follow(target: &Target, manifest: &Manifest, bad: &HashSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let files: HashMap<&str, &Entry> =
        manifest.files.iter().map(|entry| (entry.piece.path.as_str(), entry)).collect();
    let place = Move::new(&manifest.point.tables.root, &manifest.point.tables.root);
    let is_here = |location: &str| match place.below(location) {
        Some(path) => files.contains_key(format!("warehouse{path}").as_str()),
        None => manifest.point.outside.iter().any(|known| known == location),
    };
    for table in &manifest.point.tables.tables {
        if !is_here(&table.metadata) {
            faults.push(format!("the metadata of table {} is missing: {}", table.name, table.metadata));
        }
    }
    let sound = |entry: &&Entry| !bad.contains(&entry.sha256);
    for entry in manifest.files.iter().filter(sound) {
        let Some(role) = entry.piece.part.role() else { continue };
        match names(target, entry, role).await {
            Ok(names) => {
                let missing = names.iter().filter(|location| !is_here(location));
                faults.extend(
                    missing
                        .map(|location| format!("{} names {location}, which is missing", entry.piece.path)),
                );
            }
            Err(error) => faults.push(format!("{}: {error}", entry.piece.path)),
        }
    }
    let of = |part: Part| manifest.files.iter().filter(sound).filter(move |entry| entry.piece.part == part);
    for entry in of(Part::Metastore) {
        if let Err(error) = metastore(target, entry, manifest.point.checkpoint).await {
            faults.push(error);
        }
    }
    if manifest.point.metastore == "sqlite"
        && !manifest.files.iter().any(|file| file.piece.part == Part::Metastore)
    {
        faults.push("the metastore is missing".to_owned());
    }
    if let Err(error) = log(target, manifest, of(Part::Log)).await {
        faults.push(error);
    }
    faults
}

async fn names(target: &Target, entry: &Entry, role: Role) -> Result<Vec<String>, String> {
    let bytes = target.whole(entry).await.map_err(|error| line(&error))?;
    carry::named(role, &bytes).map_err(|error| line(&error))
}

/// Writes content to a file, filled up to its length.
async fn lay_out(target: &Target, entry: &Entry, path: &Path) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut file = File::create(path).doing(failed)?;
    target.fetch(&entry.sha256, entry.piece.size, &mut |bytes| file.write_all(bytes)).await?;
    match entry.piece.length {
        Some(length) => file.set_len(length).doing(failed),
        None => Ok(()),
    }
}

async fn metastore(target: &Target, entry: &Entry, checkpoint: u64) -> Result<(), String> {
    let look = async {
        let folder = tempfile::tempdir().doing(|| "cannot make a folder for temporary files".to_owned())?;
        let path = folder.path().join("tenrec.db");
        lay_out(target, entry, &path).await?;
        let found = metastore::sqlite::copy::verify(&path);
        found.map_err(|error| crate::Error::of_metastore("the metastore", error))
    };
    match look.await {
        Err(error) => Err(line(&error)),
        Ok(found) if found.unwrap_or(0) != checkpoint => Err(format!(
            "the metastore has folded the log up to {}, the backup says {checkpoint}",
            found.unwrap_or(0)
        )),
        Ok(_) => Ok(()),
    }
}

async fn log(
    target: &Target,
    manifest: &Manifest,
    segments: impl Iterator<Item = &Entry>,
) -> Result<(), String> {
    let mut reached: Option<u64> = None;
    for entry in segments {
        let look = async {
            let folder =
                tempfile::tempdir().doing(|| "cannot make a folder for temporary files".to_owned())?;
            let path = folder.path().join("segment");
            lay_out(target, entry, &path).await?;
            eventlog::measure(&path).map_err(|error| crate::Error::of_log("the log", error))
        };
        let extent = look.await.map_err(|error| format!("{}: {}", entry.piece.path, line(&error)))?;
        let from = reached.unwrap_or(extent.first.0.min(manifest.point.checkpoint));
        if extent.first.0 > from.max(manifest.point.checkpoint)
            || (reached.is_some() && extent.first.0 != from)
        {
            return Err(format!("{}: log records from {from} on are missing", entry.piece.path));
        }
        reached = Some(extent.end.0);
    }
    match reached {
        Some(end) if end == manifest.point.log_end => Ok(()),
        end => Err(format!(
            "the log ends at record {}, the backup says {}",
            end.unwrap_or(0),
            manifest.point.log_end
        )),
    }
}
