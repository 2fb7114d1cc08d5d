//! Session replay blocks on their way to disk: gathered between commits, one file per project and commit.
//!
//! The address of a block is known when it is added, so its row can be seen at once; the bytes are on disk before the
//! row is committed. Blocks that a table already has a row for are not gathered again after a crash.

use crate::error::{Error, Kind};
use event::ProjectId;
use replay::Location;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use table::objects::Objects;
use uuid::Uuid;

/// Where a block will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `file://.../N.blocks?range=bytes=first-last`, both ends inclusive.
    pub url: String,
    /// Names the file's write; the same after folding again.
    pub batch: Uuid,
}

/// Blocks that are not on disk yet.
#[derive(Debug)]
pub struct Blocks {
    root: String,
    pending: BTreeMap<ProjectId, Pending>,
    bytes: usize,
}

#[derive(Debug)]
struct Pending {
    location: String,
    batch: Uuid,
    bytes: Vec<u8>,
}

/// One file to write.
#[derive(Debug)]
pub struct Unwritten(Pending);

impl Blocks {
    /// Keeps files below `root`: `file:///folder` or `s3://bucket/folder`.
    pub fn open(root: &str) -> Self {
        Self { root: root.to_owned(), pending: BTreeMap::new(), bytes: 0 }
    }

    /// Adds a block of the record at log offset `offset`.
    pub fn add(&mut self, project: ProjectId, offset: u64, block: &[u8]) -> Address {
        let root = &self.root;
        let pending = self.pending.entry(project).or_insert_with(|| {
            let location = format!("{root}/{project}/{offset:020}.blocks");
            let batch = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{project}/{offset}").as_bytes());
            Pending { location, batch, bytes: Vec::new() }
        });
        let first = pending.bytes.len();
        pending.bytes.extend_from_slice(block);
        self.bytes += block.len();
        let object = pending.location.clone();
        let location = Location { object, start: first as u64, length: block.len() as u64 };
        Address { url: location.to_string(), batch: pending.batch }
    }

    /// Bytes gathered since the last cut.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes what was gathered, to be written before its rows are committed.
    pub fn cut(&mut self) -> Vec<Unwritten> {
        self.bytes = 0;
        std::mem::take(&mut self.pending).into_values().map(Unwritten).collect()
    }
}

impl Unwritten {
    /// Writes the file: on this machine it is synced, with its folder. Writing again gives the same file. Blocks on the
    /// disk or the store.
    ///
    /// # Errors
    /// `Unavailable`: write it again.
    pub fn write(&self, objects: &Objects) -> Result<(), Error> {
        let location = &self.0.location;
        let Some(path) = location.strip_prefix("file://") else {
            let bytes = self.0.bytes.clone().into();
            return futures::executor::block_on(objects.put(location, bytes)).map_err(Error::from_table);
        };
        let path = Path::new(path);
        let fail = |e| Error::because(Kind::Unavailable, format!("cannot write {}", path.display()), e);
        let dir = path.parent().unwrap_or(Path::new("/"));
        eventlog::disk::make_folder(dir).map_err(fail)?;
        let partial = path.with_extension("partial");
        let mut file = File::create(&partial).map_err(fail)?;
        file.write_all(&self.0.bytes).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        telemetry::fail_point!("ingest.before_block_rename");
        std::fs::rename(&partial, path).map_err(fail)?;
        telemetry::fail_point!("ingest.after_block_rename");
        File::open(dir).and_then(|d| d.sync_all()).map_err(fail)?;
        telemetry::fail_point!("ingest.after_block_file");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_leads_to_its_block() {
        let dir = tempfile::tempdir().expect("dir");
        let mut blocks = Blocks::open(&format!("file://{}", dir.path().display()));
        let objects = Objects::new(table::objects::S3::default(), dir.path());
        let one = blocks.add(ProjectId(1), 7, b"first");
        let two = blocks.add(ProjectId(1), 9, b"second!");
        let other = blocks.add(ProjectId(2), 8, b"else");
        assert_eq!((blocks.bytes(), one.batch), (16, two.batch));
        for file in blocks.cut() {
            file.write(&objects).expect("write");
        }
        for (address, expected) in [(one, "first"), (two, "second!"), (other, "else")] {
            let (path, range) = address.url.split_once("?range=bytes=").expect("range");
            let (first, last) = range.split_once('-').expect("ends");
            let bytes = std::fs::read(path.strip_prefix("file://").expect("file")).expect("read");
            let range = first.parse::<usize>().expect("n")..=last.parse::<usize>().expect("n");
            assert_eq!(&bytes[range], expected.as_bytes());
        }
        assert!(blocks.cut().is_empty());
    }
}
