//! The few properties the door must know, read without building the others.

use crate::{distinct_id, scan};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What the door reads from `properties`. A key that occurs twice counts as its last occurrence.
#[derive(Clone, Debug, Default)]
pub struct Peek<'a> {
    /// `distinct_id`; any JSON.
    pub distinct_id: Option<&'a RawValue>,
    /// `token`, when it is a string.
    pub token: Option<Cow<'a, str>>,
    /// `$ignore_sent_at` is `true`.
    pub ignore_sent_at: bool,
    /// `$cookieless_mode`; any JSON.
    pub cookieless_mode: Option<&'a RawValue>,
    /// `capture_internal` is present, with any value.
    pub capture_internal: bool,
}

impl<'a> Peek<'a> {
    /// Reads `properties`. `None` reads as an empty object, and so does what is no object.
    pub fn of(properties: Option<&'a RawValue>) -> Self {
        let mut peek = Self::default();
        let Some(properties) = properties else { return peek };
        // A raw value is right JSON, so its ends can be found without checking it again.
        let text = properties.get();
        let json = text.as_bytes();
        if json.first() != Some(&b'{') {
            return peek;
        }
        let mut at = scan::skip_space(json, 1);
        while json.get(at) == Some(&b'"') {
            let key_end = scan::string_end(json, at + 1);
            let Some(name) = text.get(at..=key_end) else { break };
            let value = scan::skip_space(json, scan::skip_space(json, key_end + 1) + 1);
            let end = scan::value_end(json, value);
            peek.look(name, &text[value..end]);
            at = scan::skip_space(json, scan::skip_space(json, end) + 1);
        }
        peek
    }

    /// Looks at one field, given as the JSON of its name and of its value.
    pub(crate) fn look(&mut self, name: &str, value: &'a str) {
        if is_wanted(&name.as_bytes()[1..name.len() - 1]) {
            self.take(name, value);
        }
    }

    fn take(&mut self, name: &str, value: &'a str) {
        let Ok(Some(name)) = serde_json::from_str::<&RawValue>(name).map(distinct_id::text) else { return };
        let Ok(value) = serde_json::from_str::<&'a RawValue>(value) else { return };
        match &*name {
            "distinct_id" => self.distinct_id = Some(value),
            "token" => self.token = string(value),
            "$ignore_sent_at" => self.ignore_sent_at = value.get() == "true",
            "$cookieless_mode" => self.cookieless_mode = Some(value),
            "capture_internal" => self.capture_internal = true,
            _ => {}
        }
    }
}

/// Whether a name may be one that is read; a name with an escape in it may be any.
fn is_wanted(key: &[u8]) -> bool {
    match key {
        b"distinct_id" | b"token" | b"$ignore_sent_at" | b"$cookieless_mode" | b"capture_internal" => true,
        key => key.contains(&b'\\'),
    }
}

fn string(value: &RawValue) -> Option<Cow<'_, str>> {
    if value.get().starts_with('"') { distinct_id::text(value) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_asked_and_lets_the_last_one_win() {
        let json = r#"{"a":{"token":"inner","distinct_id":1},"token":"x","token":"T\u0031","distinct_id":"a",
            "distinct\u005fid":"b","$ignore_sent_at":true,"$cookieless_mode":"yes","capture_internal":null}"#;
        let raw = serde_json::from_str::<&RawValue>(json).unwrap();
        let peek = Peek::of(Some(raw));
        assert_eq!(peek.token.as_deref(), Some("T1"));
        assert_eq!(peek.distinct_id.unwrap().get(), "\"b\"");
        assert!(peek.ignore_sent_at);
        assert_eq!(peek.cookieless_mode.unwrap().get(), "\"yes\"");
        assert!(peek.capture_internal);
    }

    #[test]
    fn other_types_count_as_absent() {
        let raw = serde_json::from_str::<&RawValue>(r#"{"token":5,"$ignore_sent_at":"true"}"#).unwrap();
        let peek = Peek::of(Some(raw));
        assert_eq!(peek.token, None);
        assert!(!peek.ignore_sent_at);
        let raw = serde_json::from_str::<&RawValue>("[1]").unwrap();
        assert!(Peek::of(Some(raw)).distinct_id.is_none());
        assert!(Peek::of(None).distinct_id.is_none());
    }
}
