//! The type of a property, guessed from one value.

use event::Json;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use std::borrow::Cow;

/// How far back an integer can lie to be taken for a time: half a year.
const RECENT_SECONDS: i64 = 15_768_000;

/// What kind of values a property has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PropertyType {
    /// Text.
    String,
    /// A number.
    Numeric,
    /// Yes or no.
    Boolean,
    /// A time, as text or as a number.
    DateTime,
}

impl PropertyType {
    /// The text stored in the column.
    pub fn text(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Numeric => "Numeric",
            Self::Boolean => "Boolean",
            Self::DateTime => "DateTime",
        }
    }
}

/// The type of `value` under the name `key`, seen at `now`. Null, arrays and objects have none.
///
/// Some names decide alone, because their first value often looks like something else.
pub fn detect(key: &str, value: Json<'_>, now: Timestamp) -> Option<PropertyType> {
    let key = if key.bytes().any(|b| !b.is_ascii() || b.is_ascii_uppercase()) {
        Cow::Owned(key.to_lowercase())
    } else {
        Cow::Borrowed(key)
    };
    if is_always_text(&key) {
        return Some(PropertyType::String);
    }
    if let Some(text) = value.as_str() {
        return Some(detect_text(text.trim()));
    }
    if value.is_number() {
        let since = now.as_second().saturating_sub(RECENT_SECONDS);
        let text = value.text();
        let recent = text.parse().map_or_else(|_| text.parse::<u64>().is_ok(), |n: i64| n >= since);
        let time = recent && is_time_name(&key);
        return Some(if time { PropertyType::DateTime } else { PropertyType::Numeric });
    }
    value.as_bool().map(|_| PropertyType::Boolean)
}

fn is_always_text(key: &str) -> bool {
    ["utm_", "$initial_utm_", "$feature/", "$survey_response"].iter().any(|prefix| key.starts_with(prefix))
        || key == "$feature_flag_response"
}

fn is_time_name(key: &str) -> bool {
    ["time", "date", "_at", "-at", "createdat", "updatedat"].iter().any(|word| key.contains(word))
}

fn detect_text(text: &str) -> PropertyType {
    match text {
        "true" | "false" | "TRUE" | "FALSE" => PropertyType::Boolean,
        _ if is_date(text) => PropertyType::DateTime,
        _ => PropertyType::String,
    }
}

/// Whether a text is a date, with or without a time.
fn is_date(text: &str) -> bool {
    if text.len() < 10 {
        return false;
    }
    let bytes = text.as_bytes();
    if has_date_shape(bytes) {
        return true;
    }
    // RFC 3339 allows a small `t`, and then a whole time must follow.
    if bytes.get(..19).is_some_and(|head| shape(head, b"9999-19-39t29:69:69")) {
        return text.parse::<Timestamp>().is_ok();
    }
    // A date in words: `Tue, 01 Jul 2003 10:52:37 +0200`. The longest one is short.
    text.len() <= 64 && text.contains(':') && text.contains(' ') && rfc2822::parse(text).is_ok()
}

/// `YYYY-MM-DD` or `MM-DD-YYYY`, with `/` or `-`, alone or followed by a time of day and anything.
fn has_date_shape(text: &[u8]) -> bool {
    let Some((date, rest)) = text.split_at_checked(10) else { return false };
    let year_first = shape(date, b"9999/29/39");
    let year_last = shape(date, b"29/39/9999");
    (year_first || year_last)
        && (rest.is_empty()
            || !rest.contains(&b'\n') && rest.get(..9).is_some_and(|time| shape(time, b"T29:69:69")))
}

/// Compares with a pattern in which a digit stands for itself and lower digits, `/` for `/` or `-`, `T` for
/// `T` or a space.
fn shape(text: &[u8], pattern: &[u8]) -> bool {
    text.len() == pattern.len()
        && text.iter().zip(pattern).all(|(c, p)| match p {
            b'/' => matches!(c, b'/' | b'-'),
            b'T' => matches!(c, b'T' | b' '),
            b'0'..=b'9' => (b'0'..=*p).contains(c),
            _ => c == p,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const VECTORS: &str = include_str!("../../../../../fixtures/identity/property-vectors.json");

    #[test]
    fn every_vector() {
        let vectors: Value = serde_json::from_str(VECTORS).expect("the vectors are JSON");
        let vectors = &vectors["property_types"];
        let now = Timestamp::from_second(vectors["now_s"].as_i64().expect("a number")).expect("a time");
        let cases = vectors["cases"].as_array().expect("cases");
        assert!(cases.len() >= 34);
        for case in cases {
            let value = case["value"].to_string();
            let actual = detect(case["key"].as_str().expect("text"), Json::canonical(&value), now);
            assert_eq!(actual.map(PropertyType::text), case["type"].as_str(), "{case}");
        }
    }

    #[test]
    fn dates_and_what_only_looks_like_one() {
        for text in [
            "2025-01-31T10:00:00+02:00",
            "2025-01-31t10:00:00z",
            "2025/01/31 10:00:00 whatever",
            "2025-01-31 10:00:00 à midi",
            "12-31/2025",
            "1 Jul 2003 10:52:37 GMT",
        ] {
            assert!(is_date(text), "{text}");
        }
        for text in [
            "2025-01-3",
            "2025-01-31x",
            "2025-01-31T1",
            "31/31/2025",
            "2025-01-31 10:00",
            "2025-01-31 10:00Z",
            "2025-01-31t10:00:00",
            "2025-01-31 10:00:00\nx",
            "éééééééééé",
            "",
        ] {
            assert!(!is_date(text), "{text}");
        }
    }
}
