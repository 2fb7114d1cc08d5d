//! How large properties are, and making them fit.

use crate::promote;
use serde_json::{Map, Value};

/// Bytes of a person's properties as JSON text.
pub const PERSON_BYTES: usize = 512 * 1024;

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
pub fn trim(properties: &mut Map<String, Value>) -> Option<Vec<String>> {
    let mut size = of_map(properties);
    let mut candidates: Vec<(usize, String)> = properties
        .iter()
        .filter(|(key, _)| !is_protected(key))
        .map(|(key, value)| (key.len() + 4 + of_value(value), key.clone()))
        .collect();
    candidates.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut removed = Vec::new();
    for (bytes, key) in candidates {
        if size <= PERSON_BYTES {
            break;
        }
        properties.shift_remove(&key);
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
