//! What can go wrong with tables, by what the caller must do about it.

use std::fmt;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request or the setting is wrong: report it, do not retry.
    Invalid,
    /// No such table: report it.
    NotFound,
    /// Somebody else changed the table at the same time: retry later, nothing was lost.
    Conflict,
    /// The disk or the catalog did not answer: retry later, the tail still holds the rows.
    Unavailable,
    /// A file is damaged or missing: stop answering from this table and tell the operator which file.
    Corrupt,
    /// An invariant of this crate broke: report it with its source.
    Bug,
}

impl Kind {
    /// Stable lower-case tag, used as a metric label.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Bug => "bug",
        }
    }
}

/// An error of this crate. Its text never contains its source's text.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without a cause.
    pub fn new(kind: Kind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn from_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller must do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What was being done, with the path or table it concerns.
    pub fn context(&self) -> &str {
        &self.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.tag(), self.context)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Adds what was being done to an error of a library.
pub(crate) trait Context<T> {
    /// Wraps the error as `kind`, described by `context`.
    fn context(self, kind: Kind, context: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, kind: Kind, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::new(kind, context()).from_source(source))
    }
}

/// The kind an Iceberg error stands for, when nothing better is known.
pub(crate) fn kind_of(error: &iceberg::Error) -> Kind {
    use iceberg::ErrorKind as E;
    match error.kind() {
        E::DataInvalid => Kind::Corrupt,
        E::TableNotFound | E::NamespaceNotFound => Kind::NotFound,
        E::CatalogCommitConflicts => Kind::Conflict,
        E::FeatureUnsupported => Kind::Invalid,
        E::PreconditionFailed | E::NamespaceAlreadyExists | E::TableAlreadyExists => Kind::Bug,
        _ => Kind::Unavailable,
    }
}
