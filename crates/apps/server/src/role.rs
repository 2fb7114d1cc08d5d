//! Which part of the work a process does, and what it answers to what others do.

use crate::iceberg::refusal::Refusal;
use crate::problem::Problem;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};

/// `server.role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything in one process.
    All,
    /// Takes events and appends them to the log.
    Capture,
    /// Folds the log into the tables and looks after them. There is one.
    Writer,
    /// Answers SQL and Iceberg clients from what is in the tables.
    Query,
}

impl Role {
    /// Whether events are taken.
    pub fn captures(self) -> bool {
        matches!(self, Role::All | Role::Capture)
    }

    /// Whether the log is folded into the tables.
    pub fn writes(self) -> bool {
        matches!(self, Role::All | Role::Writer)
    }

    /// Whether questions are answered.
    pub fn answers(self) -> bool {
        matches!(self, Role::All | Role::Query)
    }

    /// Settings without which this role cannot share its work with others, given `kafka.brokers` and `metastore.url`.
    pub fn problems(self, brokers: &str, metastore: &str) -> Vec<String> {
        let name = match self {
            Role::All => return Vec::new(),
            Role::Capture => "capture",
            Role::Writer => "writer",
            Role::Query => "query",
        };
        let mut found = Vec::new();
        if brokers.is_empty() && self != Role::Query {
            found.push(format!(
                "server.role: `{name}` shares the log with other processes: set kafka.brokers"
            ));
        }
        if metastore.is_empty() {
            found.push(format!(
                "server.role: `{name}` shares the metastore with other processes: set metastore.url"
            ));
        }
        found
    }
}

/// A part that this process does not have. No route leads to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent;

impl From<Absent> for Problem {
    fn from(_: Absent) -> Self {
        Problem::unavailable()
    }
}

impl From<Absent> for Refusal {
    fn from(_: Absent) -> Self {
        Refusal::failed()
    }
}

/// Events at a process that takes none: the sender keeps them and comes again, to the right one.
pub async fn no_capture() -> Response {
    let text = "This process takes no events: its server.role is not `all` or `capture`. Send them to one whose is.\n";
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, HeaderValue::from(1))], text).into_response()
}

/// A question at a process that has no tables.
pub async fn no_answers() -> Response {
    let detail =
        "This process answers no questions: its server.role is not `all` or `query`. Ask one whose is.";
    Problem { detail: detail.to_owned(), ..Problem::not_found() }.into_response()
}

/// Table care at a process that writes no tables.
pub async fn no_care() -> Response {
    let detail = "This process writes no tables: its server.role is not `all` or `writer`. Ask one whose is.";
    Problem { detail: detail.to_owned(), ..Problem::not_found() }.into_response()
}

/// Lets an Iceberg client read, and nothing else: commits are made where the tables are written.
pub async fn read_only(request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_end_matches('/');
    // Neither changes anything: a login, and numbers a client wants to tell.
    let harmless = path.ends_with("/oauth/tokens") || path.ends_with("/metrics");
    if harmless || matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let text = "This process only reads: its server.role is `query`. Commit to one whose role is `all`.";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "UnsupportedOperationException", text).into_response()
}
