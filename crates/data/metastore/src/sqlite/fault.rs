//! From what SQLite says to what the caller must do.

use crate::{Error, Kind};
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
use std::path::Path;

/// What can go wrong inside a transaction, before it is known which file and which call it was.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite refused.
    Sqlite(rusqlite::Error),
    /// A stored value is not what was written.
    Damaged(String),
    /// Decided already.
    Known(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl Fault {
    /// The error for the caller, who was `doing` something with the file at `path`.
    pub(super) fn error(self, path: &Path, doing: &str) -> Error {
        let source = match self {
            Self::Known(error) => return error,
            Self::Damaged(what) => return Kind::Corrupt.error(damaged(path, &what)),
            Self::Sqlite(source) => source,
        };
        let file = path.display();
        match kind(&source) {
            Kind::Corrupt => Kind::Corrupt.because(damaged(path, "SQLite cannot read it"), source),
            Kind::Busy => {
                Kind::Busy.because(format!("{doing}: another process is writing to {file}; try again"), source)
            }
            Kind::Unavailable => Kind::Unavailable.because(
                format!("{doing}: the metadata file {file} cannot be used: check its folder, permissions and free space"),
                source,
            ),
            kind => kind.because(format!("{doing}: the metadata file {file} refused"), source),
        }
    }
}

fn damaged(path: &Path, what: &str) -> String {
    format!(
        "the metadata file {} is damaged, or its disk cannot be read ({what}): stop the server, look at the system's log for \
         errors of the disk, keep a copy of the file, and restore it from a backup",
        path.display()
    )
}

fn kind(source: &rusqlite::Error) -> Kind {
    match source {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => Kind::Corrupt,
        _ => match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Kind::Corrupt,
            Some(
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed,
            ) => Kind::Busy,
            Some(
                ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory,
            ) => Kind::Unavailable,
            Some(ErrorCode::ConstraintViolation) if is_taken(source) => Kind::Conflict,
            _ => Kind::Bug,
        },
    }
}

/// Whether a unique value is there already; any other constraint is ours to keep.
fn is_taken(source: &rusqlite::Error) -> bool {
    let code = source.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY))
}
