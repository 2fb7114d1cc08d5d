//! From properties to JSON text: runs of untouched fields are copied as they are.

use super::{Field, Properties, Span};
use crate::json::{self, ToJson};
use serde::ser::{Serialize, Serializer};
use std::fmt;

impl Properties {
    /// Writes everything as one JSON object.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let (mut at, mut mark) = (0, '{');
        while let Some(field) = self.fields.get(at) {
            out.write_char(std::mem::replace(&mut mark, ','))?;
            if field.joined {
                let (run, next) = self.run(at);
                out.write_str(self.slice(run))?;
                at = next;
            } else {
                write_name(self.slice(field.name), out)?;
                out.write_str(self.slice(field.value))?;
                at += 1;
            }
        }
        out.write_str(if self.is_empty() { "{}" } else { "}" })
    }

    /// The fields from `at` on that follow each other in the text, and the first one behind them.
    fn run(&self, at: usize) -> (Span, usize) {
        let mut run = Span { start: self.fields[at].name.start - 1, end: self.fields[at].value.end };
        let follow = self.fields[at + 1..].iter().take_while(|field| {
            let follows = field.joined && field.name.start == run.end + 2;
            if follows {
                run.end = field.value.end;
            }
            follows
        });
        let count = follow.count();
        (run, at + 1 + count)
    }

    /// Everything as the text of one JSON object.
    pub fn to_json(&self) -> String {
        let mut out = String::with_capacity(self.text.len().saturating_sub(self.dead) + 2);
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }
}

/// Appends `,"name":value` to `text`.
pub(super) fn push_field(text: &mut String, name: &str, value: impl ToJson) -> Field {
    if json::is_plain(name) {
        text.push_str(",\"");
        let start = text.len();
        text.push_str(name);
        text.push_str("\":");
        let at = text.len();
        value.push_to(text);
        return Field { name: Span::new(start..at - 2), value: Span::new(at..text.len()), joined: true };
    }
    // A name with escapes is kept as it reads.
    let start = text.len();
    text.push_str(name);
    let at = text.len();
    value.push_to(text);
    Field { name: Span::new(start..at), value: Span::new(at..text.len()), joined: false }
}

/// Writes `"name":`.
fn write_name(name: &str, out: &mut impl fmt::Write) -> fmt::Result {
    if !json::is_plain(name) {
        let mut escaped = String::new();
        name.push_to(&mut escaped);
        return write!(out, "{escaped}:");
    }
    out.write_char('"')?;
    out.write_str(name)?;
    out.write_str("\":")
}

impl ToJson for &Properties {
    fn push_to(self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = self.write(text);
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}
