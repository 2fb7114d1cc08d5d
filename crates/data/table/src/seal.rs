//! The checksum a local file carries, written with it and compared before it is believed.
//!
//! Iceberg has none for manifests and metadata, and the Parquet writer makes none for pages: a flipped bit in a text, a
//! bound or a log offset would be a wrong answer and no error. The checksum is an extended attribute, so tables stay
//! plain Iceberg to others, with no file added. A file without one (copied without attributes, made by others, on a file
//! system that has none) is read as it is.
//!
//! Manifests and metadata are compared at every read. Data files are compared before a merge, which would give their
//! damage a checksum of its own, and before a query reads them for the first time, up to [`EAGER`] bytes: reading a large
//! file whole costs more than the columns a query wants. `tenrec check` and the daily sweep compare all.

use crate::error::Context;
use crate::plan::DataFileRef;
use crate::{Error, Kind, Result};
use crc32fast::Hasher;
use foldhash::fast::FixedState;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use rustix::fs::{Advice, XattrFlags, fadvise, fgetxattr, fsetxattr};
use std::collections::HashSet;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::path::Path;

const ATTRIBUTE: &str = "user.tenrec.crc32";
/// Data files up to this are compared before their first read. It is also what a commit writes at most, about.
const EAGER: u64 = 16 << 20;
/// Files compared at the same time.
const AT_ONCE: usize = 4;
const CHUNK: usize = 1 << 20;
/// Remembered files: eight megabytes of them. With more than that the oldest knowledge is as good as none.
const REMEMBERED: usize = 1 << 20;

/// Hashes of the paths that need no look any more in this process: names of data files are never used twice.
static SOUND: Mutex<Option<HashSet<u64, FixedState>>> = Mutex::new(None);

fn key(path: &Path) -> u64 {
    FixedState::default().hash_one(path)
}

/// Notes that a file is as it was written.
pub(crate) fn note_sound(path: &Path) {
    let mut sound = SOUND.lock();
    let sound = sound.get_or_insert_default();
    if sound.len() >= REMEMBERED {
        sound.clear();
    }
    sound.insert(key(path));
}

fn is_sound(path: &Path) -> bool {
    SOUND.lock().as_ref().is_some_and(|sound| sound.contains(&key(path)))
}

/// Gives a file its checksum; one that its file system has no room for is no failure. It is durable when the file is.
pub(crate) fn put(file: &File, crc: u32) -> io::Result<()> {
    use rustix::io::Errno;
    match fsetxattr(file, ATTRIBUTE, &crc.to_le_bytes(), XattrFlags::empty()) {
        Ok(()) | Err(Errno::NOTSUP | Errno::NOSPC | Errno::PERM | Errno::NOSYS | Errno::TOOBIG) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The checksum a file carries, if any.
pub(crate) fn read(file: &File) -> Option<u32> {
    let mut bytes = [0; 4];
    let length = fgetxattr(file, ATTRIBUTE, &mut bytes[..]).ok()?;
    (length == bytes.len()).then(|| u32::from_le_bytes(bytes))
}

/// Says whether bytes are those that the file was written with.
pub(crate) fn holds(file: &File, bytes: &[u8]) -> bool {
    let holds = read(file).is_none_or(|crc| crc == crc32fast::hash(bytes));
    if !holds {
        telemetry::table::damaged();
    }
    holds
}

/// Reads a whole data file and compares it. Blocks on the disk.
///
/// # Errors
/// `Corrupt` with the path when it is not what was written; `Unavailable` when the disk does not answer.
pub(crate) fn verify(path: &Path) -> Result<()> {
    let unread = || format!("read {}", path.display());
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::new(Kind::Corrupt, format!("data file is missing: {}", path.display())));
        }
        opened => opened.context(Kind::Unavailable, unread)?,
    };
    let Some(expected) = read(&file) else { return Ok(()) };
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).context(Kind::Unavailable, unread)? {
            0 => break,
            count => hasher.update(&chunk[..count]),
        }
    }
    if hasher.finalize() != expected {
        telemetry::table::damaged();
        let text = format!(
            "the content of {} is not what was written: the disk or a program changed it. Restore the file from a backup",
            path.display()
        );
        return Err(Error::new(Kind::Corrupt, text));
    }
    note_sound(path);
    Ok(())
}

/// As [`verify`], for one that reads everything and needs nothing of it again: other pages stay in memory.
pub(crate) fn sweep(path: &Path) -> Result<()> {
    verify(path)?;
    if let Ok(file) = File::open(path) {
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
    }
    Ok(())
}

/// Compares the small ones of these files that nothing in this process has compared or written.
///
/// # Errors
/// As [`DataFileRef::verify`].
pub async fn verify_new(files: &[DataFileRef]) -> Result<()> {
    let unknown = files.iter().filter(|file| file.size <= EAGER).filter_map(DataFileRef::path);
    let unknown: Vec<_> = unknown.filter(|path| !is_sound(path)).collect();
    let checks = unknown.into_iter().map(|path| async move {
        let checked = tokio::task::spawn_blocking(move || verify(&path)).await;
        checked.context(Kind::Bug, || "compare data files".to_owned())?
    });
    stream::iter(checks).buffer_unordered(AT_ONCE).try_collect::<()>().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn sealed(path: &Path, content: &[u8]) -> bool {
        std::fs::write(path, content).expect("writes");
        let file = File::options().write(true).read(true).open(path).expect("opens");
        put(&file, crc32fast::hash(content)).expect("puts");
        read(&file).is_some()
    }

    fn reference(path: &Path, size: u64) -> DataFileRef {
        let location = format!("file://{}", path.display());
        DataFileRef { location, size, record_count: 1, team_id: None, day: None, has_deletes: false }
    }

    #[tokio::test]
    async fn a_changed_file_is_found_until_it_is_known_and_one_without_a_checksum_is_believed() {
        let folder = tempfile::tempdir().expect("makes a directory");
        let [good, bad, bare] = ["good", "bad", "bare"].map(|name| folder.path().join(name));
        if !sealed(&good, b"content") {
            // The file system of this machine has no extended attributes: there is nothing to compare.
            return;
        }
        sealed(&bad, b"content");
        std::fs::write(&bare, b"content").expect("writes");
        File::options().write(true).open(&bad).expect("opens").write_all_at(b"m", 4).expect("changes");
        verify_new(&[reference(&good, 7), reference(&bare, 7)]).await.expect("both are believed");
        let error = verify_new(&[reference(&good, 7), reference(&bad, 7)]).await.expect_err("one is not");
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.context().contains("/bad"), "{error}");
        verify_new(&[reference(&bad, EAGER + 1)]).await.expect("a large file is left to the sweep");
        assert_eq!(sweep(&bad).expect_err("which finds it").kind(), Kind::Corrupt);
        std::fs::remove_file(&good).expect("removes");
        assert_eq!(verify(&good).expect_err("missing").kind(), Kind::Corrupt);
    }
}
