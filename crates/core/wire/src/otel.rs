//! `/i/v0/ai/otel`: OpenTelemetry traces of AI calls become `$ai_*` events.
//!
//! The protobuf messages are written by hand in `otel/proto.rs`: a few small messages of a stable format. The crate
//! `opentelemetry-proto` would bring the whole OpenTelemetry SDK's types, its JSON reading refuses forms that
//! exporters send, and neither bounds what a body unfolds to.
//!
//! # Compat
//! Which spans count, what they become and the names of their properties follow PostHog
//! `rust/capture/src/otel/` (`providers.rs`, `fan_out.rs`, `identity.rs`, `error_status.rs`) and
//! `nodejs/src/ingestion/ai/otel/attribute-mapping.ts`. Differences: a span that names nobody belongs to its
//! trace id and touches no person; event uuids are derived from trace and span, so that an exporter's retry is
//! recognised; the limits are wider (PostHog: 100 events of 1000 spans).

mod any_value;
mod budget;
mod error_status;
mod identity;
mod kind;
mod mapping;
mod messages;
mod otlp_json;
mod proto;
mod span_event;

use crate::{ai, json};
use event::Rejection;
use proto::ExportTraceServiceRequest;
use span_event::Origin;
use std::borrow::Cow;

/// A request as it arrived. A header is `None` when absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The whole body.
    pub body: &'a [u8],
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
}

/// Bounds of one request.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes after decompression.
    pub body: usize,
    /// Spans, AI or not.
    pub spans: usize,
    /// Bytes of one event.
    pub event: usize,
    /// Bytes of all events: the attributes of a resource are repeated in each of its spans.
    pub events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 20 * 1024 * 1024,
            spans: 10_000,
            event: event::limit::AI_EVENT_BYTES,
            events: 64 * 1024 * 1024,
        }
    }
}

/// How the body is written, and the answer with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Format {
    /// The content type of the answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    /// The body of the answer: an empty `ExportTraceServiceResponse`, which means that everything was taken.
    pub fn answer(self) -> &'static [u8] {
        match self {
            Self::Protobuf => b"",
            Self::Json => b"{}",
        }
    }
}

/// An accepted export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// The project key of the `Authorization` header.
    pub token: String,
    /// The format to answer in.
    pub format: Format,
    /// Spans in the request.
    pub spans: usize,
    /// How many of them became events; with none there is nothing to store.
    pub events: usize,
    /// The events: a JSON array of v0 events, as `/i/v0/ai/batch` takes them.
    pub json: String,
}

/// Reads an export and turns its AI spans into events.
///
/// # Errors
/// As a v0 client is told: no body or key, a body that cannot be read, too many spans, too large events.
pub fn parse(request: &Request<'_>, limits: &Limits) -> Result<Traces, Rejection> {
    if request.body.is_empty() {
        return Err(Rejection::EmptyPayload);
    }
    let token = ai::bearer(request.authorization)?.to_owned();
    let format = format(request.content_type.unwrap_or_default())?;
    let body = inflate(request, limits.body)?;
    let export = match format {
        Format::Protobuf => read_protobuf(&body, limits.spans)?,
        Format::Json => read_json(&body)?,
    };
    let spans = export.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
    let spans = spans.map(|scope| scope.spans.len()).sum();
    if spans > limits.spans {
        return Err(too_many_spans(limits.spans));
    }
    let (json, events) = write_events(&export, limits)?;
    Ok(Traces { token, format, spans, events, json })
}

fn format(content_type: &str) -> Result<Format, Rejection> {
    let mime = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    [Format::Protobuf, Format::Json].into_iter().find(|format| format.content_type() == mime).ok_or_else(
        || {
            let text = "Content-Type must be application/x-protobuf or application/json";
            Rejection::Decoding(text.to_owned())
        },
    )
}

fn inflate<'a>(request: &Request<'a>, budget: usize) -> Result<Cow<'a, [u8]>, Rejection> {
    let name = request.content_encoding.map(str::trim).unwrap_or_default();
    if !["", "identity", "gzip"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Err(Rejection::Decoding(format!("Unsupported content-encoding: {name}")));
    }
    ai::gunzip(request.body, request.content_encoding, budget)
}

fn read_protobuf(body: &[u8], spans: usize) -> Result<ExportTraceServiceRequest, Rejection> {
    let invalid = |reason: String| Rejection::Parsing(format!("Invalid protobuf: {reason}"));
    budget::check_protobuf(body, spans).map_err(|fault| match fault {
        budget::Fault::TooManySpans => too_many_spans(spans),
        fault => invalid(fault.to_string()),
    })?;
    prost::Message::decode(body).map_err(|fault: prost::DecodeError| invalid(fault.to_string()))
}

fn too_many_spans(max: usize) -> Rejection {
    Rejection::Parsing(format!("Too many spans: more than {max}"))
}

fn read_json(body: &[u8]) -> Result<ExportTraceServiceRequest, Rejection> {
    let invalid = |reason: String| Rejection::Parsing(format!("Invalid OTLP trace format: {reason}"));
    let text = json::clean(body)?;
    if !text.trim_start().starts_with('{') {
        return Err(invalid("not an object".to_owned()));
    }
    budget::check_json(&text).map_err(|fault| invalid(fault.to_string()))?;
    serde_json::from_str(&text).map_err(|fault| invalid(fault.to_string()))
}

fn write_events(export: &ExportTraceServiceRequest, limits: &Limits) -> Result<(String, usize), Rejection> {
    let too_large = |what, max| Rejection::TooLarge(format!("{what} over {max} bytes"));
    let mut json = String::from("[");
    let (mut events, mut repeated) = (0, 0);
    for spans in &export.resource_spans {
        let origin = Origin::new(spans.resource.as_ref());
        for scope in &spans.scope_spans {
            let version = scope.scope.as_ref().map(|scope| scope.version.as_str()).unwrap_or_default();
            for event in scope.spans.iter().filter_map(|span| span_event::convert(span, &origin, version)) {
                let event = event.to_string();
                if event.len() > limits.event {
                    return Err(too_large("event of a span", limits.event));
                }
                // What is repeated is counted even where it does not reach the event: it was copied for it.
                repeated += origin.size;
                if (json.len() + event.len()).max(repeated) > limits.events {
                    return Err(too_large("events of the export", limits.events));
                }
                if events > 0 {
                    json.push(',');
                }
                json.push_str(&event);
                events += 1;
            }
        }
    }
    json.push(']');
    Ok((json, events))
}

#[cfg(test)]
mod tests;
