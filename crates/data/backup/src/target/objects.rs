//! Backups in an object store that speaks S3's protocol.

use super::{Again, Stored, Sums, content};
use crate::{Error, Kind, Result, Sink};
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Larger files are sent in parts.
const WHOLE: u64 = 16 << 20;
/// Parts on their way at the same time.
const AT_ONCE: usize = 4;

/// See the module.
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    shown: String,
}

impl Objects {
    pub(super) fn open(address: &str, options: &[(String, String)]) -> Result<Self> {
        let rest = address.strip_prefix("s3://").ok_or_else(|| {
            Error::new(Kind::Invalid, format!("{address}: backups go to a folder or to s3://BUCKET/PREFIX"))
        })?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
        for (name, value) in options {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder.build();
        let store =
            store.map_err(|error| Error::because(Kind::Invalid, format!("cannot use {address}"), error))?;
        Ok(Self { store: Arc::new(store), prefix: Path::from(prefix), shown: address.to_owned() })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    fn failed(&self, verb: &str, name: &str, error: object_store::Error) -> Error {
        Error::because(Kind::Unavailable, format!("cannot {verb} {name} in {}", self.shown), error)
    }

    /// Objects below a name with their sizes, named from there.
    pub(super) async fn names(&self, below: &str) -> Result<BTreeMap<String, u64>> {
        let prefix = self.path(below);
        let listed: Vec<_> = self
            .store
            .list(Some(&prefix))
            .try_collect()
            .await
            .map_err(|error| self.failed("list", below, error))?;
        let name = |path: &Path| {
            path.prefix_match(&prefix)
                .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"))
        };
        Ok(listed.into_iter().filter_map(|object| Some((name(&object.location)?, object.size))).collect())
    }

    pub(super) async fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let read = async { self.store.get(&self.path(name)).await?.bytes().await };
        match read.await {
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            other => Ok(Some(other.map_err(|error| self.failed("read", name, error))?.into())),
        }
    }

    pub(super) async fn write(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        let written = self.store.put(&self.path(name), PutPayload::from(bytes)).await;
        written.map(drop).map_err(|error| self.failed("write", name, error))
    }

    /// Reads a file once to learn its name here, and when it is large, a second time to send it.
    pub(super) async fn store(&self, size: u64, again: Again<'_>) -> Result<Stored> {
        let mut sums = Sums::default();
        let mut whole = Vec::new();
        again(&mut |bytes| {
            sums.add(bytes);
            if size <= WHOLE {
                whole.extend_from_slice(bytes);
            }
            Ok(())
        })?;
        let stored = sums.end();
        let name = content(&stored.sha256);
        let path = self.path(&name);
        let there = self.store.head(&path).await;
        if there.is_ok_and(|object| object.size == size) {
            return Ok(stored);
        }
        if size <= WHOLE {
            self.write(&name, whole).await?;
            return Ok(stored);
        }
        let failed = |error| self.failed("write", &name, error);
        let upload = self.store.put_multipart(&path).await.map_err(failed)?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, WHOLE as usize);
        let mut sums = Sums::default();
        let sent = again(&mut |bytes| {
            sums.add(bytes);
            writer.write(bytes);
            Ok(())
        });
        if sent.is_err() || sums.end() != stored {
            let _ = writer.abort().await;
            sent?;
            return Err(Error::new(Kind::Corrupt, "a file changed while it was copied"));
        }
        writer.wait_for_capacity(AT_ONCE).await.map_err(failed)?;
        writer.finish().await.map_err(failed)?;
        Ok(stored)
    }

    pub(super) async fn fetch(&self, name: &str, size: u64, sink: Sink<'_>) -> Result<()> {
        let failed = |error| match error {
            object_store::Error::NotFound { .. } => {
                Error::new(Kind::Corrupt, format!("{name} is missing in {}", self.shown))
            }
            error => self.failed("read", name, error),
        };
        let found = self.store.get(&self.path(name)).await.map_err(failed)?;
        if found.meta.size != size {
            let text = format!("{name} in {} has {} bytes instead of {size}", self.shown, found.meta.size);
            return Err(Error::new(Kind::Corrupt, text));
        }
        let mut stream = found.into_stream();
        while let Some(bytes) = stream.try_next().await.map_err(failed)? {
            sink(&bytes)
                .map_err(|error| Error::because(Kind::Unavailable, format!("cannot copy {name}"), error))?;
        }
        Ok(())
    }

    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        match self.store.delete(&self.path(name)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other.map_err(|error| self.failed("remove", name, error)),
        }
    }
}
