//! What a JSON value is as text, and when it counts as true.

use serde_json::Value;
use std::borrow::Cow;

/// Text as it is, everything else as compact JSON: `1.0` stays `1.0`.
pub(crate) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// Whether a filter's value compares truth, not text: as PostHog, a list of nothing does, too.
pub(crate) fn is_boolean(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::String(text) => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        Value::Array(items) => items.iter().all(is_boolean),
        _ => false,
    }
}

/// Whether a value is true, or the word, or a list of only such.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(truth) => *truth,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        Value::Array(items) => items.iter().all(is_true),
        _ => false,
    }
}

/// Whether a text contains another, which is in lower case, whatever the case of ASCII letters.
pub(crate) fn contains(text: &str, lower: &str) -> bool {
    text.to_ascii_lowercase().contains(lower)
}
