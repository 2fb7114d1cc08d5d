//! Whether the process lives, whether it wants traffic, and its numbers.

use crate::app::App;
use crate::body::{self, Bounds};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

/// Every path that is in no table of routes. The body is read, so that the client reads the answer.
pub async fn nothing_here(State(app): State<App>, request: Request) -> StatusCode {
    let bounds = Bounds::of(&app, app.settings.capture.max_body_bytes);
    body::discard(request.into_body(), bounds).await;
    StatusCode::NOT_FOUND
}

/// `GET /`: what PostHog's capture answers there.
pub async fn root() -> &'static str {
    "capture"
}

/// `/_liveness`, `/_livez`: the process answers, so it lives.
pub async fn liveness() -> &'static str {
    "ok"
}

/// `/_readiness` and its aliases: 200 when events can be stored, else 503 with a reason.
pub async fn readiness(State(app): State<App>) -> Response {
    if !app.readiness.is_ready() {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting or stopping").into_response();
    }
    if app.log.as_ref().is_some_and(|log| !log.is_reachable()) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the brokers of the log do not answer").into_response();
    }
    "ok".into_response()
}

/// `/metrics`: Prometheus text.
pub async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render())
        .into_response()
}
