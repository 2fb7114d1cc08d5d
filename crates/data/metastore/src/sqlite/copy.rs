//! Copies of the file for backups: of one moment, whatever is written meanwhile.

use super::checkpoint::stored;
use super::fault::Fault;
use super::schema;
use crate::{Kind, Result};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait for another process.
const BUSY: Duration = Duration::from_secs(10);

/// The file as it was at one moment. Whoever writes to it is not kept waiting; what is written is not seen.
pub struct Moment {
    connection: Connection,
    path: PathBuf,
    checkpoint: Option<u64>,
}

impl Moment {
    /// Begins to read the file, which another process may have open.
    ///
    /// # Errors
    /// `Corrupt`, `Busy` and `Unavailable` as opening it.
    pub fn open(path: &Path) -> Result<Self> {
        let begin = || -> Result<(Connection, Option<u64>), Fault> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(BUSY)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.execute_batch("BEGIN DEFERRED")?;
            // The first read is what fixes the moment.
            let checkpoint = stored(&connection)?.map(|reach| reach.of(0));
            Ok((connection, checkpoint))
        };
        let (connection, checkpoint) = begin().map_err(|fault| fault.error(path, "begin a copy"))?;
        Ok(Self { connection, path: path.to_owned(), checkpoint })
    }

    /// The checkpoint of the moment, of a log in the same folder: it has one partition.
    pub fn checkpoint(&self) -> Option<u64> {
        self.checkpoint
    }

    /// Writes the whole database to a new file.
    ///
    /// # Errors
    /// As reading it; `Unavailable` when the new file cannot be written.
    pub fn copy_to(&self, target: &Path) -> Result<()> {
        let copy = || -> Result<(), Fault> {
            let mut to = Connection::open(target)?;
            let done = Backup::new(&self.connection, &mut to)?.step(-1)?;
            if done != StepResult::Done {
                return Err(Kind::Busy
                    .error("the copy of the metadata file was kept waiting; try again")
                    .into());
            }
            // One file, without a journal beside it.
            to.pragma_update(None, "journal_mode", "DELETE")?;
            Ok(())
        };
        copy().map_err(|fault| fault.error(&self.path, "copy"))
    }
}

/// Opens a copy without changing it, and compares its pages, its indexes and its two checkpoints.
///
/// # Errors
/// `Corrupt` when it is damaged, `Invalid` when a newer program wrote it or it is another program's.
pub fn verify(path: &Path) -> Result<Option<u64>> {
    let look = || -> Result<Option<u64>, Fault> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        schema::check(&connection)?;
        schema::refuse_other(&connection)?;
        Ok(stored(&connection)?.map(|reach| reach.of(0)))
    };
    look().map_err(|fault| fault.error(path, "check a copy"))
}
