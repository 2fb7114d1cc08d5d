//! JavaScript's idea of truth, text and length, where the protocol depends on it.

use event::Json;
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::fmt::Write;

/// Whether a value counts as present in JavaScript.
pub fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(b)) => *b,
        Some(Value::Number(n)) => n.as_f64() != Some(0.0),
        Some(Value::String(s)) => !s.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
    }
}

/// The text JavaScript's `String(value)` gives.
pub fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed("null"),
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Number(n) => Cow::Owned(number(n)),
        Value::String(s) => Cow::Borrowed(s),
        Value::Array(items) => {
            let parts: Vec<_> =
                items.iter().map(|v| if v.is_null() { Cow::Borrowed("") } else { text(v) }).collect();
            Cow::Owned(parts.join(","))
        }
        Value::Object(_) => Cow::Borrowed("[object Object]"),
    }
}

/// As [`text`], of a value that is text still.
pub fn text_of(json: Json<'_>) -> Cow<'_, str> {
    json.as_str().unwrap_or_else(|| Cow::Owned(text(&json.value()).into_owned()))
}

fn number(n: &Number) -> String {
    match n.as_f64() {
        Some(f) if n.is_f64() && f.fract() == 0.0 && f.abs() < 1e21 => {
            let mut out = String::new();
            // Writing to a string cannot fail.
            let _ = write!(out, "{f:.0}");
            if out == "-0" { "0".to_owned() } else { out }
        }
        _ => n.to_string(),
    }
}

/// Whether `s` has more than `max` UTF-16 units.
pub fn longer_than(s: &str, max: usize) -> bool {
    // Never more units than bytes: most strings are decided without counting.
    s.len() > max && s.encode_utf16().count() > max
}

/// The first `max` UTF-16 units of `s`, without splitting a character.
pub fn cut(s: &str, max: usize) -> &str {
    if !longer_than(s, max) {
        return s;
    }
    let mut units = 0;
    for (at, c) in s.char_indices() {
        units += c.len_utf16();
        if units > max {
            return &s[..at];
        }
    }
    s
}

/// Equality of JSON values where `1` and `1.0` are the same number, and whole numbers differ although no
/// float could tell.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

/// As [`same`], of values that are text still.
pub fn same_text(a: Json<'_>, b: Json<'_>) -> bool {
    a == b || (!a.is_string() && !b.is_string() && same(&a.value(), &b.value()))
}

/// Replaces NUL by U+FFFD in every text and name inside `value`: not every store takes NUL.
pub fn clear_nul(value: &mut Value) {
    match value {
        Value::String(s) if s.contains('\0') => *s = s.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(clear_nul),
        Value::Object(map) => {
            map.values_mut().for_each(clear_nul);
            if map.keys().any(|key| key.contains('\0')) {
                let renamed = std::mem::take(map).into_iter();
                *map = renamed.map(|(key, value)| (key.replace('\0', "\u{fffd}"), value)).collect();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_is_javascripts() {
        for (value, expected) in [
            (json!(5), "5"),
            (json!(5.0), "5"),
            (json!(-0.0), "0"),
            (json!(0.5), "0.5"),
            (json!(true), "true"),
            (json!([1, null, "a"]), "1,,a"),
            (json!({"a": 1}), "[object Object]"),
        ] {
            assert_eq!(text(&value), expected, "{value}");
        }
    }

    #[test]
    fn cut_keeps_characters_whole() {
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("a😀", 2), "a");
        assert_eq!(cut("a😀", 3), "a😀");
    }

    #[test]
    fn nul_is_replaced_wherever_it_is() {
        let mut value = json!({"a\0": ["\0", {"b": "c\0d"}], "n": 1});
        clear_nul(&mut value);
        assert_eq!(value, json!({"a\u{fffd}": ["\u{fffd}", {"b": "c\u{fffd}d"}], "n": 1}));
    }

    #[test]
    fn numbers_compare_by_value() {
        assert!(same(&json!({"a": [1, 2.0]}), &json!({"a": [1.0, 2]})));
        assert!(!same(&json!(1), &json!("1")));
        assert!(!same(&json!(9_007_199_254_740_992_i64), &json!(9_007_199_254_740_993_i64)));
    }
}
