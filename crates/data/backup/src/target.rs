//! Where backups lie: `backups/ID.json`, one file per backup, and `content/AB/SHA256`, the bytes they share.
//!
//! Content has its name when it is whole; a backup has its file when all its content is there.

mod folder;
mod objects;

use crate::{Entry, Error, Kind, Manifest, Piece, Result, Sink};
use folder::Folder;
use objects::Objects;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;

/// A place for backups.
pub enum Target {
    /// A local folder.
    Folder(Folder),
    /// A prefix of a bucket.
    Objects(Objects),
}

/// Reads a file from its start, as often as asked.
pub(crate) type Again<'a> = &'a mut (dyn FnMut(Sink<'_>) -> Result<()> + Send);

/// What was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) sha256: String,
    pub(crate) crc32: u32,
}

/// Sums of bytes that pass.
#[derive(Default)]
pub(crate) struct Sums {
    sha256: Sha256,
    crc32: crc32fast::Hasher,
}

impl Sums {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.crc32.update(bytes);
    }

    pub(crate) fn end(self) -> Stored {
        Stored { sha256: hex::encode(self.sha256.finalize()), crc32: self.crc32.finalize() }
    }
}

impl Target {
    /// Opens a folder, or `s3://BUCKET/PREFIX` with options as the AWS tools name them (`AWS_REGION`, ...).
    ///
    /// # Errors
    /// `Invalid` for an address or options that cannot be used.
    pub fn open(address: &str, options: &[(String, String)]) -> Result<Self> {
        if address.contains("://") && !address.starts_with("file://") {
            return Objects::open(address, options).map(Self::Objects);
        }
        let path = address.strip_prefix("file://").unwrap_or(address);
        Ok(Self::Folder(Folder::new(PathBuf::from(path))))
    }

    /// Keeps others from writing here at the same time, where that is possible.
    ///
    /// # Errors
    /// `Busy` when somebody is.
    pub(crate) fn lock(&self) -> Result<Option<File>> {
        match self {
            Self::Folder(folder) => folder.lock().map(Some),
            Self::Objects(_) => Ok(None),
        }
    }

    /// Names of the backups, oldest first.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn ids(&self) -> Result<Vec<String>> {
        let names = match self {
            Self::Folder(folder) => folder.names("backups")?,
            Self::Objects(objects) => objects.names("backups").await?,
        };
        let ids = names.into_keys().filter_map(|name| name.strip_suffix(".json").map(str::to_owned));
        Ok(ids.collect())
    }

    /// One backup.
    ///
    /// # Errors
    /// `Invalid` when there is none of this name or a newer program wrote it, `Corrupt` when it is damaged.
    pub async fn manifest(&self, id: &str) -> Result<Manifest> {
        let name = format!("backups/{id}.json");
        let bytes = match self {
            Self::Folder(folder) => folder.read(&name)?,
            Self::Objects(objects) => objects.read(&name).await?,
        };
        match bytes {
            Some(bytes) => Manifest::decode(id, &bytes),
            None => {
                Err(Error::new(Kind::Invalid, format!("there is no backup {id}: see `tenrec backup list`")))
            }
        }
    }

    /// Makes a backup visible.
    pub(crate) async fn publish(&self, manifest: &Manifest) -> Result<()> {
        let name = format!("backups/{}.json", manifest.point.id);
        let bytes = manifest.encode()?;
        match self {
            Self::Folder(folder) => folder.publish(&name, &bytes),
            Self::Objects(objects) => objects.write(&name, bytes).await,
        }
    }

    /// Content by name, with sizes.
    pub(crate) async fn contents(&self) -> Result<BTreeMap<String, u64>> {
        let names = match self {
            Self::Folder(folder) => folder.names("content")?,
            Self::Objects(objects) => objects.names("content").await?,
        };
        let bare = |name: String| name.rsplit('/').next().map(str::to_owned);
        Ok(names.into_iter().filter_map(|(name, size)| Some((bare(name)?, size))).collect())
    }

    /// Stores a file unless its content is here already.
    pub(crate) async fn store(&self, piece: &Piece, again: Again<'_>) -> Result<Stored> {
        match self {
            Self::Folder(folder) => folder.store(again),
            Self::Objects(objects) => objects.store(piece.size, again).await,
        }
    }

    /// Gives content, without comparing it.
    pub(crate) async fn fetch(&self, sha256: &str, size: u64, sink: Sink<'_>) -> Result<()> {
        let name = content(sha256);
        match self {
            Self::Folder(folder) => folder.fetch(&name, size, sink),
            Self::Objects(objects) => objects.fetch(&name, size, sink).await,
        }
    }

    /// Gives the whole content of a file, compared.
    pub(crate) async fn whole(&self, entry: &Entry) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut sink = |part: &[u8]| -> io::Result<()> {
            bytes.extend_from_slice(part);
            Ok(())
        };
        self.fetch(&entry.sha256, entry.piece.size, &mut sink).await?;
        match hex::encode(Sha256::digest(&bytes)) == entry.sha256 {
            true => Ok(bytes),
            false => {
                Err(Error::new(Kind::Corrupt, format!("the content of {} is damaged", entry.piece.path)))
            }
        }
    }

    /// Removes content or the file of a backup.
    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.remove(name),
            Self::Objects(objects) => objects.remove(name).await,
        }
    }

    /// Removes what broken-off backups left behind that is not content.
    pub(crate) fn sweep(&self) -> Result<()> {
        match self {
            Self::Folder(folder) => folder.sweep(),
            Self::Objects(_) => Ok(()),
        }
    }
}

/// Where content of this sum lies.
pub(crate) fn content(sha256: &str) -> String {
    format!("content/{}/{sha256}", sha256.get(..2).unwrap_or("00"))
}
