//! Capture v1: one verdict per event.

use crate::app::App;
use crate::arrive;
use crate::body::{self, Bounds, Fault};
use crate::signature;
use axum::extract::{Request, State};
use axum::response::Response;
use event::Route;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::time::Instant;
use telemetry::capture as count;
use wire::v1::{self, Error, Outcome, Verdict};

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
    let started = Instant::now();
    let path = path(route);
    let id = v1::request_id(|name| text(request.headers(), name));
    let mut response = match accept(app, request, route).await {
        Ok(verdicts) => {
            count_verdicts(&verdicts);
            count::v1_batch(outcome(&verdicts), path, 200, started.elapsed());
            json(200, v1::results(&verdicts))
        }
        Err(error) => {
            let level = if error.status() >= 500 { "error" } else { "warning" };
            count::refused(error.tag(), "door", "v1");
            count::v1_error(error.tag(), level, path, error.status());
            if error.status() == 408 {
                count::v1_body_timeout(path);
            }
            refuse(&error)
        }
    };
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The answer to a refused v1 request, less the id it repeats.
pub fn refuse(error: &Error) -> Response {
    let mut response = json(error.status(), error.body());
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json(status: u16, body: String) -> Response {
    let mut response = Response::new(axum::body::Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn accept(app: &App, request: Request, route: Route) -> Result<Vec<Verdict>, Error> {
    let (parts, body) = request.into_parts();
    let bounds = Bounds::of(app, app.settings.capture.max_v1_body_bytes);
    let head = match v1::headers(|name| text(&parts.headers, name)) {
        Ok(head) => head,
        Err(error) => {
            body::discard(body, bounds).await;
            return Err(error);
        }
    };
    if app.pressure.refuses() {
        body::discard(body, bounds).await;
        return Err(Error::ServiceUnavailable);
    }
    let hold = app.pressure.hold();
    let bytes = body::collect(body, bounds, &hold).await.map_err(|fault| match fault {
        Fault::TooLarge(limit) => {
            count::payload_too_large("wire");
            Error::PayloadTooLarge(format!("request body above {limit} bytes"))
        }
        Fault::Stalled(read) => Error::BodyReadTimeout(read),
        Fault::Late => Error::RequestTimeout,
        Fault::Gone => Error::EmptyBody,
        Fault::NoRoom => Error::ServiceUnavailable,
    })?;
    let _begun = app.pressure.begin();
    count::request_size("v1", bytes.len());
    let secret = &app.settings.server.signing_secret;
    if !secret.is_empty() {
        signature::verify(secret.as_bytes(), &parts.headers, &bytes)
            .map_err(|fault| Error::InvalidSignature(fault.to_string()))?;
    }
    app.door()?.accept_v1(arrive::describe(app, &parts, route, (bytes, hold)), &head).await
}

/// A header as text; empty when it is there and is no text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// No event is left out without a count of the reason.
fn count_verdicts(verdicts: &[Verdict]) {
    for verdict in verdicts {
        match (verdict.outcome, verdict.details) {
            (Outcome::Ok, _) => count::v1_parsed("ok", "", 1),
            (Outcome::Drop, reason) => {
                let reason = reason.unwrap_or("unknown");
                count::v1_parsed("error", reason, 1);
                count::v1_dropped(reason, "door", 1);
                if reason == v1::BILLING_LIMIT {
                    count::v1_limited(true, 1);
                }
            }
        }
    }
}

/// How the events of a request fared together.
fn outcome(verdicts: &[Verdict]) -> &'static str {
    match verdicts.iter().filter(|verdict| verdict.is_accepted()).count() {
        0 => "all_drop",
        accepted if accepted == verdicts.len() => "all_ok",
        _ => "partial_failure",
    }
}

/// The name of a route in metrics.
fn path(route: Route) -> &'static str {
    if route == Route::V1Ai { "/i/v1/ai/events" } else { "/i/v1/analytics/events" }
}
