//! Why a request did not leave, or has no answer.

use std::fmt;

/// The result of a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The request can never leave as it is: tell the user, do not retry.
    Invalid,
    /// The other side could not be reached or did not answer in time: retry later.
    Unavailable,
    /// Our mistake: report it.
    Bug,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The text is not a URL that a browser could open.
    Url,
    /// Neither `https` nor `http`, or a redirect from the first to the second.
    Scheme,
    /// A name or a password stands before the host.
    Userinfo,
    /// The port is none of those that are called.
    Port,
    /// The address, or one of those that the name has, is not public.
    Address,
    /// A header that belongs to the connection.
    Header,
    /// More redirects than are followed, or one that leads nowhere.
    Redirect,
    /// The answer is longer than is read.
    Size,
    /// No answer within the time.
    Time,
    /// No address, no connection, no TLS, or an answer that is not HTTP.
    Connection,
    /// A client that cannot be made.
    Setup,
}

impl Reason {
    /// The stable lower-case name, used as a metric label.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Scheme => "scheme",
            Self::Userinfo => "userinfo",
            Self::Port => "port",
            Self::Address => "address",
            Self::Header => "header",
            Self::Redirect => "redirect",
            Self::Size => "size",
            Self::Time => "time",
            Self::Connection => "connection",
            Self::Setup => "setup",
        }
    }

    /// What the caller must do about it.
    pub fn kind(self) -> Kind {
        match self {
            Self::Time | Self::Connection => Kind::Unavailable,
            Self::Setup => Kind::Bug,
            _ => Kind::Invalid,
        }
    }

    /// An error for this reason that nothing else caused.
    pub(crate) fn error(self, context: impl Into<String>) -> Error {
        Error { reason: self, context: context.into(), source: None }
    }

    /// An error for this reason with its cause.
    pub(crate) fn because(
        self,
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error { reason: self, context: context.into(), source: Some(source.into()) }
    }
}

/// Why a request did not leave, or has no answer. Its text may be shown to the user who gave the address: it says what
/// was asked for, never what a private name resolved to.
#[derive(Debug)]
pub struct Error {
    reason: Reason,
    context: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// What was wrong.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What the caller must do.
    pub fn kind(&self) -> Kind {
        self.reason.kind()
    }

    /// A copy without the cause: what a resolver says comes back inside another library's error.
    pub(crate) fn told(&self) -> Self {
        Self { reason: self.reason, context: self.context.clone(), source: None }
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
