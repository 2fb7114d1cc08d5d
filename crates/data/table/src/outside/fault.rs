//! Why an operation was not done, by what the client must do.

use iceberg::ErrorKind;
use std::fmt;

/// What the client must do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No such namespace: make it, or correct the name.
    NoNamespace,
    /// No such table: make it, or correct the name.
    NoTable,
    /// The name is taken: choose another.
    Exists,
    /// The namespace holds something: remove that first.
    NotEmpty,
    /// The table has changed: load it and try again.
    Conflict,
    /// The request cannot be done as it is: change it.
    Refused,
    /// It concerns what is this program's own: leave it.
    Reserved,
    /// Nothing was changed, and later it may work: try again.
    Busy,
    /// It may have been done or not: load the table to learn which.
    Unclear,
    /// What is stored is damaged: tell the operator.
    Broken,
}

/// One operation that was not done.
#[derive(Debug)]
pub struct Fault {
    /// What to do.
    pub reason: Reason,
    /// What happened and what to do next, for people.
    pub text: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Fault {
    /// A fault without a cause below it.
    pub(super) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), source: None }
    }

    /// A request that cannot be done as it is.
    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::new(Reason::Refused, text)
    }

    /// Something of the request that the library refuses.
    pub(super) fn library(error: iceberg::Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::CatalogCommitConflicts => Reason::Conflict,
            _ => Reason::Refused,
        };
        Self { reason, text: error.message().to_owned(), source: Some(error.into()) }
    }

    /// The same fault for another reason.
    pub(super) fn because(mut self, reason: Reason) -> Self {
        self.reason = reason;
        self
    }
}

/// An error of the catalog itself.
impl From<iceberg::Error> for Fault {
    fn from(error: iceberg::Error) -> Self {
        let reason = match error.kind() {
            ErrorKind::NamespaceNotFound => Reason::NoNamespace,
            ErrorKind::TableNotFound => Reason::NoTable,
            ErrorKind::NamespaceAlreadyExists | ErrorKind::TableAlreadyExists => Reason::Exists,
            ErrorKind::CatalogCommitConflicts => Reason::Conflict,
            ErrorKind::DataInvalid => Reason::Broken,
            ErrorKind::FeatureUnsupported => Reason::Refused,
            _ => Reason::Busy,
        };
        let text = match reason {
            Reason::Exists => format!("{} exists already.", error.message()),
            _ => error.message().to_owned(),
        };
        Self { reason, text, source: Some(error.into()) }
    }
}

/// An error of this crate.
impl From<crate::Error> for Fault {
    fn from(error: crate::Error) -> Self {
        let reason = match error.kind() {
            crate::Kind::Invalid => Reason::Refused,
            crate::Kind::NotFound => Reason::NoTable,
            crate::Kind::Conflict => Reason::Conflict,
            crate::Kind::Unavailable => Reason::Busy,
            crate::Kind::Corrupt | crate::Kind::Bug => Reason::Broken,
        };
        Self { reason, text: error.context().to_owned(), source: Some(error.into()) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
