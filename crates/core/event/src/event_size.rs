//! How large an event is, and whether that is too large.

use crate::{RawEvent, Rejection, limit};
use serde::{Deserialize, Serialize};

/// The largest event of each sort, in bytes of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Any event but the following.
    pub analytics: usize,
    /// Events named `$ai_*`, which carry prompts and answers.
    pub ai: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { analytics: limit::EVENT_BYTES, ai: limit::AI_EVENT_BYTES }
    }
}

/// Bytes of the event's JSON as it was sent, less white space between fields.
pub fn measure(raw: &RawEvent<'_>) -> usize {
    let texts = [&raw.token, &raw.event, &raw.uuid];
    let values = [
        (raw.distinct_id, "distinct_id"),
        (raw.timestamp, "timestamp"),
        (raw.offset, "offset"),
        (raw.sent_at, "sent_at"),
        (raw.properties, "properties"),
        (raw.set, "$set"),
        (raw.set_once, "$set_once"),
        (raw.unset, "$unset"),
        (raw.context, "context"),
    ];
    // Quotes of the key, colon and comma.
    const AROUND: usize = 4;
    let texts: usize = texts.into_iter().flatten().map(|text| text.len() + 2 + 7 + AROUND).sum();
    let values: usize = values
        .iter()
        .filter_map(|(value, key)| value.map(|value| value.get().len() + key.len() + AROUND))
        .sum();
    let extra: usize = raw.extra.iter().map(|(key, value)| key.len() + value.get().len() + AROUND).sum();
    2 + texts + values + extra
}

/// Checks one event against the limit of its sort.
///
/// # Errors
/// [`Rejection::TooLarge`]; in v0 that refuses the whole request before anything of it is stored.
pub fn check(raw: &RawEvent<'_>, limits: &Limits) -> Result<(), Rejection> {
    let ai = raw.event.as_deref().is_some_and(|name| name.starts_with("$ai_"));
    at_most(raw, if ai { limits.ai } else { limits.analytics })
}

/// Checks one replay event against [`limit::SNAPSHOT_BYTES`].
///
/// # Errors
/// [`Rejection::TooLarge`], for the whole request.
pub fn check_snapshot(raw: &RawEvent<'_>) -> Result<(), Rejection> {
    at_most(raw, limit::SNAPSHOT_BYTES)
}

fn at_most(raw: &RawEvent<'_>, max: usize) -> Result<(), Rejection> {
    let size = measure(raw);
    if size > max {
        return Err(Rejection::TooLarge(format!("event of {size} bytes, limit {max}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;
    use std::borrow::Cow;

    #[test]
    fn each_sort_has_its_own_limit() {
        let properties =
            serde_json::from_str::<Box<RawValue>>(&format!("{{\"a\":\"{}\"}}", "x".repeat(100))).unwrap();
        let limits = Limits { analytics: 100, ai: 200 };
        let mut raw = RawEvent {
            event: Some(Cow::Borrowed("a")),
            properties: Some(&properties),
            ..RawEvent::default()
        };
        assert!(matches!(check(&raw, &limits), Err(Rejection::TooLarge(_))));
        raw.event = Some(Cow::Borrowed("$ai_span"));
        assert_eq!(check(&raw, &limits), Ok(()));
        raw.event = Some(Cow::Borrowed("a"));
        assert_eq!(check_snapshot(&raw), Ok(()));
        raw.properties = None;
        assert_eq!(check(&raw, &limits), Ok(()));
    }
}
