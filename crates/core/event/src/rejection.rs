//! Why a request or an event was refused. One closed list; the tag is a metric label, the text is PostHog's.

use thiserror::Error;

/// A refusal by the door. v0 refuses the whole request, v1 answers per event.
///
/// The text of each variant is the body a v0 client receives (spec: PostHog `rust/capture/src/api.rs`).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Neither `data=` nor a body.
    #[error("request missing data payload")]
    EmptyPayload,
    /// Compression, base64, UTF-8 or form encoding is broken.
    #[error("failed to decode request: {0}")]
    Decoding(String),
    /// Not JSON, or JSON of no known shape.
    #[error("failed to parse request: {0}")]
    Parsing(String),
    /// Nameless event on a path that requires a name.
    #[error("failed to hydrate events from request: {0}")]
    Hydration(String),
    /// `[]`, or a batch without events.
    #[error("request holds no event")]
    EmptyBatch,
    /// Event name `""`.
    #[error("event submitted with an empty event name")]
    NoEventName,
    /// distinct id missing, null or empty.
    #[error("event submitted without a distinct_id")]
    NoDistinctId,
    /// `$cookieless_mode` is not a boolean.
    #[error("event submitted with invalid cookieless mode")]
    InvalidCookieless,
    /// Replay event without `$session_id`.
    #[error("replay event submitted without session id")]
    NoSessionId,
    /// Replay event whose `$session_id` is too long or has other characters than `[A-Za-z0-9-]`.
    #[error("replay event has invalid session id")]
    InvalidSession,
    /// Replay event without `$snapshot_data`.
    #[error("replay event submitted without snapshot data")]
    NoSnapshot,
    /// Another event than those of [`crate::name::event::AI`] on an AI route.
    #[error("event is not an AI event: only {} are accepted here", crate::name::event::AI.join(", "))]
    NotAiEvent,
    /// No key anywhere.
    #[error("event submitted without an api_key")]
    NoToken,
    /// Two different keys in one request.
    #[error("batch submitted with inconsistent api_key values")]
    MultipleTokens,
    /// The key cannot be a project key; the reason is one of `empty`, `too_long`, `not_ascii`,
    /// `personal_api_key`, `null_byte`.
    #[error("API key is not valid: {0}")]
    InvalidToken(&'static str),
    /// A well-formed key that no project has (mode `enforce`).
    #[error("API key is not valid: it is not a valid project API key of this server")]
    UnknownToken,
    /// Wire, decompressed or event size above its limit.
    #[error("maximum event size exceeded: {0}")]
    TooLarge(String),
    /// The body did not arrive in time.
    #[error("timed out reading the request body")]
    BodyTimeout,
    /// HMAC signature missing.
    #[error("missing signature header")]
    NoSignature,
    /// HMAC signature present but wrong.
    #[error("signature verification failed")]
    BadSignature,
    /// The log is full or busy: nothing was stored, the client may retry.
    #[error("transient error, please retry")]
    Retry,
}

impl Rejection {
    /// Stable lower-case name: the `error`/`cause` label of capture's metrics.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::EmptyPayload => "empty_payload",
            Self::Decoding(_) => "req_decoding",
            Self::Parsing(_) => "req_parsing",
            Self::Hydration(_) => "req_hydration",
            Self::EmptyBatch => "empty_batch",
            Self::NoEventName => "no_event_name",
            Self::NoDistinctId => "no_distinct_id",
            Self::InvalidCookieless => "invalid_cookieless",
            Self::NoSessionId => "no_session_id",
            Self::InvalidSession => "invalid_session",
            Self::NoSnapshot => "no_snapshot",
            Self::NotAiEvent => "non_ai_event",
            Self::NoToken => "no_token",
            Self::MultipleTokens => "multiple_tokens",
            Self::InvalidToken(_) => "invalid_token",
            Self::UnknownToken => "unknown_token",
            Self::TooLarge(_) => "oversize_event",
            Self::BodyTimeout => "body_timeout",
            Self::NoSignature => "no_signature",
            Self::BadSignature => "bad_signature",
            Self::Retry => "retryable_sink",
        }
    }
}
