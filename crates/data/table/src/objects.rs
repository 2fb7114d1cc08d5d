//! Where the files of the tables are: a local folder, or a store that speaks S3.
//!
//! Locations say which: `file:///folder/...` is this machine's disk ([`crate::disk`]), `s3://bucket/key` an object. A
//! file that was written is durable, and its name is used once, so a write that failed half way may be repeated and
//! what it left is an orphan.

mod bucket;
mod file;
mod lent;
mod s3;

pub(crate) use lent::Lender;
pub use s3::S3;
pub(crate) use s3::chain;

use crate::catalog::local_path;
use crate::disk::{Behind, Disk};
use crate::error::{Context, kind_of};
use crate::{Error, Kind, Result};
use bucket::Bucket;
use futures::{StreamExt, TryStreamExt};
use iceberg::io::{FileIO, FileIOBuilder};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use tokio::runtime::{Builder, Handle, Runtime};

/// How often an object that did not arrive whole is asked for.
const ATTEMPTS: usize = 3;
/// Threads of requests to stores and catalogs.
const THREADS: usize = 2;

/// See the module. Cloning is one reference count.
#[derive(Clone)]
pub struct Objects(Arc<Inner>);

struct Inner {
    s3: S3,
    /// Objects that a merge reads are put here meanwhile, without a name.
    scratch: PathBuf,
    files: FileIO,
    buckets: Mutex<HashMap<String, Arc<Bucket>>>,
    wire: Wire,
}

/// The runtime of connections: theirs must live as long as they do, whoever's question opened them.
#[derive(Default)]
pub(crate) struct Wire(OnceLock<Runtime>);

impl Wire {
    /// The runtime, started when it is needed first.
    pub(crate) fn handle(&self) -> std::io::Result<Handle> {
        if let Some(runtime) = self.0.get() {
            return Ok(runtime.handle().clone());
        }
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name("objects").enable_all().build()?;
        // Of two at once the second's threads end again.
        if let Err(second) = self.0.set(runtime) {
            second.shutdown_background();
        }
        self.0.get().map(|runtime| runtime.handle().clone()).ok_or_else(|| std::io::ErrorKind::Other.into())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // It may be dropped on another runtime's thread, where waiting is not allowed.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("s3", &self.0.s3).finish_non_exhaustive()
    }
}

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where; of local files the path.
    pub location: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written last, in milliseconds since 1970.
    pub changed_ms: i64,
}

impl Objects {
    /// Files on this machine, and in stores that are spoken to as `s3` says. `scratch` is a folder of this machine.
    pub fn new(s3: S3, scratch: &Path) -> Self {
        let scratch = scratch.to_owned();
        Self(Arc::new_cyclic(|inner| {
            let files = files(inner.clone(), Disk::default());
            Inner { s3, scratch, files, buckets: Mutex::default(), wire: Wire::default() }
        }))
    }

    /// The files as the library reads and writes them.
    pub fn files(&self) -> &FileIO {
        &self.0.files
    }

    /// The same files for someone who writes several before anybody is told of one: those on this machine's disk are
    /// durable when the [`Behind`] has settled, and not before. Objects are at once.
    pub(crate) fn behind(&self) -> (FileIO, Behind) {
        let behind = Behind::default();
        (files(Arc::downgrade(&self.0), Disk::flushing(behind.clone())), behind)
    }

    /// A bucket, for engines that read from it themselves.
    ///
    /// # Errors
    /// `Invalid` when the settings do not make a client.
    pub fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>> {
        Ok(self.0.bucket(name)?)
    }

    /// Uses credentials that a catalog lends for what lies below `prefix`, in place of our own.
    ///
    /// # Errors
    /// `Invalid` when they do not make a client.
    pub(crate) fn lend(
        &self,
        prefix: &str,
        config: &HashMap<String, String>,
        lender: Arc<dyn Lender>,
    ) -> Result<()> {
        if split(prefix).is_none() {
            return Ok(());
        }
        let (bucket, key) = self.0.locate(prefix)?;
        let wire =
            self.0.wire.handle().context(Kind::Unavailable, || "start threads for objects".to_owned())?;
        bucket.lend(key, &self.0.s3.with(config), (config, lender), &wire)
    }

    /// Writes a whole object, or replaces it.
    ///
    /// # Errors
    /// `Unavailable`: writing it again is harmless.
    pub async fn put(&self, location: &str, bytes: bytes::Bytes) -> Result<()> {
        let written = async { self.files().new_output(location)?.write(bytes).await }.await;
        written.map_err(|error| Error::new(kind_of(&error), format!("write {location}")).from_source(error))
    }

    /// The files below a folder; none when there is no such folder.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be listed to the end.
    pub async fn list(&self, folder: &str) -> Result<Vec<Found>> {
        let unlisted = || format!("list {folder}");
        if let Some(path) = local_path(folder) {
            let mut found = Vec::new();
            look(&path, &mut found).context(Kind::Unavailable, unlisted)?;
            return Ok(found);
        }
        let (bucket, key) = self.0.locate(folder)?;
        let scheme = scheme(folder);
        let name = bucket.name().to_owned();
        let listed = bucket.list(Some(&key)).map_ok(|object| Found {
            location: format!("{scheme}://{name}/{}", object.location),
            bytes: object.size,
            changed_ms: object.last_modified.timestamp_millis(),
        });
        listed.try_collect().await.context(Kind::Unavailable, unlisted)
    }

