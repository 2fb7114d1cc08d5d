//! What can go wrong between the door and the tables, and what the caller must do about it.

use std::fmt;

/// The kinds of failure, by what the caller must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Try again later; nothing was stored.
    Busy,
    /// A store cannot be reached or written; stop accepting until it can.
    Unavailable,
    /// Stored bytes are not what was written; stop and tell the operator which file.
    Corrupt,
    /// Our mistake.
    Bug,
}

/// A failure of the door or the pump.
#[derive(Debug)]
pub struct Error {
    /// What the caller must do.
    pub kind: Kind,
    /// What was being done, in words an operator understands.
    pub context: String,
    part: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// A failure without a cause below it.
    pub fn new(kind: Kind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), part: "ingest", source: None }
    }

    /// A failure caused by another one.
    pub fn because(
        kind: Kind,
        context: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { kind, context: context.into(), part: "ingest", source: Some(Box::new(source)) }
    }

    /// A failure of the tables.
    pub fn from_table(error: table::Error) -> Self {
        let kind = match error.kind() {
            table::Kind::Unavailable | table::Kind::Conflict => Kind::Unavailable,
            table::Kind::Corrupt | table::Kind::NotFound => Kind::Corrupt,
            table::Kind::Invalid | table::Kind::Bug => Kind::Bug,
        };
        let part = "table";
        Self { part, ..Self::because(kind, error.to_string(), error) }
    }

    /// A failure of the metastore.
    pub fn from_metastore(error: metastore::Error) -> Self {
        let kind = match error.kind() {
            metastore::Kind::Busy => Kind::Busy,
            metastore::Kind::Unavailable => Kind::Unavailable,
            metastore::Kind::Corrupt => Kind::Corrupt,
            metastore::Kind::Conflict
            | metastore::Kind::Invalid
            | metastore::Kind::NotFound
            | metastore::Kind::Bug => Kind::Bug,
        };
        let part = "metastore";
        Self { part, ..Self::because(kind, error.to_string(), error) }
    }

    /// A failure of the log.
    pub fn from_log(error: eventlog::Error) -> Self {
        let kind = match error.kind() {
            eventlog::Kind::Busy { .. } => Kind::Busy,
            eventlog::Kind::Unavailable => Kind::Unavailable,
            eventlog::Kind::Corrupt | eventlog::Kind::NotFound => Kind::Corrupt,
            eventlog::Kind::Conflict | eventlog::Kind::Invalid | eventlog::Kind::Bug => Kind::Bug,
        };
        let part = "log";
        Self { part, ..Self::because(kind, error.to_string(), error) }
    }

    /// The part that failed: `log`, `table`, `metastore` or `ingest`.
    pub fn part(&self) -> &'static str {
        self.part
    }

    /// The failure and its causes on one line, each said once.
    pub fn chain(&self) -> String {
        let mut text = self.context.clone();
        let mut next = self.source.as_deref().map(|s| s as &dyn std::error::Error);
        while let Some(cause) = next {
            let said = cause.to_string();
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|s| s as &(dyn std::error::Error + 'static))
    }
}
