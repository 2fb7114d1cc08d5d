//! Capture v1: one verdict per event.

use crate::app::App;
use crate::arrive;
use crate::body::{self, Fault};
use crate::signature;
use axum::extract::{Request, State};
use axum::response::Response;
use event::Route;
use http::{HeaderName, HeaderValue, StatusCode, header};
use std::time::Duration;
use wire::v1;

const REQUEST_ID: HeaderName = HeaderName::from_static("posthog-request-id");

/// `/i/v1/analytics/events`.
pub async fn events(State(app): State<App>, request: Request) -> Response {
    answer(&app, request, Route::V1).await
}

/// `/i/v1/ai/events`.
pub async fn ai_events(State(app): State<App>, request: Request) -> Response {
    answer(&app, request, Route::V1Ai).await
}

async fn answer(app: &App, request: Request, route: Route) -> Response {
    let id = {
        let headers = request.headers();
        v1::request_id(|name| arrive::text(headers, name))
    };
    let (status, body, retry_after) = match accept(app, request, route).await {
        Ok(verdicts) => (200, v1::results(&verdicts), v1::retry_after(&verdicts)),
        Err(error) => {
            telemetry::capture::refused(error.tag(), "door", "v1");
            (error.status(), error.body(), error.retry_after())
        }
    };
    let mut response = Response::new(axum::body::Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

async fn accept(app: &App, request: Request, route: Route) -> Result<Vec<v1::Verdict>, v1::Error> {
    let (parts, body) = request.into_parts();
    // Headers first: a request without a key does not get to send its body.
    let head = v1::headers(|name| arrive::text(&parts.headers, name))?;
    let pause = Duration::from_millis(app.settings.server.body_timeout_ms);
    let bytes = body::collect(body, app.settings.capture.max_v1_body_bytes, pause);
    let bytes = bytes.await.map_err(|fault| match fault {
        Fault::TooLarge(limit) => v1::Error::PayloadTooLarge(format!("request body above {limit} bytes")),
        Fault::Timeout(read) => v1::Error::BodyReadTimeout(read),
        Fault::Gone => v1::Error::EmptyBody,
    })?;
    telemetry::capture::request_size("v1", bytes.len());
    let secret = &app.settings.server.signing_secret;
    if !secret.is_empty() {
        signature::verify(secret.as_bytes(), &parts.headers, &bytes)
            .map_err(|fault| v1::Error::InvalidSignature(fault.to_string()))?;
    }
    app.door.accept_v1(arrive::describe(app, &parts, route, bytes), &head).await
}
