//! Errors of the catalog in Iceberg's shape: `{"error": {"message", "type", "code"}}`.

use ::table::outside::{Fault, Reason};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// One refusal or failure. Never carries inner text of a 5xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: StatusCode,
    /// The exception of the specification that clients raise.
    pub kind: &'static str,
    /// Text for people: what happened, what to do next.
    pub message: String,
}

impl Refusal {
    /// Any other refusal.
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    /// 400: the request cannot mean anything.
    pub fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
    }

    /// 401: no key, or nobody's.
    pub fn not_authorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "NotAuthorizedException", message)
    }

    /// 403: a key that may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "ForbiddenException", message)
    }

    /// 500. What happened is in the log of the server, not in the answer.
    pub fn failed() -> Self {
        let text = "The server could not do this; its log says why.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", text)
    }

    /// 404 for a path that nothing answers.
    pub fn nothing_here() -> Self {
        let text = "Nothing answers here. GET /iceberg/v1/config lists what does.";
        Self::new(StatusCode::NOT_FOUND, "NotFoundException", text)
    }
}

/// The one place where what the catalog says becomes a status.
impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let (status, kind) = match fault.reason {
            Reason::NoNamespace => (StatusCode::NOT_FOUND, "NoSuchNamespaceException"),
            Reason::NoTable => (StatusCode::NOT_FOUND, "NoSuchTableException"),
            Reason::Exists => (StatusCode::CONFLICT, "AlreadyExistsException"),
            Reason::NotEmpty => (StatusCode::CONFLICT, "NamespaceNotEmptyException"),
            Reason::Conflict => (StatusCode::CONFLICT, "CommitFailedException"),
            Reason::Refused => (StatusCode::BAD_REQUEST, "BadRequestException"),
            Reason::Reserved => (StatusCode::FORBIDDEN, "ForbiddenException"),
            Reason::Busy => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException"),
            Reason::Unclear => (StatusCode::INTERNAL_SERVER_ERROR, "CommitStateUnknownException"),
            Reason::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        };
        if !status.is_server_error() {
            return Self::new(status, kind, fault.text);
        }
        let cause = std::error::Error::source(&fault);
        tracing::error!(error = %fault, cause = ?cause, reason = ?fault.reason, "the catalog could not do what was asked");
        let text = match fault.reason {
            Reason::Busy => "The catalog cannot be reached or written now; nothing was changed. Try again.",
            Reason::Unclear => {
                "The answer of the catalog was lost. Load the table to learn whether the change is in it."
            }
            _ => "What the catalog holds of this table cannot be read; the server's log names the file.",
        };
        Self::new(status, kind, text)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let code = self.status.as_u16();
        let body = json!({"error": {"message": self.message, "type": self.kind, "code": code}});
        let mut response = (self.status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(1));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"iceberg\""));
        }
        response
    }
}
