//! From what PostgreSQL says to what the caller must do.

use crate::{Error, Kind};
use deadpool_postgres::PoolError;
use tokio_postgres::error::{DbError, SqlState};

/// What can go wrong inside a call, before it is known which database and which call it was.
#[derive(Debug)]
pub(super) enum Fault {
    /// The server refused, or the connection was lost.
    Postgres(tokio_postgres::Error),
    /// No connection could be opened.
    Unreachable(tokio_postgres::Error),
    /// No answer within the time that is given for it.
    Silent,
    /// A stored value is not what was written.
    Damaged(String),
    /// Decided already.
    Known(Error),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(source: tokio_postgres::Error) -> Self {
        Self::Postgres(source)
    }
}

impl From<PoolError> for Fault {
    fn from(source: PoolError) -> Self {
        match source {
            PoolError::Backend(source) => Self::Unreachable(source),
            PoolError::Timeout(_) => Self::Silent,
            other => Self::Known(Kind::Bug.because("take a connection from the pool", other)),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Known(error)
    }
}

impl Fault {
    /// The error for the caller, who was `doing` something with the database at `place`.
    pub(super) fn error(self, place: &str, doing: &str) -> Error {
        let source = match self {
            Self::Known(error) => return error,
            Self::Damaged(what) => return Kind::Corrupt.error(damaged(place, &what)),
            Self::Silent => {
                let why = format!("{doing}: the metadata database {place} does not answer in time");
                return Kind::Unavailable.error(why);
            }
            Self::Unreachable(source) => {
                let why = format!(
                    "{doing}: the metadata database {place} cannot be opened: check that it runs, that it can be \
                     reached, and the user, password and sslmode of its URL"
                );
                return Kind::Unavailable.because(why, source);
            }
            Self::Postgres(source) => source,
        };
        match kind(&source) {
            Kind::Corrupt => Kind::Corrupt.because(damaged(place, "PostgreSQL cannot read it"), source),
            Kind::Busy => {
                Kind::Busy.because(format!("{doing}: another process is writing to {place}; try again"), source)
            }
            Kind::Unavailable => Kind::Unavailable.because(
                format!("{doing}: the metadata database {place} cannot be used: check its state, permissions and free space"),
                source,
            ),
            kind => kind.because(format!("{doing}: the metadata database {place} refused"), source),
        }
    }
}

fn damaged(place: &str, what: &str) -> String {
    format!(
        "the metadata database {place} is damaged ({what}): stop the server and restore the database from a backup"
    )
}

fn kind(source: &tokio_postgres::Error) -> Kind {
    match source.as_db_error() {
        Some(refusal) => kind_of(refusal.code()),
        // Lost on the way: closed, reset, cut off in the middle of a message.
        None if source.is_closed() || caused_by_io(source) => Kind::Unavailable,
        None => Kind::Bug,
    }
}

fn caused_by_io(source: &tokio_postgres::Error) -> bool {
    std::error::Error::source(source).is_some_and(|cause| cause.is::<std::io::Error>())
}

fn kind_of(code: &SqlState) -> Kind {
    let is_one_of = |states: &[SqlState]| states.contains(code);
    if is_one_of(&[SqlState::UNIQUE_VIOLATION]) {
        return Kind::Conflict;
    }
    if is_one_of(&[SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED])
        || is_one_of(&[SqlState::T_R_SERIALIZATION_FAILURE, SqlState::OBJECT_IN_USE])
    {
        return Kind::Busy;
    }
    // A role without its rights, or a standby that only reads, is what an operator can mend.
    if is_one_of(&[SqlState::INSUFFICIENT_PRIVILEGE, SqlState::READ_ONLY_SQL_TRANSACTION]) {
        return Kind::Unavailable;
    }
    if is_one_of(&[SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT]) {
        return Kind::Unavailable;
    }
    match code.code().get(..2) {
        // Damaged pages and indexes.
        Some("XX") if is_one_of(&[SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED]) => Kind::Corrupt,
        // Connection lost, login refused, no such database, resources used up, shut down or cancelled, system error.
        Some("08" | "28" | "3D" | "53" | "57" | "58") => Kind::Unavailable,
        _ => Kind::Bug,
    }
}

/// Whether the transaction may have been ended by the server and not by its own content.
pub(super) fn refused_by_lock(refusal: &DbError) -> bool {
    *refusal.code() == SqlState::LOCK_NOT_AVAILABLE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_understood() {
        let cases = [
            ("23505", Kind::Conflict),
            ("23503", Kind::Bug),
            ("55P03", Kind::Busy),
            ("40P01", Kind::Busy),
            ("42501", Kind::Unavailable),
            ("25006", Kind::Unavailable),
            ("53100", Kind::Unavailable),
            ("57014", Kind::Unavailable),
            ("57P01", Kind::Unavailable),
            ("28P01", Kind::Unavailable),
            ("XX001", Kind::Corrupt),
            ("XX000", Kind::Bug),
            ("42601", Kind::Bug),
        ];
        for (code, expected) in cases {
            assert_eq!(kind_of(&SqlState::from_code(code)), expected, "{code}");
        }
    }
}
