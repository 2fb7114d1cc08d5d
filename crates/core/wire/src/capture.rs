//! The request shapes of capture v0, read in one pass without copying.
//!
//! One visitor takes all of them: an array of events, `{"batch": [...]}`, a single event, a nameless `$set`
//! body of `/engage`, and `{"data": ...}` around any of these. A key that occurs twice counts as its last
//! occurrence, as it does in JavaScript.

use crate::capture_visit::Body;
use event::{RawEvent, Rejection, Route, limit, token};
use jiff::Timestamp;
use serde::de::Deserialize;
use std::borrow::Cow;

/// A v0 request body.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// `api_key`, `token` or `$token` at the root of a batch; not the one of a single event.
    pub token: Option<Cow<'a, str>>,
    /// `sent_at` at the root of a batch or a single event; `None` also when it is no time.
    pub sent_at: Option<Timestamp>,
    /// `historical_migration` is `true`.
    pub historical_migration: bool,
    /// The events in order, null items left out. Never empty.
    pub events: Vec<RawEvent<'a>>,
}

/// Reads a v0 body.
///
/// # Errors
/// [`Rejection::Parsing`] for what is no JSON or has no known shape, [`Rejection::EmptyBatch`] when no event is
/// in it, [`Rejection::TooLarge`] for more than [`limit::BATCH_EVENTS`] or [`limit::EXTRA_FIELDS`],
/// [`Rejection::Hydration`] when an event has no name and the route gives none.
///
/// # Compat
/// Accepts all that PostHog `rust/common/types/src/event.rs` and `rust/capture/src/payload` do, and more: see
/// the tests. What is lenient here becomes a warning on the event, not a refusal.
pub fn parse(route: Route, json: &str) -> Result<Request<'_>, Rejection> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let body = Body::deserialize(&mut reader).map_err(unreadable)?;
    reader.end().map_err(unreadable)?;
    let request = body.into_request().map_err(unreadable)?;
    if request.events.is_empty() {
        return Err(Rejection::EmptyBatch);
    }
    check_counts(&request.events)?;
    if !names_are_filled(route) && request.events.iter().any(|event| event.event.is_none()) {
        return Err(Rejection::Hydration("non-engage request missing event name attribute".to_owned()));
    }
    Ok(request)
}

/// The project key of a request: the batch's own, else the one key that its events agree on, else `fallback`
/// (from the query). Trimmed and checked.
///
/// # Errors
/// [`Rejection::NoToken`], [`Rejection::MultipleTokens`], [`Rejection::InvalidToken`].
pub fn token(request: &Request<'_>, fallback: Option<&str>) -> Result<String, Rejection> {
    let mut found: Option<Cow<'_, str>> = request.token.clone();
    if found.is_none() {
        for event in &request.events {
            let Some(token) = event_token(event) else { continue };
            match &found {
                Some(other) if *other != token => return Err(Rejection::MultipleTokens),
                Some(_) => {}
                None => found = Some(token),
            }
        }
    }
    let found = found.or(fallback.map(Cow::Borrowed)).ok_or(Rejection::NoToken)?;
    token::validate(&found).map(str::to_owned)
}

/// The key that one event carries: at its root, else in its properties.
pub(crate) fn event_token<'a>(event: &RawEvent<'a>) -> Option<Cow<'a, str>> {
    event.token.clone().or_else(|| event::peek::Peek::of(event.properties).token)
}

/// Refuses what is small as text and large in memory.
pub(crate) fn check_counts(events: &[RawEvent<'_>]) -> Result<(), Rejection> {
    if events.len() > limit::BATCH_EVENTS {
        let text = format!("more than {} events in one request; send them in several", limit::BATCH_EVENTS);
        return Err(Rejection::TooLarge(text));
    }
    if events.iter().map(|event| event.extra.len()).sum::<usize>() > limit::EXTRA_FIELDS {
        let text = format!(
            "more than {} unknown fields in one request; put them into `properties`",
            limit::EXTRA_FIELDS
        );
        return Err(Rejection::TooLarge(text));
    }
    Ok(())
}

pub(crate) fn unreadable(error: impl ToString) -> Rejection {
    Rejection::Parsing(error.to_string())
}

/// Whether the route names nameless events.
fn names_are_filled(route: Route) -> bool {
    matches!(route, Route::Engage | Route::Identify | Route::Alias | Route::Groups)
}
