//! Files that are flushed to the disk side by side, while others are still being written.
//!
//! One flush after the other is most of what a commit takes: a data file, a manifest, a list and their folders, each
//! some milliseconds in which nothing else happens. Nothing refers to any of them before the catalog's pointer moves, so
//! it is enough that all are durable then: whoever moves it calls [`Behind::settle`] first.

use iceberg::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Files written through one [`super::Disk`] that may not be durable yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Behind(Arc<Mutex<Flushes>>);

#[derive(Debug, Default)]
struct Flushes {
    files: Vec<(PathBuf, JoinHandle<io::Result<()>>)>,
    /// Folders of these files, whose names in them are not durable.
    folders: BTreeSet<PathBuf>,
}

impl Behind {
    /// Begins to flush a file; at once and to the end where no runtime can take the work.
    pub(super) fn flush(&self, file: File, path: &Path) -> io::Result<()> {
        let flush = move || super::flush(&file);
        let mut flushes = self.0.lock();
        flushes.folders.extend(path.parent().map(Path::to_owned));
        match Handle::try_current() {
            Ok(runtime) => flushes.files.push((path.to_owned(), runtime.spawn_blocking(flush))),
            Err(_) => flush()?,
        }
        Ok(())
    }

    /// Waits until every file written so far is durable, name and content.
    ///
    /// # Errors
    /// That of a flush that failed: nobody may be told of the files.
    pub(crate) async fn settle(&self) -> Result<()> {
        let Flushes { mut files, folders } = std::mem::take(&mut *self.0.lock());
        for folder in folders {
            let path = folder.clone();
            files.push((folder, tokio::task::spawn_blocking(move || super::flush_name(&path))));
        }
        let mut settled = Ok(());
        for (path, flush) in files {
            // All are waited for: what is under way must not go on behind the back of whoever cleans up.
            let flushed = flush.await.unwrap_or_else(|error| Err(io::Error::other(error)));
            if let Err(error) = flushed {
                let text = format!("cannot sync {}", path.display());
                settled = settled.and(Err(Error::new(ErrorKind::Unexpected, text).with_source(error)));
            }
        }
        settled
    }
}
