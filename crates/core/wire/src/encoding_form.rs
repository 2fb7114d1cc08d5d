//! URL-encoded text: form bodies and query strings.

use crate::encoding::broken;
use event::{Rejection, timestamp};
use jiff::Timestamp;
use std::borrow::Cow;

/// Fields of a form body besides `data`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// `compression`.
    pub compression: Option<String>,
    /// `_` or `sent_at`.
    pub sent_at: Option<Timestamp>,
}

/// Whether a content type names a form, parameters and case aside.
pub(crate) fn is_form(content_type: Option<&str>) -> bool {
    let mime = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    mime.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Whether a body starts with a field that SDKs put first in a form.
pub(crate) fn looks_like_form(raw: &[u8]) -> bool {
    ["data=", "ver=", "_=", "ip=", "compression="].iter().any(|prefix| raw.starts_with(prefix.as_bytes()))
}

/// Reads a form body: its `data`, and the fields beside it.
pub(crate) fn read(raw: &[u8]) -> Result<(Vec<u8>, Form), Rejection> {
    let mut form = Form::default();
    let mut data = None;
    for (key, value) in pairs(raw) {
        match &*key {
            b"data" if data.is_none() => data = Some(value.into_owned()),
            b"compression" if form.compression.is_none() => {
                form.compression = Some(String::from_utf8_lossy(&value).into_owned());
            }
            b"_" | b"sent_at" if form.sent_at.is_none() => {
                form.sent_at = std::str::from_utf8(&value).ok().and_then(timestamp::from_query);
            }
            _ => {}
        }
    }
    match data {
        Some(data) if data.is_empty() => Err(Rejection::EmptyPayload),
        Some(data) => Ok((data, form)),
        None => Err(broken("expected form data in POST request payload")),
    }
}

/// Splits URL-encoded text into decoded names and values, in order.
pub(crate) fn pairs(raw: &[u8]) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    raw.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &pair[..0]),
        };
        (decode(key), decode(value))
    })
}

/// `+` is a space, `%xx` a byte; a `%` that starts neither stays.
fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr2(b'+', b'%', text) else { return Cow::Borrowed(text) };
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(&text[..first]);
    let mut at = first;
    while at < text.len() {
        match text[at] {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |place: usize| text.get(place).and_then(|byte| char::from(*byte).to_digit(16));
                if let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) {
                    out.push((high * 16 + low) as u8);
                    at += 2;
                } else {
                    out.push(b'%');
                }
            }
            byte => out.push(byte),
        }
        at += 1;
    }
    Cow::Owned(out)
}
