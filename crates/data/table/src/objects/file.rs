//! Local files and objects as the library reads and writes them.

use super::bucket::Bucket;
use super::{Inner, split};
use crate::disk::Disk;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use iceberg::io::{
    FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage, StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::buffered::BufWriter;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::{Arc, Weak};
use tokio::io::AsyncWriteExt;

/// Bytes of a part of an upload; what is smaller is one request.
const PART_BYTES: usize = 8 << 20;
/// Parts under way at once.
const PARTS: usize = 4;
/// How often a whole object that came short is asked for.
const ATTEMPTS: usize = 3;

/// See the module.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Files {
    #[serde(skip)]
    inner: Weak<Inner>,
    disk: Disk,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

/// Makes [`Files`].
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct FilesFactory {
    #[serde(skip)]
    inner: Weak<Inner>,
    disk: Disk,
}

impl std::fmt::Debug for FilesFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FilesFactory")
    }
}

impl FilesFactory {
    pub(super) fn new(inner: Weak<Inner>, disk: Disk) -> Self {
        Self { inner, disk }
    }
}

#[typetag::serde(name = "TenrecFilesFactory")]
impl StorageFactory for FilesFactory {
    fn build(&self, _config: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(Files { inner: self.inner.clone(), disk: self.disk.clone() }))
    }
}

/// An object that is not there is damage, since nothing names it before it is complete; the rest may pass.
fn failed(verb: &str, path: &str, error: object_store::Error) -> Error {
    let kind = match error {
        object_store::Error::NotFound { .. } => ErrorKind::DataInvalid,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, format!("cannot {verb} {path}")).with_source(error)
}

impl Files {
    /// The object at a location; none when it is a local file.
    fn object(&self, path: &str) -> Result<Option<(Arc<Bucket>, Key)>> {
        if split(path).is_none() {
            return Ok(None);
        }
        let closed = || Error::new(ErrorKind::Unexpected, "the tables are closed");
        let inner = self.inner.upgrade().ok_or_else(closed)?;
        let located = inner.locate(path);
        located.map(Some).map_err(|error| {
            Error::new(ErrorKind::FeatureUnsupported, error.context().to_owned()).with_source(error)
        })
    }
}

#[async_trait]
#[typetag::serde(name = "TenrecFiles")]
impl Storage for Files {
    async fn exists(&self, path: &str) -> Result<bool> {
        let Some((bucket, key)) = self.object(path)? else { return self.disk.exists(path).await };
        match bucket.head(&key).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(failed("look for", path, error)),
        }
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        let Some((bucket, key)) = self.object(path)? else { return self.disk.metadata(path).await };
        let found = bucket.head(&key).await.map_err(|error| failed("look at", path, error))?;
        Ok(FileMetadata { size: found.size })
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        let Some((bucket, key)) = self.object(path)? else { return self.disk.read(path).await };
        let mut attempt = 1;
        loop {
            let read = async {
                let got = bucket.get(&key).await?;
                let size = got.meta.size;
                Ok((got.bytes().await?, size))
            };
            match read.await {
                Ok((bytes, size)) if bytes.len() as u64 == size => return Ok(bytes),
                Ok((bytes, size)) if attempt == ATTEMPTS => {
                    let text = format!("{path} ended after {} of {size} bytes", bytes.len());
                    return Err(Error::new(ErrorKind::Unexpected, text)
                        .with_source(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)));
                }
                Err(error @ object_store::Error::NotFound { .. }) => return Err(failed("read", path, error)),
                Err(error) if attempt == ATTEMPTS => return Err(failed("read", path, error)),
                _ => attempt += 1,
            }
        }
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        let Some((bucket, key)) = self.object(path)? else { return self.disk.reader(path).await };
        Ok(Box::new(Reader { bucket, key, path: path.to_owned() }))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        if self.object(path)?.is_none() {
            return self.disk.write(path, bytes).await;
        }
        let mut writer = self.writer(path).await?;
        writer.write(bytes).await?;
        writer.close().await
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        let Some((bucket, key)) = self.object(path)? else { return self.disk.writer(path).await };
        let store: Arc<dyn ObjectStore> = bucket.clone();
        let writer = BufWriter::with_capacity(store, key.clone(), PART_BYTES).with_max_concurrency(PARTS);
        Ok(Box::new(Writer { bucket, key, path: path.to_owned(), writer: Some(writer), length: 0 }))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let Some((bucket, key)) = self.object(path)? else { return self.disk.delete(path).await };
        match bucket.delete(&key).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(failed("remove", path, error)),
        }
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        let Some((bucket, key)) = self.object(path)? else { return self.disk.delete_prefix(path).await };
        let found: Vec<Key> = bucket
            .list(Some(&key))
            .map_ok(|object| object.location)
            .try_collect()
            .await
            .map_err(|error| failed("list", path, error))?;
        let keys = futures::stream::iter(found.into_iter().map(Ok)).boxed();
        let mut gone = bucket.delete_stream(keys);
        while let Some(one) = gone.next().await {
            match one {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed("remove", path, error)),
            }
        }
        Ok(())
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_owned()))
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_owned()))
    }
}

struct Reader {
    bucket: Arc<Bucket>,
    key: Key,
    path: String,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let wanted = range.end.saturating_sub(range.start);
        if wanted == 0 {
            return Ok(Bytes::new());
        }
        let mut attempt = 1;
        loop {
            match self.bucket.get_range(&self.key, range.clone()).await {
                Ok(bytes) if bytes.len() as u64 == wanted => return Ok(bytes),
                Ok(_) if attempt == ATTEMPTS => {
                    let text = format!("{} ended before byte {}", self.path, range.end);
                    return Err(Error::new(ErrorKind::DataInvalid, text));
                }
                Err(error)
                    if attempt == ATTEMPTS || matches!(error, object_store::Error::NotFound { .. }) =>
                {
                    return Err(failed("read", &self.path, error));
                }
                _ => attempt += 1,
            }
        }
    }
}

struct Writer {
    bucket: Arc<Bucket>,
    key: Key,
    path: String,
    writer: Option<BufWriter>,
    length: u64,
}

#[async_trait]
impl FileWrite for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let closed = || Error::new(ErrorKind::Unexpected, "write after close");
        let writer = self.writer.as_mut().ok_or_else(closed)?;
        self.length += bytes.len() as u64;
        writer.put(bytes).await.map_err(|error| failed("write", &self.path, error))
    }

    async fn close(&mut self) -> Result<()> {
        let Some(mut writer) = self.writer.take() else {
            return Err(Error::new(ErrorKind::Unexpected, "closed twice"));
        };
        let Err(error) = writer.shutdown().await else { return Ok(()) };
        // The answer may be what got lost: names are used once, so an object of this size is the one.
        if self.bucket.head(&self.key).await.is_ok_and(|found| found.size == self.length) {
            return Ok(());
        }
        let _ = writer.abort().await;
        Err(Error::new(ErrorKind::Unexpected, format!("cannot write {}", self.path)).with_source(error))
    }
}
