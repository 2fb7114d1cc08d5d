//! A local folder as Iceberg storage: a file that was written is on the disk, name and content.
//!
//! `write` and `close` return after the file and every folder on its way have been synced, so that the
//! catalog never points at something a power cut can take away; or, on a disk with a [`Behind`], once that has begun.

mod behind;

pub(crate) use behind::Behind;

use crate::seal;
use async_trait::async_trait;
use bytes::Bytes;
use crc32fast::Hasher;
use futures::{StreamExt, stream::BoxStream};
use iceberg::io::{FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage};
use iceberg::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Disk {
    /// Where flushes are waited for; none: at once.
    #[serde(skip)]
    behind: Option<Behind>,
}

/// The path behind a `file:` location.
///
/// # Errors
/// Unsupported when it is anything but an absolute local path.
pub(crate) fn local(location: &str) -> Result<PathBuf> {
    let path =
        location.strip_prefix("file://").or_else(|| location.strip_prefix("file:")).unwrap_or(location);
    if path.starts_with('/') {
        return Ok(PathBuf::from(path));
    }
    Err(Error::new(ErrorKind::FeatureUnsupported, format!("not a local path: {location}")))
}

/// A missing or short file is damage, since nothing names a file before it is complete; the rest may pass.
fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof | io::ErrorKind::IsADirectory => {
            ErrorKind::DataInvalid
        }
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, format!("cannot {verb} {}", path.display())).with_source(error)
}

impl Disk {
    /// A disk whose files are durable when `behind` has settled.
    pub(crate) fn flushing(behind: Behind) -> Self {
        Self { behind: Some(behind) }
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates the folder and makes its name durable, parents first.
fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        create_folder(parent)?;
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {
                telemetry::fail_point!("table.after_folder_create");
                sync_folder(parent)?;
            }
        }
    }
    Ok(())
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        create_folder(parent)?;
    }
    File::create(path)
}

/// Makes the content of a file durable.
fn flush(file: &File) -> io::Result<()> {
    telemetry::fail_point!("table.before_file_sync");
    file.sync_all()?;
    telemetry::fail_point!("table.after_file_sync");
    Ok(())
}

/// Makes the names in a folder durable.
fn flush_name(folder: &Path) -> io::Result<()> {
    sync_folder(folder)?;
    telemetry::fail_point!("table.after_file_name_sync");
    Ok(())
}

fn finish(file: File, path: &Path, crc: u32, behind: Option<&Behind>) -> io::Result<()> {
    seal::put(&file, crc)?;
    if let Some(behind) = behind {
        return behind.flush(file, path);
    }
    flush(&file)?;
    path.parent().map_or(Ok(()), flush_name)
}

fn write_whole(path: &Path, bytes: &[u8], behind: Option<&Behind>) -> Result<()> {
    let written = create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        finish(file, path, crc32fast::hash(bytes), behind)
    });
    written.map_err(|error| {
        // The rest of a failed write has no reader; if it cannot be removed it is an orphan.
        let _ = fs::remove_file(path);
        failed("write", path, error)
    })
}

#[async_trait]
#[typetag::serde(name = "TenrecDisk")]
impl Storage for Disk {
    async fn exists(&self, path: &str) -> Result<bool> {
        let path = local(path)?;
        path.try_exists().map_err(|error| failed("look for", &path, error))
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        let path = local(path)?;
        let metadata = fs::metadata(&path).map_err(|error| failed("look at", &path, error))?;
        Ok(FileMetadata { size: metadata.len() })
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        let path = local(path)?;
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes).map(|_| file));
        let file = read.map_err(|error| failed("read", &path, error))?;
        if !seal::holds(&file, &bytes) {
            let text = format!("the content of {} is not what was written", path.display());
            return Err(Error::new(ErrorKind::DataInvalid, text));
        }
        Ok(Bytes::from(bytes))
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        let path = local(path)?;
        let file = File::open(&path).map_err(|error| failed("open", &path, error))?;
        Ok(Box::new(Reader { file, path }))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        let path = local(path)?;
        // Syncing takes as long as the disk likes: not on a thread that serves requests.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                let behind = self.behind.clone();
                let write = move || write_whole(&path, &bytes, behind.as_ref());
                let written = runtime.spawn_blocking(write).await;
                written.map_err(|error| Error::new(ErrorKind::Unexpected, "write").with_source(error))?
            }
            Err(_) => write_whole(&path, &bytes, self.behind.as_ref()),
        }
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        let path = local(path)?;
        let file = create(&path).map_err(|error| failed("create", &path, error))?;
        let behind = self.behind.clone();
        Ok(Box::new(Writer { file: Some(file), hasher: Hasher::new(), path, behind }))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let path = local(path)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, error)),
            _ => Ok(()),
        }
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        let path = local(path)?;
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, error)),
            _ => Ok(()),
        }
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
    file: File,
    path: PathBuf,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let size = self.file.metadata().map_err(|error| failed("look at", &self.path, error))?.len();
        if range.start > range.end || range.end > size {
            return Err(failed("read", &self.path, io::ErrorKind::UnexpectedEof.into()));
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        self.file
            .read_exact_at(&mut bytes, range.start)
            .map_err(|error| failed("read", &self.path, error))?;
        Ok(Bytes::from(bytes))
    }
}

struct Writer {
    file: Option<File>,
    hasher: Hasher,
    path: PathBuf,
    behind: Option<Behind>,
}

#[async_trait]
impl FileWrite for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let closed = || Error::new(ErrorKind::Unexpected, "write after close");
        let file = self.file.as_mut().ok_or_else(closed)?;
        self.hasher.update(&bytes);
        file.write_all(&bytes).map_err(|error| failed("write", &self.path, error))
    }

    async fn close(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else {
            return Err(Error::new(ErrorKind::Unexpected, "closed twice"));
        };
        let crc = std::mem::take(&mut self.hasher).finalize();
        let finished = finish(file, &self.path, crc, self.behind.as_ref());
        finished.map_err(|error| failed("sync", &self.path, error))?;
        seal::note_sound(&self.path);
        Ok(())
    }
}
