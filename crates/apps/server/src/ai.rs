//! AI capture besides `/i/v0/ai/batch`: multipart events and OpenTelemetry traces.

use crate::app::App;
use crate::arrive::{self, Arrived};
use crate::capture;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use event::{Rejection, Resource, Route};
use http::{HeaderValue, StatusCode, header};
use wire::{ai, otel};

/// `/i/v0/ai`: one event as `multipart/form-data`.
pub async fn multipart(State(app): State<App>, request: Request) -> Response {
    match accept_multipart(&app, request).await {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(Refused::Quota) => {
            let mut response = (StatusCode::TOO_MANY_REQUESTS, ai::OVER_QUOTA).into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            response
        }
        Err(Refused::Door(rejection)) => capture::refuse(&rejection, Route::AiBatch),
    }
}

enum Refused {
    Quota,
    Door(Rejection),
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::Door(rejection)
    }
}

async fn accept_multipart(app: &App, request: Request) -> Result<String, Refused> {
    let limits = ai::Limits::default();
    // The framing around the parts may take a tenth again.
    let arrived = arrive::read(app, request, limits.parts / 10 * 11).await?;
    let headers = &arrived.parts.headers;
    let request = ai::Request {
        body: &arrived.body,
        content_type: arrive::text(headers, "content-type"),
        content_encoding: arrive::text(headers, "content-encoding"),
        authorization: arrive::text(headers, "authorization"),
    };
    let event = arrive::take_apart(&arrived, || ai::parse(&request, &limits)).await??;
    let entry = app.directory.find(&event.token, app.clock.now()).await?;
    if entry.limited.contains(&Resource::LlmEvents) {
        telemetry::capture::quota_exceeded(Resource::LlmEvents.tag(), 1);
        return Err(Refused::Quota);
    }
    let Arrived { parts, body, hold, begun: _begun } = arrived;
    let arrival = arrive::describe(app, &parts, Route::AiBatch, (body, hold));
    app.door()?.accept_json(arrival, &event.token, &event.json).await?;
    Ok(event.answer())
}

/// `/i/v0/ai/otel`: OTLP traces, protobuf or JSON.
pub async fn traces(State(app): State<App>, request: Request) -> Response {
    match accept_traces(&app, request).await {
        Ok(format) => ([(header::CONTENT_TYPE, format.content_type())], format.answer()).into_response(),
        Err(rejection) => capture::refuse(&rejection, Route::AiBatch),
    }
}

async fn accept_traces(app: &App, request: Request) -> Result<otel::Format, Rejection> {
    let arrived = arrive::read(app, request, app.settings.capture.max_body_bytes).await?;
    let headers = &arrived.parts.headers;
    let request = otel::Request {
        body: &arrived.body,
        content_type: arrive::text(headers, "content-type"),
        content_encoding: arrive::text(headers, "content-encoding"),
        authorization: arrive::text(headers, "authorization"),
    };
    let capture = &app.settings.capture;
    let limits = otel::Limits { body: capture.max_decompressed_bytes, ..otel::Limits::default() };
    let traces = arrive::take_apart(&arrived, || otel::parse(&request, &limits)).await??;
    if traces.events > 0 {
        let Arrived { parts, body, hold, begun: _begun } = arrived;
        let arrival = arrive::describe(app, &parts, Route::AiBatch, (body, hold));
        app.door()?.accept_json(arrival, &traces.token, &traces.json).await?;
    }
    Ok(traces.format)
}
