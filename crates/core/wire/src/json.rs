//! From bytes to JSON text that every reader behind the door can take.

use crate::encoding::broken;
use event::{Rejection, limit, scan};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Checks the bytes of a JSON text and mends what can be mended.
///
/// As [`text`], and the text is known to nest no deeper than [`limit::JSON_DEPTH`], so that no reader behind
/// runs out of stack. The JSON itself is not parsed here.
///
/// # Errors
/// [`Rejection::Decoding`] for bytes that are no UTF-8, [`Rejection::Parsing`] for too deep a nesting.
pub fn clean(bytes: &[u8]) -> Result<Cow<'_, str>, Rejection> {
    let text = text(bytes)?;
    if scan::is_deeper(text.as_bytes(), limit::JSON_DEPTH) {
        return Err(Rejection::Parsing(too_deep()));
    }
    Ok(text)
}

/// [`clean`] without the look at the depth, for [`crate::capture::parse`] and [`crate::replay::parse`], which
/// look at it event by event; that costs a batch a fifth.
///
/// A byte order mark goes; half a surrogate pair, which JavaScript strings can hold and UTF-8 cannot,
/// becomes U+FFFD.
///
/// # Errors
/// [`Rejection::Decoding`] for bytes that are no UTF-8.
pub fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Rejection> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| broken("invalid UTF8 in request payload"))?;
    Ok(mend_surrogates(text))
}

/// What a sender of too deep a body is told.
pub(crate) fn too_deep() -> String {
    format!("nesting deeper than {}", limit::JSON_DEPTH)
}

/// The text of a JSON value: the string itself, or its JSON as it was written.
pub(crate) fn text_of(raw: &RawValue) -> Cow<'_, str> {
    string(raw).unwrap_or(Cow::Borrowed(raw.get()))
}

/// The contents of a JSON string; `None` for every other value.
pub(crate) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    if raw.get().starts_with('"') { event::distinct_id::text(raw) } else { None }
}

/// Replaces `\ud800`-`\udfff` escapes that are not part of a pair with `\ufffd`.
fn mend_surrogates(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let suspect = [b"\\ud", b"\\uD"].iter().filter_map(|start| memchr::memmem::find(bytes, *start)).min();
    if suspect.is_none() {
        return Cow::Borrowed(text);
    }
    let mut mended: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[at..]) {
        let here = at + found;
        at = (here + 2).min(bytes.len());
        let Some(unit) = surrogate(bytes, here) else { continue };
        let is_high = unit < 0xdc00;
        if is_high && surrogate(bytes, here + 6).is_some_and(|low| low >= 0xdc00) {
            at = here + 12;
            continue;
        }
        let out = mended.get_or_insert_with(|| String::with_capacity(text.len()));
        out.push_str(&text[copied..here]);
        out.push_str("\\ufffd");
        copied = here + 6;
        at = copied;
    }
    match mended {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(&text[copied..]);
            Cow::Owned(out)
        }
    }
}

/// The surrogate that is escaped at `at`, if one is.
fn surrogate(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    if !escape.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let unit = u16::from_str_radix(std::str::from_utf8(escape).ok()?, 16).ok()?;
    (0xd800..=0xdfff).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_half_pairs_are_mended() {
        for (text, expect) in [
            ("\u{feff}{}", "{}"),
            (r#"{"a":"\ud83e\udd80"}"#, r#"{"a":"\ud83e\udd80"}"#),
            (r#"{"a":"\ud83e"}"#, r#"{"a":"\ufffd"}"#),
            (r#"{"a":"\uDD80x\ud83e\ud83e\udd80"}"#, r#"{"a":"\ufffdx\ufffd\ud83e\udd80"}"#),
            (r#"{"a":"\\ud83e"}"#, r#"{"a":"\\ud83e"}"#),
            (r#"{"a":"\\\ud83e"}"#, r#"{"a":"\\\ufffd"}"#),
            (r#"{"a":"é\ud8"#, r#"{"a":"é\ud8"#),
        ] {
            assert_eq!(clean(text.as_bytes()).as_deref(), Ok(expect));
        }
        assert!(matches!(clean(b"{\"a\":\"\xff\"}"), Err(Rejection::Decoding(_))));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(clean(nested(128).as_bytes()).is_ok());
        assert!(matches!(clean(nested(129).as_bytes()), Err(Rejection::Parsing(_))));
        assert!(text(nested(129).as_bytes()).is_ok());
    }
}
