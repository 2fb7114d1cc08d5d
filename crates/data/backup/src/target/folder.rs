//! Backups in a local folder.
//!
//! Content is written aside and renamed. It is made durable all at once before a backup becomes visible: one flush of the
//! file system instead of two for each of a hundred thousand files.

use super::{Again, Stored, Sums, content};
use crate::error::Doing;
use crate::source::pour;
use crate::{Error, Kind, Result, Sink};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Where files are on their way.
const PARTIAL: &str = "partial";

/// See the module.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn failed(&self, verb: &str, name: &str) -> String {
        format!("cannot {verb} {}", self.path.join(name).display())
    }

    pub(super) fn lock(&self) -> Result<File> {
        fs::create_dir_all(self.path.join(PARTIAL)).doing(|| self.failed("make", PARTIAL))?;
        let lock = File::create(self.path.join("lock")).doing(|| self.failed("make", "lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => {
                let text =
                    format!("another backup is being written to {}: wait for its end", self.path.display());
                Err(Error::new(Kind::Busy, text))
            }
            Err(TryLockError::Error(error)) => Err(error).doing(|| self.failed("lock", "lock")),
        }
    }

    /// Files below a folder with their sizes, named from there.
    pub(super) fn names(&self, below: &str) -> Result<BTreeMap<String, u64>> {
        let root = self.path.join(below);
        let mut found = BTreeMap::new();
        let mut pending = vec![String::new()];
        while let Some(folder) = pending.pop() {
            let entries = match fs::read_dir(root.join(&folder)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.doing(|| self.failed("list", below))?,
            };
            for entry in entries {
                let entry = entry.doing(|| self.failed("list", below))?;
                let name = format!("{folder}{}", entry.file_name().to_string_lossy());
                let metadata = entry.metadata().doing(|| self.failed("look at", &name))?;
                match metadata.is_dir() {
                    true => pending.push(format!("{name}/")),
                    false => drop(found.insert(name, metadata.len())),
                }
            }
        }
        Ok(found)
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).doing(|| self.failed("read", name)),
        }
    }

    pub(super) fn store(&self, again: Again<'_>) -> Result<Stored> {
        let partial = self.path.join(PARTIAL).join("content");
        let mut file = File::create(&partial).doing(|| self.failed("write", PARTIAL))?;
        let mut sums = Sums::default();
        again(&mut |bytes| {
            sums.add(bytes);
            file.write_all(bytes)
        })?;
        let stored = sums.end();
        self.rename(&partial, &content(&stored.sha256))?;
        Ok(stored)
    }

    fn rename(&self, partial: &Path, name: &str) -> Result<()> {
        let path = self.path.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).doing(|| self.failed("make the folder of", name))?;
        }
        fs::rename(partial, path).doing(|| self.failed("write", name))
    }

    /// Makes everything written so far durable, then this file.
    pub(super) fn publish(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let failed = || self.failed("write", name);
        let flush = || -> io::Result<()> { Ok(rustix::fs::syncfs(File::open(&self.path)?)?) };
        flush().doing(failed)?;
        let partial = self.path.join(PARTIAL).join("manifest");
        let write = || -> io::Result<()> {
            let mut file = File::create(&partial)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().doing(failed)?;
        self.rename(&partial, name)?;
        flush().doing(failed)
    }

    pub(super) fn fetch(&self, name: &str, size: u64, sink: Sink<'_>) -> Result<()> {
        let path = self.path.join(name);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Error::new(Kind::Corrupt, format!("{} is missing", path.display())));
            }
            other => other.doing(|| self.failed("read", name))?,
        };
        match pour(file, size, sink) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::new(Kind::Corrupt, format!("{} is shorter than it was made", path.display())))
            }
            other => other.doing(|| self.failed("read", name)),
        }
    }

    pub(super) fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).doing(|| self.failed("remove", name))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn sweep(&self) -> Result<()> {
        for name in self.names(PARTIAL)?.into_keys() {
            self.remove(&format!("{PARTIAL}/{name}"))?;
        }
        Ok(())
    }
}
