//! Why a whole v1 request is refused, and what the client is told.

use event::Rejection;
use serde::Serialize;
use thiserror::Error;

/// Where every error body points to.
const URI: &str = "https://posthog.com/docs/api";
/// Seconds of every `Retry-After`.
const RETRY_SECONDS: u32 = 1;

/// A refusal of a whole v1 request. Its text is the `error_description`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// No `Authorization` header.
    #[error("the Authorization header is missing")]
    MissingAuthorization,
    /// The key cannot be a project key, or no project has it; holds the reason.
    #[error("the project API key is not valid: {0}")]
    InvalidApiToken(String),
    /// The request is not signed as the server asks; holds the reason.
    #[error("the request signature is not valid: {0}")]
    InvalidSignature(String),
    /// Required headers are absent; holds all their names.
    #[error("required headers are missing: {}", .0.join(", "))]
    MissingRequiredHeaders(Vec<&'static str>),
    /// A header is present and unusable; says which and why.
    #[error("invalid header value: {0}")]
    InvalidHeaderValue(String),
    /// The body is not JSON by its own account.
    #[error("unsupported content type: {0}")]
    UnsupportedContentType(String),
    /// The body is compressed in a way this server does not read.
    #[error("unsupported content encoding: {0}")]
    UnsupportedEncoding(String),
    /// No body.
    #[error("the request body is empty")]
    EmptyBody,
    /// The body cannot be inflated, or is no UTF-8.
    #[error("failed to decode the request body: {0}")]
    RequestDecoding(String),
    /// The body is not JSON, or not of the documented shape.
    #[error("failed to parse the request body: {0}")]
    RequestParsing(String),
    /// `batch` holds no event.
    #[error("the batch holds no event")]
    EmptyBatch,
    /// `created_at` is no RFC 3339 time.
    #[error("the batch is not valid: {0}")]
    InvalidBatch(String),
    /// An event without uuid.
    #[error("an event has no uuid")]
    MissingEventUuid,
    /// An event whose uuid is none; holds what it has.
    #[error("an event has an invalid uuid: {0}")]
    InvalidEventUuid(String),
    /// Two events with one uuid.
    #[error("two events of the batch have the uuid {0}")]
    DuplicateEventUuid(String),
    /// The body stalled after this many bytes.
    #[error("the request body stalled after {0} bytes")]
    BodyReadTimeout(usize),
    /// The body never stopped, but was not whole in time.
    #[error("the request body did not arrive in time")]
    RequestTimeout,
    /// Wire or inflated size above its limit; says which.
    #[error("the payload is too large: {0}")]
    PayloadTooLarge(String),
    /// A fault of ours. Its cause is logged, never sent.
    #[error("internal server error")]
    Internal,
    /// Nothing was stored, trying again may help.
    #[error("the service is unavailable, please retry")]
    ServiceUnavailable,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    error_description: String,
    error_uri: &'a str,
}

impl Error {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::MissingAuthorization | Self::InvalidApiToken(_) | Self::InvalidSignature(_) => 401,
            Self::BodyReadTimeout(_) | Self::RequestTimeout => 408,
            Self::PayloadTooLarge(_) => 413,
            Self::UnsupportedContentType(_) | Self::UnsupportedEncoding(_) => 415,
            Self::Internal => 500,
            Self::ServiceUnavailable => 503,
            _ => 400,
        }
    }

    /// Stable lower-case name: the `error` of the body and a metric label.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::MissingAuthorization => "missing_authorization",
            Self::InvalidApiToken(_) => "invalid_api_token",
            Self::InvalidSignature(_) => "invalid_signature",
            Self::MissingRequiredHeaders(_) => "missing_required_headers",
            Self::InvalidHeaderValue(_) => "invalid_header_value",
            Self::UnsupportedContentType(_) => "unsupported_content_type",
            Self::UnsupportedEncoding(_) => "unsupported_encoding",
            Self::EmptyBody => "empty_body",
            Self::RequestDecoding(_) => "request_decoding_error",
            Self::RequestParsing(_) => "request_parsing_error",
            Self::EmptyBatch => "empty_batch",
            Self::InvalidBatch(_) => "invalid_batch",
            Self::MissingEventUuid => "missing_event_uuid",
            Self::InvalidEventUuid(_) => "invalid_event_uuid",
            Self::DuplicateEventUuid(_) => "duplicate_event_uuid",
            Self::BodyReadTimeout(_) => "body_read_timeout",
            Self::RequestTimeout => "request_timeout",
            Self::PayloadTooLarge(_) => "payload_too_large",
            Self::Internal => "internal_error",
            Self::ServiceUnavailable => "service_unavailable",
        }
    }

    /// Seconds for `Retry-After`, on the statuses that SDKs send again and on no other.
    pub fn retry_after(&self) -> Option<u32> {
        matches!(self.status(), 408 | 500 | 503).then_some(RETRY_SECONDS)
    }

    /// The JSON body.
    pub fn body(&self) -> String {
        let body = Body { error: self.tag(), error_description: self.to_string(), error_uri: URI };
        serde_json::to_string(&body).expect("three strings are JSON")
    }
}

/// So that decoding, cleaning and key checks shared with v0 can be used with `?`.
impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::EmptyPayload => Self::EmptyBody,
            Rejection::Decoding(reason) => Self::RequestDecoding(reason),
            Rejection::TooLarge(reason) => Self::PayloadTooLarge(reason),
            Rejection::NoToken => Self::MissingAuthorization,
            Rejection::InvalidToken(reason) => Self::InvalidApiToken(reason.to_owned()),
            Rejection::UnknownToken => Self::InvalidApiToken("no project of this server has it".to_owned()),
            Rejection::BodyTimeout => Self::RequestTimeout,
            Rejection::Retry => Self::ServiceUnavailable,
            Rejection::Parsing(reason) => Self::RequestParsing(reason),
            other => Self::RequestParsing(other.to_string()),
        }
    }
}