    /// Whether anything lies below a folder.
    ///
    /// # Errors
    /// `Unavailable` when the store does not answer.
    pub async fn has_any(&self, folder: &str) -> Result<bool> {
        let unlisted = || format!("list {folder}");
        if let Some(path) = local_path(folder) {
            return Ok(std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()));
        }
        let (bucket, key) = self.0.locate(folder)?;
        let first = bucket.list(Some(&key)).next().await.transpose();
        Ok(first.context(Kind::Unavailable, unlisted)?.is_some())
    }

    /// Opens a data file to be read on this machine's disk, compared with its checksum if it has one. An object is
    /// copied to a file without a name.
    ///
    /// # Errors
    /// `Corrupt` when it is missing or damaged; `Unavailable` when it does not come.
    pub(crate) fn fetch(&self, location: &str) -> Result<File> {
        if let Some(path) = local_path(location) {
            crate::seal::verify(&path)?;
            return File::open(&path).context(Kind::Corrupt, || format!("read {}", path.display()));
        }
        futures::executor::block_on(async {
            let mut attempt = 1;
            loop {
                match self.copy(location).await {
                    Err(error) if error.kind() == Kind::Unavailable && attempt < ATTEMPTS => attempt += 1,
                    done => return done,
                }
            }
        })
    }

    async fn copy(&self, location: &str) -> Result<File> {
        let unread = || format!("read {location}");
        let (bucket, key) = self.0.locate(location)?;
        let got = match bucket.get(&key).await {
            Err(error @ object_store::Error::NotFound { .. }) => {
                let text = format!("data file is missing: {location}");
                return Err(Error::new(Kind::Corrupt, text).from_source(error));
            }
            got => got.context(Kind::Unavailable, unread)?,
        };
        let size = got.meta.size;
        let unwritten = || format!("copy {location} to {}", self.0.scratch.display());
        let mut file = tempfile::tempfile_in(&self.0.scratch).context(Kind::Unavailable, unwritten)?;
        let (mut pieces, mut length) = (got.into_stream(), 0);
        while let Some(piece) = pieces.next().await {
            let piece = piece.context(Kind::Unavailable, unread)?;
            length += piece.len() as u64;
            file.write_all(&piece).context(Kind::Unavailable, unwritten)?;
        }
        if length != size {
            let text = format!("{location} ended after {length} of {size} bytes");
            return Err(Error::new(Kind::Unavailable, text));
        }
        file.seek(SeekFrom::Start(0)).context(Kind::Unavailable, unwritten)?;
        Ok(file)
    }
}

impl Inner {
    fn bucket(&self, name: &str) -> Result<Arc<Bucket>> {
        let mut buckets = self.buckets.lock();
        if let Some(bucket) = buckets.get(name) {
            return Ok(bucket.clone());
        }
        let wire =
            self.wire.handle().context(Kind::Unavailable, || "start threads for objects".to_owned())?;
        let bucket = Arc::new(Bucket::open(name, &self.s3, &wire)?);
        buckets.insert(name.to_owned(), bucket.clone());
        Ok(bucket)
    }

    /// The bucket and the key of a location.
    fn locate(&self, location: &str) -> Result<(Arc<Bucket>, Key)> {
        let (name, key) = split(location)
            .ok_or_else(|| Error::new(Kind::Invalid, format!("{location} is neither file:// nor s3://")))?;
        let key = Key::parse(key.trim_end_matches('/'))
            .context(Kind::Invalid, || format!("{location} cannot be an object"))?;
        Ok((self.bucket(name)?, key))
    }
}

fn files(inner: Weak<Inner>, disk: Disk) -> FileIO {
    FileIOBuilder::new(Arc::new(file::FilesFactory::new(inner, disk))).build()
}

fn scheme(location: &str) -> &str {
    location.split_once("://").map_or("s3", |(scheme, _)| scheme)
}

/// Bucket and key of an object's location.
pub(crate) fn split(location: &str) -> Option<(&str, &str)> {
    let rest = ["s3://", "s3a://", "s3n://"].iter().find_map(|scheme| location.strip_prefix(scheme))?;
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    (!bucket.is_empty()).then_some((bucket, key))
}

fn look(folder: &Path, found: &mut Vec<Found>) -> std::io::Result<()> {
    let listed = match std::fs::read_dir(folder) {
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
            let changed = metadata.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let changed_ms = i64::try_from(changed.as_millis()).unwrap_or(i64::MAX);
            let location = entry.path().to_string_lossy().into_owned();
            found.push(Found { location, bytes: metadata.len(), changed_ms });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_bucket_and_a_key() {
        assert_eq!(split("s3://lake/a/b.parquet"), Some(("lake", "a/b.parquet")));
        assert_eq!(split("s3a://lake"), Some(("lake", "")));
        assert_eq!(split("s3:///a"), None);
        assert_eq!(split("file:///a"), None);
        assert_eq!(split("gs://lake/a"), None);
    }
}
