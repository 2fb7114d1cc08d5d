//! Putting a backup back: a data folder at any place, as it was at the moment of the backup.

use crate::error::Doing;
use crate::target::Sums;
use crate::{Entry, Error, Kind, Listener, Manifest, Part, Piece, Progress, Result, Source};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use table::carry::{self, Changed, Inventory, Move, TableAt};

/// A file that is in a data folder while it is being restored: no server starts in it.
pub const MARKER: &str = "restore.unfinished";

/// Makes a data folder of a backup. `to` is missing or empty.
///
/// # Errors
/// `Invalid` when the folder is not empty; `Corrupt` naming what is not as it was written; `Unavailable` when a disk or
/// the store does not answer. The folder is not usable then, and says so.
pub async fn restore(source: &dyn Source, manifest: &Manifest, to: &Path, tell: Listener<'_>) -> Result<()> {
    let to = make_folder(to)?;
    let root = format!("file://{}/warehouse", to.display());
    let mut work = Work {
        source,
        place: Move::new(&manifest.point.tables.root, &root),
        to,
        lengths: HashMap::new(),
        changed: HashMap::new(),
        progress: Progress {
            of_files: manifest.files.len(),
            of_bytes: manifest.bytes(),
            ..Progress::default()
        },
        tell,
    };
    // Manifests say how long data files are and lists how long manifests are, so those that change come first.
    let order = |piece: &Piece| match piece.part {
        Part::Data if carry::names_files(&piece.path) => 0,
        Part::Manifest => 1,
        Part::List => 2,
        Part::Metadata => 3,
        _ => 4,
    };
    let mut files: Vec<&Entry> = manifest.files.iter().collect();
    files.sort_by_key(|entry| order(&entry.piece));
    for entry in files {
        work.put(entry).await?;
    }
    work.flush()?;
    let tables = Inventory { root, ..work.tables(&manifest.point.tables) };
    carry::register(&work.to, &tables)
        .await
        .map_err(|error| Error::of_table("cannot make the catalog", error))?;
    work.flush()?;
    let marker = work.to.join(MARKER);
    fs::remove_file(&marker).doing(|| format!("cannot remove {}", marker.display()))?;
    work.flush()
}

/// An empty folder with the marker in it, by its real path.
fn make_folder(to: &Path) -> Result<PathBuf> {
    let failed = || format!("cannot make {}", to.display());
    fs::create_dir_all(to).doing(failed)?;
    let to = to.canonicalize().doing(failed)?;
    if fs::read_dir(&to).doing(failed)?.next().is_some() {
        let text = format!(
            "{} is not empty: a restore never overwrites. Name a new folder, or move what is there away first",
            to.display()
        );
        return Err(Error::new(Kind::Invalid, text));
    }
    let marker = to.join(MARKER);
    let note =
        "A restore into this folder has not ended. If none is running, empty the folder and restore again.\n";
    fs::write(&marker, note).doing(|| format!("cannot write {}", marker.display()))?;
    Ok(to)
}

struct Work<'a> {
    source: &'a dyn Source,
    place: Move,
    to: PathBuf,
    /// Lengths of manifests by their new locations.
    lengths: HashMap<String, u64>,
    /// Data files that were written anew, by their new locations.
    changed: HashMap<String, Changed>,
    progress: Progress,
    tell: Listener<'a>,
}

impl Work<'_> {
    async fn put(&mut self, entry: &Entry) -> Result<()> {
        (self.tell)(self.progress);
        let path = self.path(&entry.piece.path)?;
        let failed = || format!("cannot write {}", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).doing(failed)?;
        }
        let mut file = File::create_new(&path).doing(failed)?;
        if self.is_rewritten(&entry.piece) {
            let bytes = self.rewritten(entry).await?;
            file.write_all(&bytes).doing(failed)?;
            carry::seal(&file, crc32fast::hash(&bytes)).doing(failed)?;
        } else {
            let mut sums = Sums::default();
            let mut sink = |bytes: &[u8]| -> io::Result<()> {
                sums.add(bytes);
                file.write_all(bytes)
            };
            self.source.read(entry, &mut sink).await?;
            let sums = sums.end();
            check(entry, &sums.sha256)?;
            match (entry.piece.part, entry.piece.length) {
                (Part::Data, _) => carry::seal(&file, sums.crc32).doing(failed)?,
                (_, Some(length)) => fill(&file, length).doing(failed)?,
                _ => {}
            }
        }
        self.progress.files += 1;
        self.progress.bytes += entry.piece.size;
        (self.tell)(self.progress);
        Ok(())
    }

    /// Whether a file says where others are.
    fn is_rewritten(&self, piece: &Piece) -> bool {
        let is_named = piece.part == Part::Data && carry::names_files(&piece.path) && !self.place.is_same();
        is_named || piece.part.role().is_some()
    }

    /// Where a file goes: below the folder, whatever the backup says.
    fn path(&self, path: &str) -> Result<PathBuf> {
        let is_plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        match is_plain {
            true => Ok(self.to.join(path)),
            false => Err(Error::new(
                Kind::Corrupt,
                format!("the backup names a file {path} outside of its folder"),
            )),
        }
    }

    /// A file of a table with the locations of the new place.
    async fn rewritten(&mut self, entry: &Entry) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut sink = |part: &[u8]| -> io::Result<()> {
            bytes.extend_from_slice(part);
            Ok(())
        };
        self.source.read(entry, &mut sink).await?;
        let mut sums = Sums::default();
        sums.add(&bytes);
        check(entry, &sums.end().sha256)?;
        let path = &entry.piece.path;
        let failed = |error| Error::of_table(&format!("cannot restore {path}"), error);
        let location = format!("file://{}/{path}", self.to.display());
        match entry.piece.part {
            Part::Metadata => self.place.metadata(&bytes).map_err(failed),
            Part::List => self.place.list(&bytes, &self.lengths).map_err(failed),
            Part::Manifest => {
                let bytes = self.place.manifest(&bytes, &self.changed).map_err(failed)?;
                self.lengths.insert(location, bytes.len() as u64);
                Ok(bytes)
            }
            Part::Data => {
                let (bytes, changed) = self.place.blocks(bytes).map_err(failed)?;
                self.changed.insert(location, changed);
                Ok(bytes)
            }
            _ => Ok(bytes),
        }
    }

    fn tables(&self, old: &Inventory) -> Inventory {
        let tables = old
            .tables
            .iter()
            .map(|table| TableAt { metadata: self.place.location(&table.metadata), ..table.clone() });
        Inventory { tables: tables.collect(), ..old.clone() }
    }

    /// Makes everything written so far durable.
    fn flush(&self) -> Result<()> {
        let flush = || -> io::Result<()> { Ok(rustix::fs::syncfs(File::open(&self.to)?)?) };
        flush().doing(|| format!("cannot flush {}", self.to.display()))
    }
}

/// Takes the space of a segment, which reads as zeros.
fn fill(file: &File, length: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    file.set_len(length)?;
    match fallocate(file, FallocateFlags::empty(), 0, length) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Compares the sum of what was read; a moment that is read directly has none.
fn check(entry: &Entry, sha256: &str) -> Result<()> {
    match entry.sha256.is_empty() || entry.sha256 == sha256 {
        true => Ok(()),
        false => {
            let text = format!(
                "the content of {} is damaged in the backup: run `tenrec backup verify`, and restore an earlier backup",
                entry.piece.path
            );
            Err(Error::new(Kind::Corrupt, text))
        }
    }
}
