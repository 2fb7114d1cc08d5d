//! The embedded metastore: one SQLite file, one writer, a few readers.
//!
//! The file is in WAL mode, so readers never wait for the writer and see the last commit. `synchronous`
//! is FULL: a checkpoint lets the log be released, so it must be on disk when `commit` returns.
//! Other processes (the CLI) may open the same file at the same time.

mod checkpoint;
pub mod copy;
mod cursor;
mod definition;
mod fault;
mod group;
mod key;
mod person;
mod project;
mod salt;
mod schema;
mod value;

use crate::{Kind, Result};
use fault::Fault;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::task::JoinError;

/// How the file is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Connections that read at the same time; at least one.
    pub readers: usize,
    /// Milliseconds to wait for another process that writes.
    pub busy_timeout_ms: u64,
    /// Files up to this many bytes are checked whole when they are opened; 0 checks none.
    ///
    /// Larger files are still checked page by page as they are read.
    pub check_up_to_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { readers: 4, busy_timeout_ms: 5_000, check_up_to_bytes: 32 * 1024 * 1024 }
    }
}

/// A metastore in one SQLite file. Cloning it is cheap and shares the connections.
#[derive(Clone)]
pub struct Sqlite {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    writer: Arc<tokio::sync::Mutex<Connection>>,
    readers: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Sqlite {
    /// Opens the file with default settings and creates it when it is not there.
    ///
    /// # Errors
    /// As [`Sqlite::open_with`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &Settings::default())
    }

    /// Opens the file, creates it when it is not there, and brings its schema up to date.
    ///
    /// Blocks on the disk: call it before the server starts to serve.
    ///
    /// # Errors
    /// `Corrupt` for a damaged file, `Invalid` for a file of another program or of a newer version,
    /// `Unavailable` when the folder cannot be used, `Busy` when another process keeps it locked.
    pub fn open_with(path: impl AsRef<Path>, settings: &Settings) -> Result<Self> {
        let path = path.as_ref().to_path_buf();
        let connections = open_all(&path, settings).map_err(|fault| fault.error(&path, "open"))?;
        let (writer, readers) = connections;
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                writer: Arc::new(tokio::sync::Mutex::new(writer)),
                permits: Arc::new(Semaphore::new(readers.len())),
                readers: Mutex::new(readers),
            }),
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs `body` in a read transaction on a free reader: everything it sees is of one moment.
    async fn read<T, F>(&self, doing: &'static str, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let permits = Arc::clone(&self.shared.permits);
        let permit = permits.acquire_owned().await.map_err(|closed| Kind::Bug.because(doing, closed))?;
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || {
            let mut reader = Reader::take(&shared);
            let done = reader.run(body).map_err(|fault| fault.error(&shared.path, doing));
            drop(reader);
            drop(permit);
            done
        });
        finished(task.await, doing)
    }

    /// Runs `body` in a write transaction that is committed and fsynced when it succeeds.
    async fn write<T, F>(&self, doing: &'static str, body: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let writer = Arc::clone(&self.shared.writer).lock_owned().await;
        self.write_on(writer, doing, body).await
    }

    /// As [`Sqlite::write`], unless the writer is at work now: then nothing is done and `None` comes back.
    async fn write_if_free<T, F>(&self, doing: &'static str, body: F) -> Result<Option<T>>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        match Arc::clone(&self.shared.writer).try_lock_owned() {
            Ok(writer) => self.write_on(writer, doing, body).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    async fn write_on<T, F>(
        &self,
        mut writer: OwnedMutexGuard<Connection>,
        doing: &'static str,
        body: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Fault> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let task = tokio::task::spawn_blocking(move || {
            write_with(&mut writer, body).map_err(|fault| fault.error(&shared.path, doing))
        });
        finished(task.await, doing)
    }
}

/// Counts a failed call; a panic in its body is a failure too.
fn finished<T>(ended: Result<Result<T>, JoinError>, doing: &'static str) -> Result<T> {
    let done = ended.unwrap_or_else(|panicked| Err(Kind::Bug.because(doing, panicked)));
    done.inspect_err(|error| telemetry::process::metastore_failed(error.kind().tag()))
}

/// A reader on loan; it goes back to the pool even when a body panics.
struct Reader<'a> {
    shared: &'a Shared,
    connection: Option<Connection>,
}

impl<'a> Reader<'a> {
    fn take(shared: &'a Shared) -> Self {
        Self { shared, connection: shared.readers.lock().pop() }
    }

    fn run<T>(&mut self, body: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let connection = self.connection.as_mut().expect("a permit stands for a reader in the pool");
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
        body(&transaction)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shared.readers.lock().push(connection);
        }
    }
}

fn write_with<T>(
    connection: &mut Connection,
    body: impl FnOnce(&Transaction<'_>) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = body(&transaction)?;
    telemetry::fail_point!("metastore.before_commit");
    transaction.commit()?;
    telemetry::fail_point!("metastore.after_commit");
    Ok(done)
}

fn open_all(path: &Path, settings: &Settings) -> Result<(Connection, Vec<Connection>), Fault> {
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    let mut writer = connect(path, settings)?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    if bytes > 0 && bytes <= settings.check_up_to_bytes {
        schema::check(&writer)?;
    }
    schema::migrate(&mut writer)?;
    let mut readers = Vec::new();
    for _ in 0..settings.readers.max(1) {
        let reader = connect(path, settings)?;
        reader.pragma_update(None, "query_only", true)?;
        readers.push(reader);
    }
    Ok((writer, readers))
}

fn connect(path: &Path, settings: &Settings) -> Result<Connection, Fault> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_millis(settings.busy_timeout_ms))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // KiB of pages kept in memory per connection.
    connection.pragma_update(None, "cache_size", -8_192)?;
    // The WAL is cut back to this many bytes after a large commit was checkpointed.
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The promise of a commit rests on these; a killed process cannot show that they are set.
    #[test]
    fn connections_write_durably() {
        let folder = tempfile::tempdir().expect("a folder");
        let (writer, readers) =
            open_all(&folder.path().join("meta.db"), &Settings::default()).expect("opened");
        let text = |connection: &Connection, pragma: &str| -> String {
            let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
            connection.query_row(&sql, [], |row| row.get(0)).expect("a pragma")
        };
        assert_eq!(text(&writer, "synchronous"), "2", "FULL");
        assert_eq!(text(&writer, "journal_mode"), "wal");
        assert_eq!(text(&writer, "foreign_keys"), "1");
        assert_eq!(readers.len(), 4);
        for reader in &readers {
            reader.execute("DELETE FROM checkpoints", []).expect_err("readers only read");
        }
    }
}
