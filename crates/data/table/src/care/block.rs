//! Session replay blocks whose rows go: their bytes go too.
//!
//! A file holds the blocks of all sessions of a project between two commits, and rows name a range of bytes in it. So
//! the ranges that go are overwritten by zeros in a copy that takes the file's place in one step: every other row still
//! finds its block at the same place, and a reader that has the old file open goes on with it. In a folder the zeros are
//! holes, which take no space. A file of nothing but zeros is removed. All of it may be done again after a crash.

use super::live::files;
use super::scan;
use crate::catalog::local_path;
use crate::error::{Context, kind_of};
use crate::objects::Objects;
use crate::schema::SESSION_REPLAY_BLOCKS;
use crate::{Error, Kind, Result};
use bytes::Bytes;
use iceberg::io::FileIO;
use iceberg::table::Table;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The column that tells where a block is.
pub(super) const ADDRESS: &str = "block_url";

/// Blocks on their way out, by the object that holds them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks(BTreeMap<String, Vec<(usize, usize)>>);

/// Object, first byte and end of an address `OBJECT?range=bytes=FIRST-LAST`.
fn parse(address: &str) -> Option<(&str, usize, usize)> {
    let (object, range) = address.rsplit_once("?range=bytes=")?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
    (first <= last).then_some((object, first, last.checked_add(1)?))
}

impl Blocks {
    /// Adds the block at an address.
    ///
    /// # Errors
    /// `Corrupt` when it is no address: its bytes could not be found.
    pub(super) fn add(&mut self, address: &str) -> Result<()> {
        let (object, first, end) = parse(address)
            .ok_or_else(|| Error::new(Kind::Corrupt, format!("{address} is no address of a replay block")))?;
        self.0.entry(object.to_owned()).or_default().push((first, end));
        Ok(())
    }

    /// Overwrites or removes what was added; gives the bytes. Objects that are gone already count nothing.
    ///
    /// # Errors
    /// `Unavailable` when a file cannot be read or written: what was done stays done.
    pub(super) async fn remove(self, io: &FileIO) -> Result<u64> {
        let mut removed = 0;
        for (object, ranges) in self.0 {
            let failed = |error: iceberg::Error| {
                Error::new(kind_of(&error), format!("remove blocks of {object}")).from_source(error)
            };
            if !io.exists(&object).await.map_err(failed)? {
                continue;
            }
            let mut bytes: Vec<u8> =
                io.new_input(&object).map_err(failed)?.read().await.map_err(failed)?.into();
            for (first, end) in ranges {
                let end = end.min(bytes.len());
                let Some(block) = bytes.get_mut(first..end) else { continue };
                removed += block.len() as u64 * u64::from(block.iter().any(|byte| *byte != 0));
                block.fill(0);
            }
            if bytes.iter().all(|byte| *byte == 0) {
                io.delete(&object).await.map_err(failed)?;
            } else if let Some(path) = local_path(&object) {
                let written = tokio::task::spawn_blocking(move || overwrite(&path, &bytes)).await;
                let written = written.context(Kind::Bug, || format!("write {object}"))?;
                written.context(Kind::Unavailable, || format!("write {object}"))?;
            } else {
                let output = io.new_output(&object).map_err(failed)?;
                output.write(Bytes::from(bytes)).await.map_err(failed)?;
            }
        }
        Ok(removed)
    }
}

/// Bytes compared with zero at once; a hole is a multiple of what file systems allocate.
const PAGE: usize = 4096;

/// Puts a file in the place of another, with holes where there are pages of zeros.
fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let file = File::create(&partial)?;
    file.set_len(bytes.len() as u64)?;
    for (number, page) in bytes.chunks(PAGE).enumerate() {
        if page.iter().any(|byte| *byte != 0) {
            file.write_all_at(page, (number * PAGE) as u64)?;
        }
    }
    file.sync_all()?;
    fs::rename(&partial, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// Removes the blocks that rows of these data files point to; gives the bytes. Nothing for tables without blocks.
pub(super) async fn remove_of_files(table: Table, objects: Objects, paths: HashSet<String>) -> Result<u64> {
    if table.identifier().name() != SESSION_REPLAY_BLOCKS.name {
        return Ok(0);
    }
    let mut blocks = Blocks::default();
    for entry in files(&table).await?.into_iter().filter(|entry| paths.contains(entry.file_path())) {
        scan::columns(&objects, &entry, [ADDRESS], |batch| {
            scan::texts(batch, ADDRESS)?.iter().flatten().try_for_each(|address| blocks.add(address))
        })?;
    }
    blocks.remove(table.file_io()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn addresses_are_read_and_nonsense_is_refused() {
        assert_eq!(parse("file:///a/1.blocks?range=bytes=3-9"), Some(("file:///a/1.blocks", 3, 10)));
        for wrong in ["", "file:///a", "file:///a?range=bytes=9-3", "file:///a?range=bytes=-3"] {
            assert!(Blocks::default().add(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn other_blocks_stay_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("7.blocks");
        fs::write(&path, [vec![1; 20_000], vec![2; 100], vec![3; 20_000]].concat()).unwrap();
        let objects = Objects::new(crate::objects::S3::default(), folder.path());
        let io = objects.files();
        let url = |range: &str| format!("file://{}?range=bytes={range}", path.display());
        let remove = async |ranges: &[&str]| {
            let mut blocks = Blocks::default();
            ranges.iter().for_each(|range| blocks.add(&url(range)).unwrap());
            blocks.remove(io).await.unwrap()
        };
        let old = File::open(&path).unwrap();
        assert_eq!(remove(&["0-19999", "20000-20099"]).await, 20_100);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes[..20_100].iter().all(|byte| *byte == 0) && bytes[20_100..] == vec![3; 20_000]);
        assert!(fs::metadata(&path).unwrap().blocks() * 512 < 30_000, "holes take no space");
        let mut seen = [0; 1];
        old.read_exact_at(&mut seen, 0).unwrap();
        assert_eq!(seen, [1], "a reader goes on with what it opened");
        assert_eq!(remove(&["0-19999"]).await, 0, "again is nothing");
        assert_eq!(remove(&["20100-40099"]).await, 20_000);
        assert!(!path.exists());
        assert_eq!(remove(&["0-1"]).await, 0, "gone is gone");
    }
}
