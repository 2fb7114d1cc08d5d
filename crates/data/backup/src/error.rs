//! What can go wrong with backups, by what the caller must do about it.

use std::fmt;

/// The result of a call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What was asked for cannot be done: tell the user, whom the text tells what to do.
    Invalid,
    /// Somebody else is at it: try again later.
    Busy,
    /// A disk or a store does not answer: try again.
    Unavailable,
    /// Bytes are not what was written: tell the user which.
    Corrupt,
    /// Our mistake: report it.
    Bug,
}

/// A failure of a backup or a restore.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure that nothing else caused.
    pub fn new(kind: Kind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// A failure caused by another.
    pub fn because(
        kind: Kind,
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, context: context.into(), source: Some(source.into()) }
    }

    /// What the caller must do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// A failure of the tables.
    pub(crate) fn of_table(doing: &str, error: table::Error) -> Self {
        let kind = match error.kind() {
            table::Kind::Invalid | table::Kind::NotFound => Kind::Invalid,
            table::Kind::Conflict => Kind::Busy,
            table::Kind::Unavailable => Kind::Unavailable,
            table::Kind::Corrupt => Kind::Corrupt,
            table::Kind::Bug => Kind::Bug,
        };
        Self::because(kind, doing, error)
    }

    /// A failure of the metastore.
    pub(crate) fn of_metastore(doing: &str, error: metastore::Error) -> Self {
        let kind = match error.kind() {
            metastore::Kind::Invalid | metastore::Kind::NotFound | metastore::Kind::Conflict => Kind::Invalid,
            metastore::Kind::Busy => Kind::Busy,
            metastore::Kind::Unavailable => Kind::Unavailable,
            metastore::Kind::Corrupt => Kind::Corrupt,
            metastore::Kind::Bug => Kind::Bug,
        };
        Self::because(kind, doing, error)
    }

    /// A failure of the log.
    pub(crate) fn of_log(doing: &str, error: eventlog::Error) -> Self {
        let kind = match error.kind() {
            eventlog::Kind::Corrupt => Kind::Corrupt,
            _ => Kind::Unavailable,
        };
        Self::because(kind, doing, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Adds what was being done to a failed call of the operating system.
pub(crate) trait Doing<T> {
    /// Wraps the error as `Unavailable`.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::because(Kind::Unavailable, what(), error))
    }
}
