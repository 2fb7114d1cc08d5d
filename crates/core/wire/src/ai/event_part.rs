//! Checks the event of a form and puts its properties in place.

use super::parsing;
use crate::object;
use event::{Rejection, name};
use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

type Entries<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Makes one v0 event of the event part and the properties part.
///
/// Values are copied as they are; only `properties` is moved, and gateway properties are left out.
pub(super) fn fold(event: &str, properties: Option<&str>) -> Result<String, Rejection> {
    let mut event = entries(event, "Event")?;
    let embedded = field(&event, "properties");
    if embedded.is_some() && properties.is_some() {
        return Err(parsing(
            "Event cannot have both embedded properties and a separate 'event.properties' part",
        ));
    }
    let properties = match (properties, embedded) {
        (Some(part), _) => entries(part, "Properties")?,
        (None, Some(raw)) => {
            object::entries(raw).ok_or_else(|| parsing("Event missing 'properties' field"))?
        }
        (None, None) => Vec::new(),
    };
    check_identity(&event)?;
    check_model(&properties)?;
    // The key of the header counts; another one in the body must not lead the event elsewhere.
    event.retain(|(name, _)| !matches!(name.as_ref(), "properties" | "token" | "$token" | "api_key"));
    let mut folded =
        String::with_capacity(event.iter().chain(&properties).map(|(_, raw)| raw.get().len() + 32).sum());
    folded.push('{');
    for (name, value) in &event {
        push(&mut folded, name, value.get());
    }
    folded.push_str("\"properties\":{");
    for (name, value) in properties.iter().filter(|(name, _)| name != "token" && !object::is_gateway(name)) {
        push(&mut folded, name, value.get());
    }
    if folded.ends_with(',') {
        folded.pop();
    }
    folded.push_str("}}");
    Ok(folded)
}

fn entries<'a>(text: &'a str, part: &str) -> Result<Entries<'a>, Rejection> {
    if let Some(entries) = object::entries_of(text) {
        return Ok(entries);
    }
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) if part == "Event" => Err(parsing("Event must be a JSON object")),
        Ok(_) => Err(parsing("Event missing 'properties' field")),
        Err(_) => Err(parsing(format!("{part} part must be valid JSON"))),
    }
}

fn field<'a>(entries: &Entries<'a>, wanted: &str) -> Option<&'a RawValue> {
    entries.iter().rev().find(|(name, _)| name == wanted).map(|(_, value)| *value)
}

fn check_identity(event: &Entries<'_>) -> Result<(), Rejection> {
    let text = |wanted| field(event, wanted).and_then(object::string);
    let event_name = text("event").ok_or_else(|| parsing("Event missing 'event' field"))?;
    if event_name.is_empty() {
        return Err(parsing("Event name cannot be empty"));
    }
    let distinct_id = text("distinct_id").ok_or_else(|| parsing("Event missing 'distinct_id' field"))?;
    if distinct_id.trim().is_empty() {
        return Err(parsing("distinct_id cannot be empty"));
    }
    let uuid = text("uuid").ok_or_else(|| parsing("Event UUID is required"))?;
    Uuid::parse_str(&uuid).map_err(|fault| parsing(format!("Invalid UUID format: {fault}")))?;
    if !name::event::AI.contains(&event_name.as_ref()) {
        let names = name::event::AI.join(", ");
        return Err(parsing(format!("Event name must be one of: {names}, got '{event_name}'")));
    }
    Ok(())
}

fn check_model(properties: &Entries<'_>) -> Result<(), Rejection> {
    let model =
        field(properties, "$ai_model").ok_or_else(|| parsing("Event properties must contain '$ai_model'"))?;
    let model = object::string(model).ok_or_else(|| parsing("$ai_model must be a string"))?;
    if model.is_empty() { Err(parsing("$ai_model cannot be empty")) } else { Ok(()) }
}

fn push(json: &mut String, name: &str, value: &str) {
    json.push_str(&serde_json::to_string(name).expect("a string is JSON"));
    json.push(':');
    json.push_str(value);
    json.push(',');
}
