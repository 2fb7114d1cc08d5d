//! The body of a v1 request, read without copying it.

use super::{Error, instant};
use event::limit;
use jiff::Timestamp;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use uuid::Uuid;

/// A v1 batch whose envelope and uuids are in order. Its events may still be dropped one by one.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    /// When the client made the batch; the same on every attempt.
    pub created_at: Timestamp,
    /// The events are history, not news.
    pub historical_migration: bool,
    /// Sent by the operator's own programs.
    pub capture_internal: bool,
    /// At least one, in the order sent.
    pub events: Vec<Event<'a>>,
}

/// One event of a batch; nothing but its uuid has been checked.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Unique in the batch.
    pub uuid: Uuid,
    /// Event name as sent.
    pub name: Cow<'a, str>,
    /// Distinct id, trimmed.
    pub distinct_id: Cow<'a, str>,
    /// When it happened, as sent.
    pub timestamp: Cow<'a, str>,
    /// Becomes `$session_id`.
    pub session_id: Option<Cow<'a, str>>,
    /// Becomes `$window_id`.
    pub window_id: Option<Cow<'a, str>>,
    /// Any JSON; see [`super::Options`].
    pub options: Option<&'a RawValue>,
    /// Any JSON; `None` when absent.
    pub properties: Option<&'a RawValue>,
}

impl Event<'_> {
    /// Bytes of the event's JSON, less white space between fields.
    pub fn size(&self) -> usize {
        /// Names, quotes, colons and commas of the fields that every event has, uuid included.
        const FRAME: usize = 100;
        let texts = self.name.len() + self.distinct_id.len() + self.timestamp.len();
        let ids = [&self.session_id, &self.window_id].into_iter().flatten().map(|id| id.len() + 16);
        let values = [self.options, self.properties].into_iter().flatten().map(|raw| raw.get().len() + 14);
        FRAME + texts + ids.sum::<usize>() + values.sum::<usize>()
    }
}

/// Reads a body that [`super::decode`] gave and that has been cleaned.
///
/// # Errors
/// 400 for the whole request: not JSON, not of this shape, no event, or a uuid that is missing, wrong or
/// used twice. 413 for more than [`limit::BATCH_EVENTS`].
pub fn parse(json: &str) -> Result<Batch<'_>, Error> {
    let body: Body<'_> =
        serde_json::from_str(json).map_err(|error| Error::RequestParsing(error.to_string()))?;
    if body.batch.is_empty() {
        return Err(Error::EmptyBatch);
    }
    if body.batch.len() > limit::BATCH_EVENTS {
        let text = format!("more than {} events; send them in several requests", limit::BATCH_EVENTS);
        return Err(Error::PayloadTooLarge(text));
    }
    let created_at = instant::rfc3339(&body.created_at)
        .ok_or_else(|| Error::InvalidBatch("created_at is not an RFC 3339 time".to_owned()))?;
    let mut seen = HashSet::with_capacity(body.batch.len());
    let checked = body.batch.into_iter().map(|written| {
        let uuid = written.uuid()?;
        if seen.insert(uuid) {
            Ok(written.with(uuid))
        } else {
            Err(Error::DuplicateEventUuid(uuid.to_string()))
        }
    });
    let events = checked.collect::<Result<Vec<_>, _>>()?;
    Ok(Batch {
        created_at,
        historical_migration: body.historical_migration.unwrap_or(false),
        capture_internal: body.capture_internal.unwrap_or(false),
        events,
    })
}

#[derive(Deserialize)]
#[serde(expecting = "an object with created_at and batch")]
struct Body<'a> {
    #[serde(borrow)]
    created_at: Cow<'a, str>,
    #[serde(default)]
    historical_migration: Option<bool>,
    #[serde(default)]
    capture_internal: Option<bool>,
    #[serde(borrow, deserialize_with = "bounded")]
    batch: Vec<Written<'a>>,
}

#[derive(Deserialize)]
#[serde(expecting = "an event object")]
struct Written<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    uuid: Cow<'a, str>,
    #[serde(borrow)]
    distinct_id: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    session_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    window_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    properties: Option<&'a RawValue>,
}

/// Reads a list; of more than the limit, one more than the limit, which tells the caller.
fn bounded<'de: 'a, 'a, D: Deserializer<'de>>(reader: D) -> Result<Vec<Written<'a>>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<Written<'de>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of events")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut events = Vec::new();
            while events.len() <= limit::BATCH_EVENTS {
                let Some(event) = seq.next_element()? else { return Ok(events) };
                events.push(event);
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(events)
        }
    }
    reader.deserialize_seq(List)
}

/// Keeps a JSON `null` apart from an absent field.
fn present<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(reader).map(Some)
}

impl<'a> Written<'a> {
    fn uuid(&self) -> Result<Uuid, Error> {
        match self.uuid.trim() {
            "" => Err(Error::MissingEventUuid),
            text => Uuid::parse_str(text).map_err(|_| Error::InvalidEventUuid(shorten(text))),
        }
    }

    fn with(self, uuid: Uuid) -> Event<'a> {
        Event {
            uuid,
            name: self.event,
            distinct_id: trim(self.distinct_id),
            timestamp: self.timestamp,
            session_id: self.session_id,
            window_id: self.window_id,
            options: self.options,
            properties: self.properties,
        }
    }
}

fn trim(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}
