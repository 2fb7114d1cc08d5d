//! `/i/v0/ai`: one AI event as a multipart form.
//!
//! The form's first part is the event, a second one may hold its properties. What comes out is one v0 event
//! as JSON, which is stored and read like the body of `/i/v0/ai/batch`.
//!
//! # Compat
//! Order of the checks, their texts and the answer of PostHog `rust/capture/src/ai_endpoint.rs` and
//! `ai_rejection.rs`. The properties of an AI gateway are always taken out, since nothing here can sign them.

mod event_part;
pub mod multipart;

use crate::{encoding, json};
use event::{Rejection, limit, token};
use serde::Serialize;
use std::borrow::Cow;

/// Bytes of the `event` part.
pub const EVENT_PART_BYTES: usize = 32 * 1024;

/// What a request over quota is answered, with status 429: the client must not see it as accepted.
pub const OVER_QUOTA: &str = "billing limit reached";

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

/// Bounds, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The body after decompression; also bounds the sum of all parts.
    pub parts: usize,
    /// Event and properties together.
    pub event: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { parts: 25 * 1024 * 1024, event: limit::AI_EVENT_BYTES }
    }
}

/// An accepted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AiEvent {
    /// The project key of the `Authorization` header.
    pub token: String,
    /// One v0 event as JSON, its properties in place.
    pub json: String,
    /// The parts, in the order sent.
    pub parts: Vec<Part>,
}

/// A part, as the answer lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its form name.
    pub name: String,
    /// Bytes of its data.
    pub length: usize,
    /// Its `Content-Type`.
    #[serde(rename = "content-type")]
    pub content_type: Option<String>,
    /// Its `Content-Encoding`.
    #[serde(rename = "content-encoding")]
    pub content_encoding: Option<String>,
}

impl AiEvent {
    /// The JSON body of the answer.
    pub fn answer(&self) -> String {
        answer(&self.parts)
    }
}

/// The JSON body that lists `parts`. With none of them it tells of an event that was dropped by policy.
pub fn answer(parts: &[Part]) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        accepted_parts: &'a [Part],
    }
    serde_json::to_string(&Body { accepted_parts: parts }).expect("names and numbers are JSON")
}

/// Checks a request and folds its parts into one event.
///
/// # Errors
/// The first check that fails, as a v0 client is told.
pub fn parse(request: &Request<'_>, limits: &Limits) -> Result<AiEvent, Rejection> {
    if request.body.is_empty() {
        return Err(Rejection::EmptyPayload);
    }
    let token = bearer(request.authorization)?.to_owned();
    let body = gunzip(request.body, request.content_encoding, limits.parts)?;
    let boundary = boundary(request.content_type.unwrap_or_default())?;
    let mut form = Form::default();
    for field in multipart::fields(&body, &boundary) {
        let field = field.map_err(|fault| decoding(format!("Multipart parsing failed: {fault}")))?;
        form.take(field)?;
    }
    let Some(event) = form.event else {
        return Err(parsing("Missing required 'event' part in multipart data"));
    };
    let size: usize = form.parts.iter().map(|part| part.length).sum();
    if size > limits.event {
        return Err(too_large("Combined event and properties size", size, limits.event));
    }
    let json = event_part::fold(&event, form.properties.as_deref())?;
    // Folding nests the properties one deeper; the reader of the log must find them within its depth.
    json::clean(json.as_bytes())?;
    Ok(AiEvent { token, json, parts: form.parts })
}

/// The parts seen so far.
#[derive(Default)]
struct Form<'a> {
    event: Option<Cow<'a, str>>,
    properties: Option<Cow<'a, str>>,
    parts: Vec<Part>,
}

impl<'a> Form<'a> {
    fn take(&mut self, field: multipart::Field<'a>) -> Result<(), Rejection> {
        let name = field.name.as_deref().unwrap_or("unknown");
        if self.parts.is_empty() && name != "event" {
            return Err(parsing(format!("First part must be 'event', got '{name}'")));
        }
        match name {
            "event" if self.event.is_some() => return Err(parsing("Duplicate 'event' part found")),
            "event" => {
                if field.data.len() > EVENT_PART_BYTES {
                    return Err(too_large("Event part size", field.data.len(), EVENT_PART_BYTES));
                }
                self.event = Some(text(field.data, "Event part must be valid UTF-8")?);
            }
            "event.properties" if self.properties.is_some() => {
                return Err(parsing("Duplicate 'event.properties' part found"));
            }
            "event.properties" => {
                self.properties = Some(text(field.data, "Properties part must be valid UTF-8")?);
            }
            other => {
                let expected = "Expected 'event' or 'event.properties'";
                return Err(parsing(format!("Unknown multipart field: '{other}'. {expected}")));
            }
        }
        self.parts.push(Part {
            name: name.to_owned(),
            length: field.data.len(),
            content_type: field.content_type.map(str::to_owned),
            content_encoding: field.content_encoding.map(str::to_owned),
        });
        Ok(())
    }
}

/// The key of a literal `Bearer ` header.
///
/// # Errors
/// No key, or one that cannot be a project key.
pub(crate) fn bearer(authorization: Option<&str>) -> Result<&str, Rejection> {
    let key = authorization.and_then(|header| header.strip_prefix("Bearer ")).ok_or(Rejection::NoToken)?;
    token::validate(key)
}

/// Undoes gzip where the header or the first bytes say so; other encodings are left alone.
pub(crate) fn gunzip<'a>(
    body: &'a [u8],
    encoding: Option<&str>,
    budget: usize,
) -> Result<Cow<'a, [u8]>, Rejection> {
    let named = encoding.is_some_and(|name| name.trim().eq_ignore_ascii_case("gzip"));
    if !named && !body.starts_with(&[0x1f, 0x8b, 0x08]) {
        let too_large = || Rejection::TooLarge(format!("body over {budget} bytes"));
        return if body.len() > budget { Err(too_large()) } else { Ok(Cow::Borrowed(body)) };
    }
    encoding::undo_named("gzip", body, budget).expect("gzip has its decoder").map(Cow::Owned)
}

fn boundary(content_type: &str) -> Result<String, Rejection> {
    let (mime, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !mime.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(decoding("Content-Type must be multipart/form-data".to_owned()));
    }
    multipart::boundary(parameters)
        .map_err(|fault| decoding(format!("Invalid boundary in Content-Type: {fault}")))
}

fn text<'a>(data: &'a [u8], otherwise: &str) -> Result<Cow<'a, str>, Rejection> {
    json::clean(data).map_err(|rejection| match rejection {
        Rejection::Decoding(_) => parsing(otherwise),
        other => other,
    })
}

fn parsing(text: impl Into<String>) -> Rejection {
    Rejection::Parsing(text.into())
}

fn decoding(text: String) -> Rejection {
    Rejection::Decoding(text)
}

fn too_large(what: &str, size: usize, max: usize) -> Rejection {
    Rejection::TooLarge(format!("{what} ({size} bytes) exceeds maximum allowed size ({max} bytes)"))
}

#[cfg(test)]
mod tests;
