//! What can go wrong with a log, by what the caller must do about it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The result of a log call.
pub type Result<T> = std::result::Result<T, Error>;

/// Says what the caller must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The argument or setting can never work: change it.
    Invalid,
    /// The offset was released: continue from [`crate::EventLog::first`].
    NotFound,
    /// Another process owns the directory: stop this one.
    Conflict,
    /// The log is full or behind, nothing was stored: answer 503 and let the client try again.
    Busy {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
    /// The log is closed, or a write failed and it takes no appends any more: restart the process.
    Unavailable,
    /// Durable bytes are damaged: stop and let an operator decide.
    Corrupt,
    /// This code is wrong: report it.
    Bug,
}

/// An error with what was being done when it happened.
///
/// Clones share the source: one failed flush is answered to every append that waited for it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{context}")]
pub struct Error {
    kind: Kind,
    context: Arc<str>,
    #[source]
    source: Option<Arc<io::Error>>,
}

/// How long a client should stay away when the log is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Error {
    /// Gives what the caller must do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Gives the operating system's error, when there is one.
    pub fn io(&self) -> Option<&io::Error> {
        self.source.as_deref()
    }

    pub(crate) fn new(kind: Kind, context: impl Into<Arc<str>>) -> Self {
        Error { kind, context: context.into(), source: None }
    }

    pub(crate) fn busy(context: impl Into<Arc<str>>) -> Self {
        Error::new(Kind::Busy { retry_after: RETRY_AFTER }, context)
    }

    /// Says that nothing works any more, for those who stand in for a log.
    pub fn unavailable(context: impl Into<Arc<str>>) -> Self {
        Error::new(Kind::Unavailable, context)
    }

    /// Reports damage at a position, and counts it.
    pub(crate) fn corrupt(segment: &str, position: u64, what: &str) -> Self {
        telemetry::log::corrupt();
        Error::new(Kind::Corrupt, format!("segment {segment} is damaged at byte {position}: {what}"))
    }

    /// Wraps a failed file call.
    pub(crate) fn file(context: impl Into<Arc<str>>, source: io::Error) -> Self {
        let kind =
            if is_shortage(&source) { Kind::Busy { retry_after: RETRY_AFTER } } else { Kind::Unavailable };
        Error { kind, context: context.into(), source: Some(Arc::new(source)) }
    }

    /// Wraps what a client library said.
    #[cfg(feature = "kafka")]
    pub(crate) fn foreign(kind: Kind, context: impl Into<Arc<str>>, source: io::Error) -> Self {
        Error { kind, context: context.into(), source: Some(Arc::new(source)) }
    }

    /// Gives the same error with another kind.
    pub(crate) fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}

/// Says whether a call failed for want of something that may come back: space, quota, handles.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.kind(), StorageFull | QuotaExceeded)
        || matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
}
