//! Dead letters: what was accepted but cannot be folded, kept whole so that it can be looked at and sent again.

use crate::landing::Opened;
use identity::DeadLetter;
use serde_json::{Map, Value, json};
use table::{DeadLetterRow, Rows};

/// Keeps a whole request.
pub fn record(opened: &Opened, reason: &str, rows: &mut Rows) {
    telemetry::pump::dead_letters(1);
    tracing::warn!(reason, project = %opened.received.project, "an accepted request cannot be read; kept in dead_letter");
    rows.dead_letters.push(DeadLetterRow {
        reason: reason.to_owned(),
        step: "decode".to_owned(),
        payload: opened.json.clone(),
        event_uuid: None,
        event: None,
        distinct_id: None,
    });
}

/// Keeps one event that a rule set aside.
pub fn event(letter: &DeadLetter, rows: &mut Rows) {
    telemetry::pump::dead_letters(1);
    let event = &letter.event;
    let payload = json!({
        "uuid": event.uuid,
        "event": event.event,
        "distinct_id": event.distinct_id,
        "timestamp": event.timestamp,
        "properties": event.properties,
        "extra": Value::Object(if event.extra.is_empty() { Map::new() } else { event.extra.clone() }),
    });
    rows.dead_letters.push(DeadLetterRow {
        reason: letter.reason.to_owned(),
        step: letter.step.to_owned(),
        payload: payload.to_string(),
        event_uuid: Some(event.uuid),
        event: Some(event.event.clone()),
        distinct_id: Some(event.distinct_id.clone()),
    });
}
