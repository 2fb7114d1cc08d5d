//! One JSON value as its text, read only as far as somebody asks.

use crate::scan;
use serde::ser::{Error, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::fmt;
use std::io;

/// A value of [`crate::Properties`]: canonical JSON text, which two equal strings, numbers or flags share.
///
/// Canonical means as `serde_json` writes it: no white space, no needless escapes, no name twice in one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Takes text that is known to be canonical.
    pub fn canonical(text: &'a str) -> Self {
        Self(text)
    }

    /// The text itself.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// Whether it is a string.
    pub fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// Whether it is a number.
    pub fn is_number(self) -> bool {
        self.0.starts_with(|c: char| c == '-' || c.is_ascii_digit())
    }

    /// The flag, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_f64(self) -> Option<f64> {
        if self.is_number() { self.0.parse().ok() } else { None }
    }

    /// What the string says, if it is one; borrowed when it has no escapes.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str(self.0).ok().map(Cow::Owned)
        } else {
            Some(inner.into())
        }
    }

    /// JavaScript's truth, since that is how senders and PostHog mean properties.
    pub fn is_truthy(self) -> bool {
        match self.0 {
            "null" | "false" | "\"\"" => false,
            _ => self.as_f64() != Some(0.0),
        }
    }

    /// Whether both are the same value, in whatever order objects have their fields.
    pub fn equals(self, other: Self) -> bool {
        self == other || (!self.is_string() && self.value() == other.value())
    }

    /// The fields of an object in order; none of any other value.
    pub fn fields(self) -> Fields<'a> {
        Fields { text: self.0, at: if self.is_object() { 1 } else { self.0.len() } }
    }

    /// The value as a tree.
    pub fn value(self) -> Value {
        serde_json::from_str(self.0).unwrap_or_else(|_| Value::String(self.0.to_owned()))
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.0).map_err(S::Error::custom)?.serialize(to)
    }
}

/// See [`Json::fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Cow<'a, str>, Json<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let json = self.text.as_bytes();
        let start = self.at;
        if json.get(start) != Some(&b'"') {
            return None;
        }
        let key_end = scan::string_end(json, start + 1) + 1;
        let end = scan::value_end(json, key_end + 1);
        self.at = end + 1;
        let key = Json(self.text.get(start..key_end)?).as_str()?;
        Some((key, Json(self.text.get(key_end + 1..end)?)))
    }
}

/// Whatever can be written as canonical JSON at the end of a text.
pub trait ToJson {
    /// Appends the value.
    fn push_to(self, text: &mut String);
}

impl ToJson for Json<'_> {
    fn push_to(self, text: &mut String) {
        text.push_str(self.0);
    }
}

impl ToJson for &str {
    fn push_to(self, text: &mut String) {
        if !is_plain(self) {
            return push_serialized(&self, text);
        }
        text.push('"');
        text.push_str(self);
        text.push('"');
    }
}

impl ToJson for bool {
    fn push_to(self, text: &mut String) {
        text.push_str(if self { "true" } else { "false" });
    }
}

impl ToJson for &Value {
    fn push_to(self, text: &mut String) {
        push_serialized(self, text);
    }
}

impl ToJson for Value {
    fn push_to(self, text: &mut String) {
        push_serialized(&self, text);
    }
}

impl ToJson for Number {
    fn push_to(self, text: &mut String) {
        push_serialized(&self, text);
    }
}

/// Whether a string is written without escapes.
pub(crate) fn is_plain(text: &str) -> bool {
    // Without a way out of the loop the compiler makes it wide.
    !text.bytes().fold(false, |found, byte| found | (byte < b' ') | (byte == b'"') | (byte == b'\\'))
}

fn push_serialized(value: &impl Serialize, text: &mut String) {
    // Writing to memory cannot fail, and what is written has text for keys.
    let _ = serde_json::to_writer(Writer(text), value);
}

/// Lets `serde_json` write to whatever takes text.
pub struct Writer<W>(pub W);

impl<W: fmt::Write> io::Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.write_str(text).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_read_as_asked() {
        let text = r#"{"a":"b\n","c\"":[1,{"d":","}],"n":-1.5,"t":true,"z":null}"#;
        let fields: Vec<_> =
            Json(text).fields().map(|(key, value)| (key.into_owned(), value.text())).collect();
        let expect =
            [("a", r#""b\n""#), ("c\"", r#"[1,{"d":","}]"#), ("n", "-1.5"), ("t", "true"), ("z", "null")];
        assert_eq!(fields, expect.map(|(key, value)| (key.to_owned(), value)));
        assert_eq!(Json(fields[0].1).as_str().as_deref(), Some("b\n"));
        assert_eq!((Json("-1.5").as_f64(), Json("\"1\"").as_f64()), (Some(-1.5), None));
        assert_eq!((Json("true").as_bool(), Json("1").as_bool()), (Some(true), None));
        assert_eq!(Json(text).value()["c\""][0], 1);
        assert_eq!(Json("[1]").fields().count() + Json("{}").fields().count(), 0);
        assert_eq!(serde_json::to_value(Json(text)).unwrap(), Json(text).value());
    }

    #[test]
    fn truth_is_javascripts() {
        for (text, truth) in [
            ("null", false),
            ("false", false),
            ("0", false),
            ("-0.0", false),
            ("\"\"", false),
            ("\"0\"", true),
            ("[]", true),
            ("{}", true),
            ("true", true),
            ("0.5", true),
        ] {
            assert_eq!(Json(text).is_truthy(), truth, "{text}");
        }
    }

    #[test]
    fn strings_are_escaped_where_they_must_be() {
        for text in ["plain é", "a\"b", "a\\b", "a\nb\u{1}", "\u{7f}", ""] {
            let mut out = String::new();
            text.push_to(&mut out);
            assert_eq!(out, json!(text).to_string());
        }
    }
}
