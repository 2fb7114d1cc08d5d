//! What can go wrong with a metastore, and what the caller must do about it.

use std::fmt;

/// The result of a metastore call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The argument can never be stored: tell the user, do not retry.
    Invalid,
    /// The row that should change does not exist: tell the user.
    NotFound,
    /// The change contradicts what is stored (key taken, checkpoint already further): read again and decide.
    Conflict,
    /// Another process holds the database: retry later.
    Busy,
    /// The disk or the file cannot be used now: retry, and let the operator know.
    Unavailable,
    /// The stored bytes are damaged: stop and let the operator restore a backup.
    Corrupt,
    /// Our mistake: report it.
    Bug,
}

/// An error of the metastore.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// What the caller must do.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Kind {
    /// The stable lower-case name, used as a metric label.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Bug => "bug",
        }
    }

    /// An error of this kind that nothing else caused.
    pub fn error(self, context: impl Into<String>) -> Error {
        Error { kind: self, context: context.into(), source: None }
    }

    /// An error of this kind with its cause.
    pub fn because(
        self,
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error { kind: self, context: context.into(), source: Some(source.into()) }
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
