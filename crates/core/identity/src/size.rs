//! How large properties are, and making them fit.

use crate::promote;
use event::{Json, Properties};
use serde_json::{Map, Value};

/// Bytes of a person's properties as JSON text.
pub const PERSON_BYTES: usize = 512 * 1024;

/// Bytes of properties as compact JSON text, escapes not counted, and every number as 8.
pub fn of(properties: &Properties) -> usize {
    2 + properties.iter().map(|(key, value)| key.len() + 4 + of_json(value)).sum::<usize>()
}

/// Whether properties are larger than `limit`.
pub fn exceeds(properties: &Properties, limit: usize) -> bool {
    at_most(properties) > limit && of(properties) > limit
}

/// What [`of`] surely does not exceed, without looking at the values: most properties are far from any limit.
pub fn at_most(properties: &Properties) -> usize {
    // A number of one digit and its comma are two bytes and count as nine.
    properties.text_len() * 5
}

/// [`of_value`] of a value that is text still.
pub fn of_json(value: Json<'_>) -> usize {
    let text = value.text();
    if value.is_number() {
        8
    } else if text.starts_with(['[', '{']) || text.contains('\\') {
        of_value(&value.value())
    } else {
        text.len()
    }
}

/// Bytes of a map as compact JSON text, escapes not counted.
pub fn of_map(map: &Map<String, Value>) -> usize {
    2 + map.iter().map(|(key, value)| key.len() + 4 + of_value(value)).sum::<usize>()
}

/// Bytes of a value as compact JSON text, escapes not counted.
pub fn of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(_) => 8,
        Value::String(s) => s.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| of_value(item) + 1).sum::<usize>(),
        Value::Object(map) => of_map(map),
    }
}

/// Removes the largest properties that nothing depends on until the rest fits.
///
/// Gives the removed keys, or `None` when even the protected ones are too large.
pub fn trim(properties: &mut Properties) -> Option<Vec<String>> {
    let mut size = of(properties);
    let mut candidates: Vec<(usize, String)> = properties
        .iter()
        .filter(|(key, _)| !is_protected(key))
        .map(|(key, value)| (key.len() + 4 + of_json(value), key.to_owned()))
        .collect();
    candidates.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut removed = Vec::new();
    for (bytes, key) in candidates {
        if size <= PERSON_BYTES {
            break;
        }
        properties.remove(&key);
        size -= bytes;
        removed.push(key);
    }
    (size <= PERSON_BYTES).then_some(removed)
}

fn is_protected(key: &str) -> bool {
    promote::is_promoted(key)
        || matches!(
            key,
            "email"
                | "name"
                | "$session_id"
                | "$window_id"
                | "$pageview_id"
                | "$host"
                | "$user_id"
                | "$device_id"
                | "$anon_distinct_id"
                | "$initial_referrer"
                | "$initial_referring_domain"
                | "$initial_utm_source"
                | "$initial_utm_medium"
                | "$initial_utm_campaign"
                | "$initial_utm_content"
                | "$initial_utm_term"
        )
}
