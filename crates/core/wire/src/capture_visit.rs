//! The serde visitors behind [`crate::capture::parse`].

use crate::capture::Request;
use crate::json;
use event::{RawEvent, limit, scan, timestamp};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Levels around an event's fields at most: wrapper, batch object, array, event.
const AROUND: usize = 4;

/// A body of any shape.
pub(crate) enum Body<'a> {
    Events(Vec<RawEvent<'a>>),
    Root(Box<Root<'a>>),
}

/// The root object: an event, a batch or a wrapper, all of whose fields may stand side by side.
#[derive(Default)]
pub(crate) struct Root<'a> {
    event: RawEvent<'a>,
    batch: Option<Vec<RawEvent<'a>>>,
    data: Option<&'a RawValue>,
    historical_migration: bool,
}

impl<'a> Body<'a> {
    /// Decides the shape. A wrapper's own key and time count unless what it wraps has them.
    pub(crate) fn into_request(self) -> Result<Request<'a>, serde_json::Error> {
        let root = match self {
            Self::Events(events) => return Ok(Request { events, ..Request::default() }),
            Self::Root(root) => *root,
        };
        let sent_at = root.event.sent_at.and_then(timestamp::from_json);
        let historical_migration = root.historical_migration;
        if let Some(events) = root.batch {
            return Ok(Request { token: root.event.token, sent_at, historical_migration, events });
        }
        let wrapped =
            root.data.filter(|data| root.event.event.is_none() && data.get().starts_with(['[', '{']));
        if let Some(data) = wrapped {
            let inner = match serde_json::from_str::<Body<'a>>(data.get())? {
                Self::Events(events) => Request { events, ..Request::default() },
                // Only the outermost wrapper counts, so that nesting costs nothing.
                Self::Root(inner) => Self::Root(Box::new(Root { data: None, ..*inner })).into_request()?,
            };
            return Ok(Request {
                token: inner.token.or(root.event.token),
                sent_at: inner.sent_at.or(sent_at),
                historical_migration: inner.historical_migration || historical_migration,
                events: inner.events,
            });
        }
        let mut event = root.event;
        if let Some(data) = root.data {
            if scan::is_deeper(data.get().as_bytes(), limit::JSON_DEPTH - AROUND) {
                return Err(de::Error::custom(json::too_deep()));
            }
            event.extra.push((Cow::Borrowed("data"), data));
        }
        Ok(Request { token: None, sent_at, historical_migration, events: vec![event] })
    }
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Body<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event, an array of events or an object with a batch")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Events::visit(seq).map(|events| Body::Events(events.0))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut root = Box::<Root<'de>>::default();
                while let Some(Key(key)) = map.next_key()? {
                    match &*key {
                        "batch" => {
                            root.batch = map.next_value::<Option<Events<'de>>>()?.map(|events| events.0)
                        }
                        "data" => root.data = map.next_value()?,
                        "historical_migration" => {
                            root.historical_migration = map.next_value::<&RawValue>()?.get() == "true";
                        }
                        _ => field(&mut root.event, key, &mut map)?,
                    }
                }
                Ok(Body::Root(root))
            }
        }
        reader.deserialize_any(Shape)
    }
}

/// A list of events; null items are left out (an old persisted queue of posthog-js-core can hold one).
struct Events<'a>(Vec<RawEvent<'a>>);

impl<'de> Events<'de> {
    fn visit<A: SeqAccess<'de>>(mut seq: A) -> Result<Self, A::Error> {
        let mut events = Vec::new();
        let mut extra = 0;
        while let Some(item) = seq.next_element::<Option<One<'de>>>()? {
            let Some(One(event)) = item else { continue };
            extra += event.extra.len();
            events.push(event);
            // What is beyond a limit is read and let go of; the caller sees from what is here that there was more.
            if events.len() > limit::BATCH_EVENTS || extra > limit::EXTRA_FIELDS {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(Self(events))
    }
}

impl<'de> Deserialize<'de> for Events<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Events<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of events")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                Events::visit(seq)
            }
        }
        reader.deserialize_seq(List)
    }
}

/// One event object.
pub(crate) struct One<'a>(pub RawEvent<'a>);

impl<'de> Deserialize<'de> for One<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = One<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut event = RawEvent::default();
                while let Some(Key(key)) = map.next_key()? {
                    field(&mut event, key, &mut map)?;
                }
                Ok(One(event))
            }
        }
        reader.deserialize_map(Object)
    }
}

/// Reads the value of one root field into its place.
fn field<'de, A: MapAccess<'de>>(
    event: &mut RawEvent<'de>,
    key: Cow<'de, str>,
    map: &mut A,
) -> Result<(), A::Error> {
    match &*key {
        // A null beside another of these names says nothing, so it takes nothing away.
        "token" | "$token" | "api_key" => event.token = text(map)?.or(event.token.take()),
        "event" => event.event = text(map)?,
        "distinct_id" | "$distinct_id" => event.distinct_id = value(map)?.or(event.distinct_id),
        // Whatever is no string is no uuid either: kept as text, so that the sender is warned.
        "uuid" => event.uuid = value(map)?.map(json::text_of),
        "timestamp" => event.timestamp = value(map)?,
        "offset" => event.offset = value(map)?,
        "sent_at" => event.sent_at = value(map)?,
        "properties" => event.properties = properties::<A>(value(map)?)?,
        "$set" => event.set = value(map)?,
        "$set_once" => event.set_once = value(map)?,
        "$unset" => event.unset = value(map)?,
        "context" => event.context = value(map)?,
        // One more than the limit tells that there are too many.
        _ if event.extra.len() > limit::EXTRA_FIELDS => drop(map.next_value::<IgnoredAny>()?),
        // A repeated name is kept twice here: whoever builds a map of these lets the last one win.
        _ => event.extra.push((key, shallow::<A>(map.next_value()?)?)),
    }
    Ok(())
}

/// Any JSON but `null`.
fn value<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<&'de RawValue>, A::Error> {
    map.next_value::<Option<&'de RawValue>>()?.map(shallow::<A>).transpose()
}

/// Refuses a value that would nest too deep together with what may stand around an event.
fn shallow<'de, A: MapAccess<'de>>(raw: &'de RawValue) -> Result<&'de RawValue, A::Error> {
    if raw.get().starts_with(['{', '[']) && scan::is_deeper(raw.get().as_bytes(), limit::JSON_DEPTH - AROUND)
    {
        return Err(de::Error::custom(json::too_deep()));
    }
    Ok(raw)
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    Ok(map.next_value::<Option<Key<'de>>>()?.map(|Key(text)| text))
}

fn properties<'de, A: MapAccess<'de>>(raw: Option<&'de RawValue>) -> Result<Option<&'de RawValue>, A::Error> {
    match raw {
        Some(raw) if !raw.get().starts_with('{') => Err(de::Error::custom("properties: expected an object")),
        raw => Ok(raw),
    }
}

/// A string, borrowed where it has no escapes.
pub(crate) struct Key<'a>(pub Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        reader.deserialize_str(Text)
    }
}
