//! Who an event says it is from: any JSON made text, cleaned and cut.

use crate::limit;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt::Write;

/// What to do with white space around an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Cut it off (v0 and v1).
    Trim,
    /// Leave it (replay).
    Keep,
}

/// A usable distinct id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinctId<'a> {
    /// Never empty, at most [`limit::DISTINCT_ID_CHARS`] characters, no NUL.
    pub text: Cow<'a, str>,
    /// How many characters it had before it was cut; `None` when nothing was cut.
    pub cut_from: Option<usize>,
}

/// Ids that stand for no one: programs send them when they have nothing better.
const ILLEGAL: [&str; 20] = [
    "0",
    "00000000-0000-0000-0000-000000000000",
    "[object object]",
    "anonymous",
    "anonymous-user",
    "backend",
    "distinct_id",
    "distinctid",
    "email",
    "false",
    "guest",
    "id",
    "nan",
    "none",
    "not_authenticated",
    "null",
    "system",
    "true",
    "undefined",
    "user",
];

/// Whether `id` stands for no one, so that its events must not touch a person.
///
/// This is the door's list; merges refuse more (see the identity crate).
///
/// # Compat
/// PostHog `rust/capture/src/v1/analytics/constants.rs`, applied here to v0 too.
pub fn is_illegal(id: &str) -> bool {
    let id = id.trim();
    // The longest member bounds the comparison, so ordinary ids cost a length check and a few bytes.
    id.len() <= 36 && ILLEGAL.iter().any(|illegal| illegal.eq_ignore_ascii_case(id))
}

/// Reads an id from its JSON text: strings as they are, anything else as compact JSON with sorted keys.
///
/// `None` for `null` and for text that is empty (after trimming, where `space` says so).
pub fn from_json(raw: &RawValue, space: Space) -> Option<DistinctId<'_>> {
    let text = match text(raw)? {
        Cow::Borrowed(text) => Cow::Borrowed(shape(text, space)),
        Cow::Owned(text) => Cow::Owned(shape(&text, space).to_owned()),
    };
    if text.is_empty() {
        return None;
    }
    let text = if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text };
    Some(cut(text))
}

fn shape(text: &str, space: Space) -> &str {
    match space {
        Space::Trim => text.trim(),
        Space::Keep => text,
    }
}

fn cut(text: Cow<'_, str>) -> DistinctId<'_> {
    match cut_chars(&text, limit::DISTINCT_ID_CHARS) {
        None => DistinctId { text, cut_from: None },
        Some(end) => {
            let chars = text.chars().count();
            let text = match text {
                Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
                Cow::Owned(mut text) => {
                    text.truncate(end);
                    Cow::Owned(text)
                }
            };
            DistinctId { text, cut_from: Some(chars) }
        }
    }
}

/// Byte position after the `max`th character; `None` when there is no more than that.
pub(crate) fn cut_chars(text: &str, max: usize) -> Option<usize> {
    if text.len() <= max {
        return None;
    }
    text.char_indices().nth(max).map(|(end, _)| end)
}

/// The text of a JSON value: the string itself, or compact JSON with sorted keys. `None` for `null`.
///
/// Borrows when the value is a string without escapes.
pub fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let json = raw.get();
    if let Some(plain) = plain_string(json) {
        return Some(Cow::Borrowed(plain));
    }
    match serde_json::from_str::<Value>(json) {
        Ok(Value::Null) => None,
        Ok(Value::String(text)) => Some(Cow::Owned(text)),
        Ok(value) => {
            let mut out = String::with_capacity(json.len());
            write_sorted(&value, &mut out);
            Some(Cow::Owned(out))
        }
        // JSON that is valid but fits no value (a number like 1e999) keeps its own text.
        Err(_) => Some(Cow::Borrowed(json)),
    }
}

/// The contents of a JSON string that has no escapes, which is nearly all of them.
pub(crate) fn plain_string(json: &str) -> Option<&str> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (place, key) in keys.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_scalar(&Value::String(key.clone()), out);
                out.push(':');
                write_sorted(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_sorted(item, out);
            }
            out.push(']');
        }
        scalar => write_scalar(scalar, out),
    }
}

fn write_scalar(value: &Value, out: &mut String) {
    write!(out, "{value}").expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, space: Space) -> Option<(String, Option<usize>)> {
        let raw = serde_json::from_str::<Box<RawValue>>(json).unwrap();
        from_json(&raw, space).map(|id| (id.text.into_owned(), id.cut_from))
    }

    #[test]
    fn any_json_becomes_text() {
        for (json, expect) in [
            (r#""bob""#, Some("bob")),
            (r#"" bob\n""#, Some("bob")),
            ("23", Some("23")),
            ("23.4", Some("23.4")),
            ("true", Some("true")),
            (r#"["a", "b"]"#, Some(r#"["a","b"]"#)),
            (r#"{"string":"a","number":3}"#, Some(r#"{"number":3,"string":"a"}"#)),
            (
                r#"{"b":{"d":1,"c":[{"z":1,"y":"\""}]},"a":null}"#,
                Some(r#"{"a":null,"b":{"c":[{"y":"\"","z":1}],"d":1}}"#),
            ),
            ("1e999", Some("1e999")),
            (r#""a\u0000b""#, Some("a\u{fffd}b")),
            (r#""\u00e9""#, Some("é")),
            ("null", None),
            (r#""""#, None),
            (r#""  ""#, None),
        ] {
            assert_eq!(read(json, Space::Trim).map(|id| id.0).as_deref(), expect, "{json}");
        }
        assert_eq!(read(r#"" x ""#, Space::Keep).map(|id| id.0).as_deref(), Some(" x "));
    }

    #[test]
    fn long_ids_are_cut_by_characters() {
        let of = |text: &str, times: usize| format!("\"{}\"", text.repeat(times));
        assert_eq!(read(&of("a", 222), Space::Trim), Some(("a".repeat(200), Some(222))));
        assert_eq!(read(&of("é", 150), Space::Trim), Some(("é".repeat(150), None)));
        assert_eq!(read(&of("é", 201), Space::Trim), Some(("é".repeat(200), Some(201))));
        assert_eq!(read(&of("a", 200), Space::Trim), Some(("a".repeat(200), None)));
    }

    #[test]
    fn nobody_has_an_illegal_id() {
        for id in
            ["undefined", " NULL ", "[object Object]", "0", "Guest", "00000000-0000-0000-0000-000000000000"]
        {
            assert!(is_illegal(id), "{id}");
        }
        for id in ["alice", "00", "users", ""] {
            assert!(!is_illegal(id), "{id}");
        }
    }
}
