//! Capture v0 and session replay: read, accept, answer.

use crate::app::App;
use crate::arrive::{self, Arrived};
use axum::extract::{Request, State};
use axum::response::Response;
use event::{Rejection, Resource, Route};
use http::{HeaderValue, StatusCode, header};
use ingest::Receipt;
use wire::answer::{self, Answer};

/// `/e`, `/capture`, `/track`, `/i/v0/e`, `/batch`.
pub async fn events(State(app): State<App>, request: Request) -> Response {
    accept(&app, request, Route::Events).await
}

/// `/engage`.
pub async fn engage(State(app): State<App>, request: Request) -> Response {
    accept(&app, request, Route::Engage).await
}

/// `/identify`.
pub async fn identify(State(app): State<App>, request: Request) -> Response {
    accept(&app, request, Route::Identify).await
}

/// `/alias`.
pub async fn alias(State(app): State<App>, request: Request) -> Response {
    accept(&app, request, Route::Alias).await
}

/// `/groups`.
pub async fn groups(State(app): State<App>, request: Request) -> Response {
    accept(&app, request, Route::Groups).await
}

/// `/i/v0/ai/batch`.
pub async fn ai_batch(State(app): State<App>, request: Request) -> Response {
    accept(&app, request, Route::AiBatch).await
}

/// `/s`.
pub async fn replay(State(app): State<App>, request: Request) -> Response {
    accept(&app, request, Route::Replay).await
}

async fn accept(app: &App, request: Request, route: Route) -> Response {
    let limit = match route {
        Route::Replay => app.settings.capture.max_replay_body_bytes,
        _ => app.settings.capture.max_body_bytes,
    };
    let outcome = async {
        let Arrived { parts, body, hold, begun: _begun } = arrive::read(app, request, limit).await?;
        telemetry::capture::request_size(endpoint(route), body.len());
        let arrival = arrive::describe(app, &parts, route, (body, hold));
        let beacon = arrival.query.beacon;
        app.door()?.accept(arrival).await.map(|receipt| (receipt, beacon))
    };
    match outcome.await {
        Ok((Receipt::Limited(Resource::Recordings), beacon)) => respond(answer::recordings_limited(beacon)),
        Ok((Receipt::Stored { .. } | Receipt::Limited(_), beacon)) => respond(answer::ok(beacon)),
        Err(rejection) => refuse(&rejection, route),
    }
}

/// The answer to a refused v0 request.
pub fn refuse(rejection: &Rejection, route: Route) -> Response {
    let mode = if route == Route::Replay { "recordings" } else { "events" };
    telemetry::capture::refused(rejection.tag(), "door", mode);
    let mut response = respond(answer::refusal(rejection));
    if matches!(rejection, Rejection::Retry | Rejection::BodyTimeout) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Turns an exact answer into a response.
pub fn respond(answer: Answer) -> Response {
    let mut response = Response::new(axum::body::Body::from(answer.body.into_owned()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(kind) = answer.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}

/// The name of a route in metrics.
fn endpoint(route: Route) -> &'static str {
    match route {
        Route::Events => "events",
        Route::Engage => "engage",
        Route::Identify => "identify",
        Route::Alias => "alias",
        Route::Groups => "groups",
        Route::AiBatch => "ai_batch",
        Route::Replay => "replay",
        Route::V1 => "v1",
        Route::V1Ai => "v1_ai",
    }
}
