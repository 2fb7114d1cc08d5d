//! Session replay bodies (`/s`): checked, and grouped into recordings whose items stay as they were sent.

use crate::capture_visit::Body;
use crate::replay_properties::Properties;
use crate::{capture, json};
use event::distinct_id::{self, Space};
use event::event_id::{self, Sent};
use event::timestamp::{self, Clock};
use event::{RawEvent, Received, Rejection, limit, token};
use jiff::Timestamp;
use serde::de::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use uuid::Uuid;

/// A replay body: one `$snapshot` event or several.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The key of a `{"batch": ...}` body.
    pub token: Option<Cow<'a, str>>,
    /// The body's own time of sending, else that of its first event.
    pub sent_at: Option<Timestamp>,
    /// The events in order. Never empty.
    pub events: Vec<RawEvent<'a>>,
}

/// The items of one window of one session that came in one request.
#[derive(Clone, Debug)]
pub struct Recording<'a> {
    /// The uuid of the group's first event, or a generated one.
    pub uuid: Uuid,
    /// `$session_id`: 1-70 of `[A-Za-z0-9-]`.
    pub session_id: Cow<'a, str>,
    /// `$window_id`; the session id when none was sent.
    pub window_id: Cow<'a, str>,
    /// Whose session it is, not trimmed; at most [`limit::DISTINCT_ID_CHARS`] characters.
    pub distinct_id: Cow<'a, str>,
    /// `$snapshot_source`: `web`, `mobile`.
    pub snapshot_source: Cow<'a, str>,
    /// `$snapshot_host`, where the page was, when it is a string.
    pub host: Option<Cow<'a, str>>,
    /// `$lib`, else what the user agent tells of it.
    pub lib: Cow<'a, str>,
    /// `$lib_version`.
    pub lib_version: Option<Cow<'a, str>>,
    /// When the group's first event happened; the items have their own times.
    pub timestamp: Timestamp,
    /// `$cookieless_mode` is `true`.
    pub cookieless: bool,
    /// The distinct id was longer and has been cut.
    pub distinct_id_cut: bool,
    /// The snapshot items in the order they were sent, byte for byte.
    pub items: Vec<&'a RawValue>,
    /// The events that brought the items, in order: uuid and number of items. A client that sends again may put the
    /// same event beside others, so repeats are known by event, not by request.
    pub events: Vec<(Uuid, usize)>,
}

/// Reads a replay body: one event, an array of them, or either in a `batch` or `data` wrapper.
///
/// # Errors
/// [`Rejection::Parsing`], [`Rejection::EmptyBatch`], [`Rejection::TooLarge`] for too many events.
pub fn parse(json: &str) -> Result<Request<'_>, Rejection> {
    let mut reader = serde_json::Deserializer::from_str(json);
    let body = Body::deserialize(&mut reader).map_err(capture::unreadable)?;
    reader.end().map_err(capture::unreadable)?;
    let request = body.into_request().map_err(capture::unreadable)?;
    let first = request.events.first().ok_or(Rejection::EmptyBatch)?;
    capture::check_counts(&request.events)?;
    let sent_at = request.sent_at.or_else(|| first.sent_at.and_then(timestamp::from_json));
    Ok(Request { token: request.token, sent_at, events: request.events })
}

/// The project key: the body's own, else the first event's, else `fallback`. Other events are not asked.
///
/// # Errors
/// [`Rejection::NoToken`], [`Rejection::InvalidToken`].
pub fn token(request: &Request<'_>, fallback: Option<&str>) -> Result<String, Rejection> {
    let first = || request.events.first().and_then(capture::event_token);
    let found =
        request.token.clone().or_else(first).or(fallback.map(Cow::Borrowed)).ok_or(Rejection::NoToken)?;
    token::validate(&found).map(str::to_owned)
}

