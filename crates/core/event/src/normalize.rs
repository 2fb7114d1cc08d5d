//! From an event as it was written to one that is named, timed and checked: the rules of capture v0.
//!
//! The door asks only for the [`Head`]; the pump asks for all of it. Both go through [`head`], so what the
//! door accepts the pump can always read.

use crate::distinct_id::{self, Space};
use crate::event_id::{self, Sent};
use crate::fold_root;
use crate::name::event as names;
use crate::peek::Peek;
use crate::timestamp::{self, Clock};
use crate::{CapturedEvent, RawEvent, Received, Rejection, Route, Warning, limit};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

/// What an event shares with the others of its request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// `sent_at` of the body; goes before the one of [`Received`].
    pub sent_at: Option<Timestamp>,
    /// `historical_migration` of the body.
    pub historical: bool,
    /// Position among the events of the body, null items left out, discarded ones counted.
    pub index: usize,
}

impl Context {
    /// The same context for the event at `index`.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        Self { index, ..self }
    }
}

/// The checked part of an event: everything that can refuse it, and no property.
#[derive(Clone, Debug, PartialEq)]
pub struct Head<'a> {
    /// The sender's uuid, or a generated one.
    pub uuid: Uuid,
    /// Event name, at most [`limit::EVENT_NAME_CHARS`] characters.
    pub event: Cow<'a, str>,
    /// Distinct id, at most [`limit::DISTINCT_ID_CHARS`] characters, no NUL.
    pub distinct_id: Cow<'a, str>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When the sender says it sent it.
    pub sent_at: Option<Timestamp>,
    /// `$cookieless_mode` is `true`.
    pub cookieless: bool,
    /// `capture_internal` is present: the event comes from the operator's own programs.
    pub internal: bool,
    /// The distinct id stands for no one, so no person may be touched.
    pub force_personless: bool,
    /// What was altered.
    pub warnings: Vec<Warning>,
}

/// Whether events of this name are left out without a word (`$performance_event`).
///
/// The event still holds its place: [`Context::index`] counts it.
pub fn is_discarded(raw: &RawEvent<'_>) -> bool {
    raw.event.as_deref() == Some(names::PERFORMANCE)
}

/// Checks one v0 event without building its properties.
///
/// # Errors
/// The rejection that a v0 client must be told; in v0 it refuses the whole request.
pub fn head<'a>(raw: &RawEvent<'a>, received: &Received, context: Context) -> Result<Head<'a>, Rejection> {
    head_of(raw, &Peek::of(raw.properties), received, context)
}

fn head_of<'a>(
    raw: &RawEvent<'a>,
    peek: &Peek<'a>,
    received: &Received,
    context: Context,
) -> Result<Head<'a>, Rejection> {
    let mut warnings = Vec::new();
    let event = event_name(raw, received.route, &mut warnings)?;
    let distinct_id = distinct_id_of(raw, peek, received.route, &mut warnings)?;
    let cookieless = match peek.cookieless_mode.map(RawValue::get) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Rejection::InvalidCookieless),
    };
    let sent_at = context.sent_at.or(received.sent_at);
    let clock = Clock {
        received_at: received.at,
        sent_at: sent_at.filter(|_| !peek.ignore_sent_at),
        deadband_ms: limit::SKEW_DEADBAND_MS,
    };
    let timestamp = happened(raw, &clock, &mut warnings);
    let uuid = match event_id::read(raw.uuid.as_deref()) {
        Sent::Valid(uuid) => uuid,
        sent => {
            if sent == Sent::Invalid {
                let text = raw.uuid.as_deref().unwrap_or_default();
                warnings.push(Warning::new("invalid_event_uuid").with("eventUuid", first_chars(text, 200)));
            }
            event_id::generate(received.seed, context.index, timestamp)
        }
    };
    Ok(Head {
        uuid,
        force_personless: distinct_id::is_illegal(&distinct_id),
        event,
        distinct_id,
        timestamp,
        sent_at,
        cookieless,
        internal: peek.capture_internal,
        warnings,
    })
}

/// Builds the whole event: [`head`] plus its properties.
///
/// # Errors
/// The same as [`head`], and no other.
pub fn capture(
    raw: &RawEvent<'_>,
    received: &Received,
    context: Context,
) -> Result<CapturedEvent, Rejection> {
    let mut unreadable = Vec::new();
    let (properties, peek) = fold_root::read(raw, &mut unreadable);
    let mut head = head_of(raw, &peek, received, context)?;
    head.warnings.append(&mut unreadable);
    let folded = fold_root::fold(raw, properties, received.route, &mut head.warnings);
    let ip = if head.internal { Some("127.0.0.1".to_owned()) } else { received.ip.clone() };
    Ok(CapturedEvent {
        uuid: head.uuid,
        event: head.event.into_owned(),
        distinct_id: head.distinct_id.into_owned(),
        timestamp: head.timestamp,
        received_at: received.at,
        sent_at: head.sent_at,
        ip,
        properties: folded.properties,
        context: raw.context.map(|context| context.get().to_owned()),
        extra: folded.extra,
        api_key: received.token.clone(),
        force_personless: head.force_personless,
        historical: context.historical,
        content: raw.content(),
        warnings: head.warnings,
    })
}

