//! The file calls the log makes, as a trait, so that tests can replace the disk.
//!
//! A [`Disk`] is one directory. What a call promises about power cuts is written at the call; the
//! simulated disk takes away everything that is not promised.

use std::io;

mod folder;
mod local;
#[cfg(any(test, feature = "simulation"))]
mod simulated;

pub use folder::make_folder;
pub use local::Local;
#[cfg(any(test, feature = "simulation"))]
pub use simulated::{Fault, Loss, Simulated};

/// One directory of files.
pub trait Disk: Send + Sync + 'static {
    /// Creates a file that must not exist, for reading and writing.
    ///
    /// # Errors
    /// Those of the operating system.
    fn create(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// Those of the operating system.
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// Renames a file, replacing the target. Survives a power cut after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Those of the operating system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Deletes a file. Survives a power cut after [`Disk::sync_dir`]; open handles stay readable.
    ///
    /// # Errors
    /// Those of the operating system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Lists the names in the directory, in no order.
    ///
    /// # Errors
    /// Those of the operating system.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes creations, renames and removals survive a power cut.
    ///
    /// # Errors
    /// Those of the operating system.
    fn sync_dir(&self) -> io::Result<()>;

    /// Gives the bytes an ordinary process may still take from the disk.
    ///
    /// # Errors
    /// Those of the operating system.
    fn free_space(&self) -> io::Result<u64>;

    /// Gives a number that somebody who sends records cannot know.
    fn salt(&self) -> u64;
}

/// One open file.
pub trait File: Send + Sync + 'static {
    /// Takes the space for `bytes` bytes, which read as zero.
    ///
    /// # Errors
    /// Those of the operating system; `StorageFull` leaves the file in an unknown size.
    fn preallocate(&self, bytes: u64) -> io::Result<()>;

    /// Writes all of `bytes` at a position. Survives a power cut after [`File::sync_data`].
    ///
    /// # Errors
    /// Those of the operating system; then any part of `bytes` may have been written.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;

    /// Makes everything written survive a power cut.
    ///
    /// # Errors
    /// Those of the operating system; then what was written may be lost although it can be read
    /// back, and calling again proves nothing.
    fn sync_data(&self) -> io::Result<()>;

    /// Fills `into` from a position, and gives how much there was before the end of the file.
    ///
    /// # Errors
    /// Those of the operating system.
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize>;

    /// Gives the length of the file.
    ///
    /// # Errors
    /// Those of the operating system.
    fn size(&self) -> io::Result<u64>;
}
