//! From a sender's JSON object to properties: one copy, one look at every byte.

use super::{Field, Properties, Span};
use crate::json::ToJson;
use crate::{canonical, scan};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A value of the sender's text.
struct Found {
    /// Where it lies in canonical form.
    value: Span,
    /// Where the sender's form of it ends.
    end: usize,
    /// It could be read.
    readable: bool,
}

impl Properties {
    /// Reads an object. A value that JSON allows but nothing holds (1e999) is kept as a string of its text, and
    /// `unreadable` is called with its name.
    ///
    /// `None` for what is no object, and for a name that is no text.
    pub fn read(raw: &RawValue, mut unreadable: impl FnMut(&str)) -> Option<Self> {
        Self::read_text(raw.get(), &mut unreadable, &mut |_, _| {})
    }

    /// As [`Properties::read`]; shows every field to `look` as it is written, the name with its quotes.
    pub(crate) fn read_and_look<'a>(
        raw: &'a RawValue,
        mut unreadable: impl FnMut(&str),
        mut look: impl FnMut(&'a str, &'a str),
    ) -> Option<Self> {
        Self::read_text(raw.get(), &mut unreadable, &mut look)
    }

    /// Reads text that is known to be right JSON.
    pub(super) fn read_text<'a>(
        object: &'a str,
        unreadable: &mut impl FnMut(&str),
        look: &mut impl FnMut(&'a str, &'a str),
    ) -> Option<Self> {
        if !object.starts_with('{') {
            return None;
        }
        // A field of a browser's event takes about 35 bytes.
        let mut read = Self::with_capacity(object.len() / 32 + 8, object.len() + 256);
        read.text.push_str(object);
        let json = object.as_bytes();
        let mut at = scan::skip_space(json, 1);
        while json.get(at) == Some(&b'"') {
            let name_end = scan::string_end(json, at + 1);
            let colon = scan::skip_space(json, name_end + 1);
            let start = scan::skip_space(json, colon + 1);
            let found = read.read_value(object, start);
            let quoted = object.get(at..=name_end)?;
            look(quoted, object.get(start..found.end)?);
            let name = match quoted.contains('\\') {
                true => Cow::Owned(serde_json::from_str::<String>(quoted).ok()?),
                false => Cow::Borrowed(&quoted[1..quoted.len() - 1]),
            };
            if !found.readable {
                unreadable(&name);
            }
            let (span, joined) = match &name {
                Cow::Borrowed(_) => (Span::new(at + 1..name_end), found.value.start as usize == name_end + 2),
                Cow::Owned(name) => (read.append(|text| text.push_str(name)), false),
            };
            read.put(Field { name: span, value: found.value, joined }, &name);
            at = scan::skip_space(json, found.end);
            if json.get(at) == Some(&b',') {
                at = scan::skip_space(json, at + 1);
            }
        }
        Some(read)
    }

    /// Finds the value that starts at `start`; one that is not canonical is written again at the end of the text.
    fn read_value(&mut self, object: &str, start: usize) -> Found {
        if let Some(end) = canonical::end(object.as_bytes(), start) {
            return Found { value: Span::new(start..end), end, readable: true };
        }
        let end = scan::value_end(object.as_bytes(), start);
        let written = object.get(start..end).unwrap_or_default();
        let read = serde_json::from_str::<Value>(written);
        let readable = read.is_ok();
        let value = read.unwrap_or_else(|_| Value::from(written));
        Found { value: self.append(|text| value.push_to(text)), end, readable }
    }

    fn append(&mut self, write: impl FnOnce(&mut String)) -> Span {
        let start = self.text.len();
        write(&mut self.text);
        Span::new(start..self.text.len())
    }

    /// Adds a field, or lets it take the place of one with its name.
    fn put(&mut self, field: Field, name: &str) {
        let tag = super::tag(name);
        match self.find(name, tag) {
            Some(position) => self.fields[position] = field,
            None => self.add(field, name, tag),
        }
    }
}
