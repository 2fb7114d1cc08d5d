//! What makes an event unusable before it is looked at closer.

use crate::js;
use crate::rules::Rules;
use crate::verdict::Drop;
use event::name::{event as name, property};
use event::{CapturedEvent, Warning};
use std::borrow::Cow;

/// UTF-16 units of a distinct id or group key.
const MAX_UNITS: usize = 400;

/// The text with NUL replaced by U+FFFD.
pub fn without_nul<'a>(text: impl Into<Cow<'a, str>>) -> Cow<'a, str> {
    let text = text.into();
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text }
}

/// Whether the event merges a second id into its distinct id.
pub fn is_merge(name: &str) -> bool {
    matches!(name, name::IDENTIFY | name::CREATE_ALIAS | name::MERGE_DANGEROUSLY)
}

/// The first reason to drop `event`, with the warning that tells its sender.
pub fn check(event: &CapturedEvent, rules: &Rules) -> Option<(Drop, Warning)> {
    distinct_id(event)
        .or_else(|| group_key(event))
        .or_else(|| merged_ids(event))
        .or_else(|| age(event, rules))
}

fn distinct_id(event: &CapturedEvent) -> Option<(Drop, Warning)> {
    if !js::longer_than(&event.distinct_id, MAX_UNITS) {
        return None;
    }
    let warning = Warning::new("skipping_event_invalid_distinct_id")
        .with("eventUuid", event.uuid.to_string())
        .with("distinctId", js::cut(&event.distinct_id, 100))
        .with("distinctIdLength", event.distinct_id.encode_utf16().count())
        .with("maxLength", MAX_UNITS);
    Some((Drop::DistinctIdTooLong, warning))
}

fn group_key(event: &CapturedEvent) -> Option<(Drop, Warning)> {
    if event.event != name::GROUP_IDENTIFY {
        return None;
    }
    let key = event.properties.text_of(property::GROUP_KEY)?;
    if !js::longer_than(&key, MAX_UNITS) {
        return None;
    }
    let warning = Warning::new("group_key_too_long")
        .with("eventUuid", event.uuid.to_string())
        .with("distinctId", event.distinct_id.as_str())
        .with("groupKey", js::cut(&key, 100))
        .with("groupKeyLength", key.encode_utf16().count())
        .with("maxLength", MAX_UNITS);
    Some((Drop::GroupKeyTooLong, warning))
}

fn merged_ids(event: &CapturedEvent) -> Option<(Drop, Warning)> {
    if !is_merge(&event.event) {
        return None;
    }
    for (key, drop) in
        [(property::ANON_DISTINCT_ID, Drop::InvalidAnonDistinctId), (property::ALIAS, Drop::InvalidAlias)]
    {
        let value = event.properties.get(key).filter(|value| !value.is_null() && !value.is_string());
        if let Some(value) = value {
            let warning = Warning::new(drop.tag())
                .with("eventUuid", event.uuid.to_string())
                .with("distinctId", event.distinct_id.as_str())
                .with("value", js::cut(value.text(), 100));
            return Some((drop, warning));
        }
    }
    None
}

fn age(event: &CapturedEvent, rules: &Rules) -> Option<(Drop, Warning)> {
    let limit = rules.drop_events_older_than.filter(|limit| limit.is_positive())?;
    let age = event.received_at.duration_since(event.timestamp);
    if age <= limit {
        return None;
    }
    let warning = Warning::new("event_dropped_too_old")
        .with("eventUuid", event.uuid.to_string())
        .with("event", js::cut(&event.event, 200))
        .with("distinctId", event.distinct_id.as_str())
        .with("eventTimestamp", event.timestamp.to_string())
        .with("ageInSeconds", age.as_secs())
        .with("dropThresholdSeconds", limit.as_secs());
    Some((Drop::EventDroppedTooOld, warning))
}
