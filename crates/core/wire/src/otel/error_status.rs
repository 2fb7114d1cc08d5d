//! What a failed span says about its failure.

use super::any_value;
use super::proto::{Span, SpanEvent};
use serde_json::{Map, Value};

const ERROR: i32 = 2;
const UNNAMED: &str = "OpenTelemetry span status error";
/// Where instrumentations write an HTTP status.
const STATUS_KEYS: [&str; 7] = [
    "$ai_http_status",
    "http.response.status_code",
    "http.status_code",
    "http.status",
    "status_code",
    "error.status_code",
    "exception.status_code",
];

/// Adds `$ai_is_error`, `$ai_error` and `$ai_http_status` for a failed span. What the span says itself stays.
pub(super) fn describe(span: &Span, properties: &mut Map<String, Value>) {
    let Some(status) = span.status.as_ref().filter(|status| status.code == ERROR) else { return };
    let exception = span.events.iter().rev().find(|event| is_exception(event));
    let exception = exception.map(|event| any_value::object(&event.attributes)).unwrap_or_default();
    properties.insert("$ai_is_error".to_owned(), Value::Bool(true));
    let error = || {
        let written = (!status.message.is_empty()).then(|| status.message.clone());
        message(&exception).or(written).unwrap_or_else(|| UNNAMED.to_owned())
    };
    if !properties.contains_key("$ai_error") {
        properties.insert("$ai_error".to_owned(), Value::String(error()));
    }
    if !properties.contains_key("$ai_http_status") {
        let text = |key: &str| exception.get(key).and_then(Value::as_str).and_then(status_in_text);
        let code = status_in(&exception)
            .or_else(|| text("exception.message"))
            .or_else(|| text("error.message"))
            .or_else(|| status_in(properties))
            .or_else(|| status_in_text(&status.message));
        properties.insert("$ai_http_status".to_owned(), Value::from(code.unwrap_or(500)));
    }
}

fn is_exception(event: &SpanEvent) -> bool {
    let named = |key: &str| event.attributes.iter().any(|attribute| attribute.key == key);
    event.name == "exception" || named("exception.message") || named("exception.type")
}

fn message(exception: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| exception.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("exception.type"), text("exception.message")) {
        (Some(kind), Some(message)) => Some(format!("{kind}: {message}")),
        (kind, message) => message.or(kind).map(str::to_owned),
    }
}

fn status_in(values: &Map<String, Value>) -> Option<u64> {
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    STATUS_KEYS.iter().find_map(|key| number(values.get(*key)?).filter(|code| is_status(*code)))
}

fn is_status(code: u64) -> bool {
    (100..600).contains(&code)
}

/// The first three-digit status within forty characters after the word "http" or "status".
fn status_in_text(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    ["http", "status"].iter().find_map(|word| {
        lower.match_indices(word).find_map(|(at, _)| {
            let window: String = text[at + word.len()..].chars().take(40).collect();
            let mut numbers = window.split(|c: char| !c.is_ascii_digit()).filter(|digits| digits.len() == 3);
            numbers.find_map(|digits| digits.parse().ok().filter(|code| is_status(*code)))
        })
    })
}