fn event_name<'a>(
    raw: &RawEvent<'a>,
    route: Route,
    warnings: &mut Vec<Warning>,
) -> Result<Cow<'a, str>, Rejection> {
    let Some(name) = &raw.event else {
        return match route {
            Route::Engage | Route::Identify => Ok(Cow::Borrowed(names::IDENTIFY)),
            Route::Alias => Ok(Cow::Borrowed(names::CREATE_ALIAS)),
            Route::Groups => Ok(Cow::Borrowed(names::GROUP_IDENTIFY)),
            Route::Events | Route::AiBatch | Route::Replay | Route::V1 | Route::V1Ai => {
                Err(Rejection::Hydration("non-engage request missing event name attribute".to_owned()))
            }
        };
    };
    if name.is_empty() {
        return Err(Rejection::NoEventName);
    }
    if route == Route::AiBatch && !names::AI.contains(&name.as_ref()) {
        return Err(Rejection::NotAiEvent);
    }
    match distinct_id::cut_chars(name, limit::EVENT_NAME_CHARS) {
        None => Ok(name.clone()),
        Some(end) => {
            warnings.push(Warning::new("event_name_truncated").with("eventName", &name[..end]));
            Ok(match name {
                Cow::Borrowed(name) => Cow::Borrowed(&name[..end]),
                Cow::Owned(name) => Cow::Owned(name[..end].to_owned()),
            })
        }
    }
}

fn distinct_id_of<'a>(
    raw: &RawEvent<'a>,
    peek: &Peek<'a>,
    route: Route,
    warnings: &mut Vec<Warning>,
) -> Result<Cow<'a, str>, Rejection> {
    let Some(written) = raw.distinct_id.filter(|id| id.get() != "null").or(peek.distinct_id) else {
        let group = if route == Route::Groups { fold_root::group_distinct_id(raw) } else { None };
        return group.map(Cow::Owned).ok_or(Rejection::NoDistinctId);
    };
    let id = distinct_id::from_json(written, Space::Trim).ok_or(Rejection::NoDistinctId)?;
    if let Some(chars) = id.cut_from {
        warnings.push(
            Warning::new("distinct_id_truncated")
                .with("distinctId", &*id.text)
                .with("distinctIdLength", chars)
                .with("maxLength", limit::DISTINCT_ID_CHARS),
        );
    }
    Ok(id.text)
}

fn happened(raw: &RawEvent<'_>, clock: &Clock, warnings: &mut Vec<Warning>) -> Timestamp {
    let offset = raw.offset.and_then(timestamp::millis_from_json);
    let written = raw.timestamp.filter(|value| value.get() != "null");
    let parsed = written.and_then(timestamp::from_json);
    if let (Some(written), None, None) = (written, parsed, offset) {
        warnings.push(
            Warning::new("ignored_invalid_timestamp")
                .with("field", "timestamp")
                .with("value", first_chars(written.get(), 200))
                .with("reason", "not a time"),
        );
    }
    clock.resolve(parsed, offset)
}

