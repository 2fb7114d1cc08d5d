//! A real directory, owned by this process alone.

use std::fs::{File as Handle, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::{Error, Kind, Result};

use super::{Disk, File};

const LOCK: &str = "lock";
/// How much is written at once where the file system cannot preallocate.
const ZEROS: usize = 1 << 20;

/// A directory of the local file system, locked for this process while the value lives.
#[derive(Debug)]
pub struct Local {
    directory: PathBuf,
    handle: Handle,
    _lock: Handle,
}

impl Local {
    /// Opens a directory, creating it when it is missing, and locks it.
    ///
    /// # Errors
    /// `Conflict` when another process has it open; `Unavailable` or `Busy` when the file system
    /// refuses.
    pub fn open(directory: &Path) -> Result<Local> {
        let shown = directory.display();
        let context = |what: &str| format!("{what} the log directory {shown}");
        super::make_folder(directory).map_err(|e| Error::file(context("cannot create"), e))?;
        let handle = Handle::open(directory).map_err(|e| Error::file(context("cannot open"), e))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(LOCK))
            .map_err(|e| Error::file(context("cannot create the lock file in"), e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Local { directory: directory.to_owned(), handle, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                Kind::Conflict,
                format!("another process uses the log directory {shown}: stop it first, or choose another"),
            )),
            Err(TryLockError::Error(e)) => Err(Error::file(context("cannot lock"), e)),
        }
    }
}

impl Disk for Local {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).open(self.directory.join(name))?;
        Ok(Box::new(Real(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let file = OpenOptions::new().read(true).write(true).open(self.directory.join(name))?;
        Ok(Box::new(Real(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.directory.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        std::fs::read_dir(&self.directory)?
            .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn free_space(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&self.handle)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn salt(&self) -> u64 {
        // The standard library seeds its hash tables from the system's random source.
        std::collections::hash_map::RandomState::new().build_hasher().finish()
    }
}

struct Real(Handle);

impl File for Real {
    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                // Writing zeros takes the space just as surely, only slower.
                let zeros = vec![0; ZEROS];
                let mut position = 0;
                while position < bytes {
                    let length = (bytes - position).min(ZEROS as u64);
                    self.0.write_all_at(&zeros[..length as usize], position)?;
                    position += length;
                }
                Ok(())
            }
            Err(errno) => Err(errno.into()),
        }
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match self.0.read_at(&mut into[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}
