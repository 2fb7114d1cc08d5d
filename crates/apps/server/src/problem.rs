//! Errors of the private API in PostHog's shape: `{"type","code","detail","attr"}`.

use crate::body::Fault;
use crate::iceberg::Refusal;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// One refusal or failure of the private API. Never carries inner text of a 5xx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// HTTP status.
    pub status: StatusCode,
    /// `validation_error`, `authentication_error`, `invalid_request`, `throttled_error`, `server_error`.
    pub kind: &'static str,
    /// Machine-readable reason.
    pub code: String,
    /// Text for people.
    pub detail: String,
    /// The field at fault.
    pub attr: Option<String>,
    /// Seconds after which to try again.
    pub retry_after: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, code: &str, detail: &str) -> Self {
        Self { status, kind, code: code.into(), detail: detail.into(), attr: None, retry_after: None }
    }

    /// 400: the request cannot mean anything.
    pub fn invalid(code: &str, detail: &str, attr: Option<&str>) -> Self {
        Self {
            attr: attr.map(str::to_owned),
            ..Self::new(StatusCode::BAD_REQUEST, "validation_error", code, detail)
        }
    }

    /// 401: no key.
    pub fn not_authenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            "not_authenticated",
            "Authentication credentials were not provided.",
        )
    }

    /// 401: a key that is nobody's.
    pub fn invalid_key() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            "authentication_failed",
            "Personal API key found in request Authorization header is invalid.",
        )
    }

    /// 403: a key that may not do this.
    pub fn forbidden(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "authentication_error", "permission_denied", detail)
    }

    /// 404.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request", "not_found", "Not found.")
    }

    /// 405.
    pub fn method_not_allowed(method: &str) -> Self {
        let detail = format!("Method \"{method}\" not allowed.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "method_not_allowed", &detail)
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("The request body is larger than {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "request_too_large", &detail)
    }

    /// 408.
    pub fn timeout() -> Self {
        let detail = "The request body did not arrive in time.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request", "request_timeout", detail)
    }

    /// 429 with Retry-After.
    pub fn throttled(seconds: u32) -> Self {
        let detail = format!("Request was throttled. Expected available in {seconds} seconds.");
        Self {
            retry_after: Some(seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "throttled_error", "throttled", &detail)
        }
    }

    /// 503 with Retry-After.
    pub fn unavailable() -> Self {
        let detail = "The service is unavailable, please retry.";
        Self {
            retry_after: Some(1),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "service_unavailable", detail)
        }
    }

    /// 500. What happened is in the log of the server, not in the answer.
    pub fn server_error() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "error", "A server error occurred.")
    }
}

/// What the catalog refuses, said by the private API.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal.status {
            StatusCode::UNAUTHORIZED => Self::invalid_key(),
            StatusCode::FORBIDDEN => Self::forbidden(&refusal.message),
            _ => Self::server_error(),
        }
    }
}

/// Why a body was not read, said by the private API.
impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLarge(limit) => Self::too_large(limit),
            Fault::Stalled(_) | Fault::Late | Fault::Gone => Self::timeout(),
            Fault::NoRoom => Self::unavailable(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({"type": self.kind, "code": self.code, "detail": self.detail, "attr": self.attr});
        let mut response = (self.status, axum::Json(body)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"api\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