fn first_chars(text: &str, max: usize) -> &str {
    distinct_id::cut_chars(text, max).map_or(text, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    fn received(route: Route) -> Received {
        let envelope = json!({"route": route, "project": 1, "token": "T", "at": "2026-11-20T12:00:00Z", "seed": 7,
            "sent_at": "2026-11-20T12:10:00Z", "ip": "1.1.1.1"});
        serde_json::from_value(envelope).unwrap()
    }

    fn raw(json: &str) -> Box<RawValue> {
        serde_json::from_str(json).unwrap()
    }

    fn fold(properties: &str, raw: RawEvent<'_>, route: Route) -> CapturedEvent {
        let properties = serde_json::from_str::<&RawValue>(properties).unwrap();
        let raw = RawEvent { properties: Some(properties), ..raw };
        capture(&raw, &received(route), Context::default()).unwrap()
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn the_body_knows_better_than_the_query_when_it_was_sent() {
        let (id, at) = (raw("\"a\""), raw("\"2026-11-20T11:00:00Z\""));
        let event = RawEvent {
            event: Some("x".into()),
            distinct_id: Some(&id),
            timestamp: Some(&at),
            ..RawEvent::default()
        };
        let skewed = head(&event, &received(Route::Events), Context::default()).unwrap();
        assert_eq!(skewed.timestamp.to_string(), "2026-11-20T10:52:30Z");
        let sent_at = Some("2026-11-20T12:00:00Z".parse().unwrap());
        let context = Context { sent_at, ..Context::default() };
        let believed = head(&event, &received(Route::Events), context).unwrap();
        assert_eq!(believed.timestamp.to_string(), "2026-11-20T11:00:00Z");
        assert_eq!(believed.sent_at, sent_at);
    }

    #[test]
    fn root_person_properties_win() {
        let (id, set, once, unset) = (raw("1"), raw(r#"{"b":2}"#), raw(r#"{"c":3}"#), raw(r#"["x","y"]"#));
        let event = RawEvent {
            event: Some("x".into()),
            distinct_id: Some(&id),
            set: Some(&set),
            set_once: Some(&once),
            unset: Some(&unset),
            ..RawEvent::default()
        };
        let properties =
            r#"{"token":"T","$set":{"a":1,"b":1},"$set_once":null,"$unset":{"z":1,"x":1},"k":1e999}"#;
        let event = fold(properties, event, Route::Events);
        let expect =
            json!({"$set": {"a": 1, "b": 2}, "$set_once": {"c": 3}, "$unset": ["z", "x", "y"], "k": "1e999"});
        assert_eq!(json!(event.properties), expect);
        assert_eq!(
            event.warnings.iter().map(|warning| &*warning.kind).collect::<Vec<_>>(),
            ["unreadable_property"]
        );
        assert_eq!(event.ip.as_deref(), Some("1.1.1.1"));
    }

    #[test]
    fn hogflare_bodies_are_folded_on_their_routes_only() {
        let (kind, key) = (raw("\"company\""), raw("\"acme\""));
        let root = || RawEvent {
            extra: vec![("group_type".into(), &*kind), ("group_key".into(), &*key)],
            ..RawEvent::default()
        };
        let group = fold(r#"{"plan":"pro"}"#, root(), Route::Groups);
        assert_eq!((&*group.event, &*group.distinct_id), ("$groupidentify", "$company_acme"));
        let expect = json!({"$group_set": {"plan": "pro"}, "$group_type": "company", "$group_key": "acme"});
        assert_eq!(group.properties.to_map(), map(expect));
        assert!(group.extra.is_empty());
        let plain = RawEvent { event: Some("x".into()), ..root() };
        let plain = fold(r#"{"distinct_id":"a","plan":"pro"}"#, plain, Route::Events);
        assert_eq!(plain.extra, map(json!({"group_type": "company", "group_key": "acme"})));
        let alias = RawEvent { extra: vec![("alias".into(), &*key)], ..RawEvent::default() };
        let alias = fold(r#"{"distinct_id":"a"}"#, alias, Route::Alias);
        assert_eq!((&*alias.event, alias.properties.value("alias")), ("$create_alias", json!("acme")));
    }

    #[test]
    fn a_copy_sent_again_has_the_same_content_and_a_changed_one_another() {
        let (id, early, late, set) = (raw("\"a\""), raw("1"), raw("2"), raw(r#"{"k":1}"#));
        let content = |properties: &str, timestamp, set| {
            let event = RawEvent { event: Some("x".into()), distinct_id: Some(&id), ..RawEvent::default() };
            fold(properties, RawEvent { timestamp: Some(timestamp), set, ..event }, Route::Events).content
        };
        let first = content(r#"{"a":1}"#, &early, Some(&*set));
        assert_eq!(first, content(r#"{"a":1}"#, &late, Some(&*set)));
        assert_ne!(first, content(r#"{"a":2}"#, &early, Some(&*set)));
        assert_ne!(first, content(r#"{"a":1}"#, &early, None));
    }

    #[test]
    fn names_and_modes_are_checked() {
        let id = raw("\"a\"");
        let check = |name: Option<&'static str>, properties: &str, route| {
            let properties = raw(properties);
            let event = RawEvent {
                event: name.map(Cow::Borrowed),
                distinct_id: Some(&id),
                properties: Some(&properties),
                ..RawEvent::default()
            };
            head(&event, &received(route), Context::default()).map(|head| head.event.into_owned())
        };
        assert_eq!(check(None, "{}", Route::Engage).as_deref(), Ok("$identify"));
        assert!(matches!(check(None, "{}", Route::Events), Err(Rejection::Hydration(_))));
        assert_eq!(check(Some(""), "{}", Route::Engage), Err(Rejection::NoEventName));
        assert_eq!(check(Some("click"), "{}", Route::AiBatch), Err(Rejection::NotAiEvent));
        assert_eq!(check(Some("$ai_x"), "{}", Route::AiBatch), Err(Rejection::NotAiEvent));
        assert_eq!(check(Some("$ai_span"), "{}", Route::AiBatch).as_deref(), Ok("$ai_span"));
        let yes = r#"{"$cookieless_mode":"yes"}"#;
        assert_eq!(check(Some("x"), yes, Route::Events), Err(Rejection::InvalidCookieless));
        assert_eq!(check(Some("x"), r#"{"$cookieless_mode":true}"#, Route::Events).as_deref(), Ok("x"));
    }
}