/// Groups the events by session and window, in the order in which each first occurs.
///
/// Mobile queues mix sessions in one request, so each event's own ids count; an event without them belongs
/// with the first one.
///
/// # Errors
/// [`Rejection::NoSessionId`], [`Rejection::InvalidSession`], [`Rejection::NoDistinctId`],
/// [`Rejection::InvalidCookieless`], [`Rejection::NoSnapshot`], [`Rejection::TooLarge`] for more than
/// [`limit::SNAPSHOT_ITEMS`]; any of them refuses the whole request.
///
/// # Compat
/// PostHog `rust/capture/src/events/recordings.rs`, which files everything under the first event's ids.
pub fn recordings<'a>(request: &Request<'a>, received: &Received) -> Result<Vec<Recording<'a>>, Rejection> {
    let mut groups: Vec<Recording<'a>> = Vec::new();
    let mut places: HashMap<(Cow<'a, str>, Cow<'a, str>), usize> = HashMap::new();
    let mut count = 0;
    for (index, event) in request.events.iter().enumerate() {
        let mut properties = Properties::of(event.properties);
        let items = std::mem::take(&mut properties.items).ok_or(Rejection::NoSnapshot);
        count += items.as_ref().map_or(0, Vec::len);
        if count > limit::SNAPSHOT_ITEMS {
            let text = format!("more than {} snapshot items in one request", limit::SNAPSHOT_ITEMS);
            return Err(Rejection::TooLarge(text));
        }
        let session_id = match session_of(&properties)? {
            Some(id) => id,
            None => groups.first().map(|first| first.session_id.clone()).ok_or(Rejection::NoSessionId)?,
        };
        let window_id = match (properties.window_id.map(json::text_of), groups.first()) {
            (Some(id), _) => id,
            (None, Some(first)) if first.session_id == session_id => first.window_id.clone(),
            (None, _) => session_id.clone(),
        };
        let place = *places.entry((session_id.clone(), window_id.clone())).or_insert(groups.len());
        let id = |timestamp| match event_id::read(event.uuid.as_deref()) {
            Sent::Valid(uuid) => uuid,
            Sent::Absent | Sent::Invalid => event_id::generate(received.seed, index, timestamp),
        };
        if let Some(group) = groups.get_mut(place) {
            let items = items?;
            group.events.push((id(group.timestamp), items.len()));
            group.items.extend(items);
            continue;
        }
        let subject = Subject { event, properties: &properties, received, index, sent_at: request.sent_at };
        let first = groups.first().map(|first| (first.distinct_id.clone(), first.distinct_id_cut));
        let (distinct_id, distinct_id_cut) =
            subject.distinct_id().or(first).ok_or(Rejection::NoDistinctId)?;
        let cookieless = match properties.cookieless_mode.map(RawValue::get) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Rejection::InvalidCookieless),
        };
        let timestamp = subject.timestamp();
        let (uuid, items) = (id(timestamp), items?);
        groups.push(Recording {
            uuid,
            events: vec![(uuid, items.len())],
            session_id,
            window_id,
            distinct_id,
            distinct_id_cut,
            cookieless,
            timestamp,
            snapshot_source: properties.snapshot_source.map_or(Cow::Borrowed("web"), json::text_of),
            host: properties.snapshot_host.and_then(json::string),
            lib: properties
                .lib
                .and_then(json::string)
                .unwrap_or_else(|| lib_of(received.user_agent.as_deref())),
            lib_version: properties.lib_version.and_then(json::string),
            items,
        });
    }
    Ok(groups)
}

/// The event's own session id, checked; `None` when it has none.
fn session_of<'a>(properties: &Properties<'a>) -> Result<Option<Cow<'a, str>>, Rejection> {
    let Some(raw) = properties.session_id else { return Ok(None) };
    let id = json::string(raw).ok_or(Rejection::InvalidSession)?;
    let right = (1..=limit::SESSION_ID_BYTES).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if right { Ok(Some(id)) } else { Err(Rejection::InvalidSession) }
}

/// The library's name as a user agent tells it (`posthog-android/3.1`).
fn lib_of(user_agent: Option<&str>) -> Cow<'static, str> {
    let Some(agent) = user_agent else { return Cow::Borrowed("unknown") };
    let product = agent.split(['/', ' ']).next().unwrap_or_default();
    if product.contains("posthog") { Cow::Owned(product.to_owned()) } else { Cow::Borrowed("web") }
}

struct Subject<'r, 'a> {
    event: &'r RawEvent<'a>,
    properties: &'r Properties<'a>,
    received: &'r Received,
    index: usize,
    sent_at: Option<Timestamp>,
}

impl<'a> Subject<'_, 'a> {
    fn distinct_id(&self) -> Option<(Cow<'a, str>, bool)> {
        let own = self.event.distinct_id.filter(|id| id.get() != "null");
        let id = distinct_id::from_json(own.or(self.properties.distinct_id)?, Space::Keep)?;
        Some((id.text, id.cut_from.is_some()))
    }

    fn timestamp(&self) -> Timestamp {
        // Later groups of a mixed queue carry their own time of sending.
        let own = self.event.sent_at.and_then(timestamp::from_json).filter(|_| self.index > 0);
        let sent_at = own.or(self.sent_at).or(self.received.sent_at);
        let clock = Clock {
            received_at: self.received.at,
            sent_at: sent_at.filter(|_| !self.properties.ignore_sent_at),
            deadband_ms: limit::SKEW_DEADBAND_MS,
        };
        clock.resolve(
            self.event.timestamp.and_then(timestamp::from_json),
            self.event.offset.and_then(timestamp::millis_from_json),
        )
    }
}
