//! Prompts and answers, in the ways instrumentations write them.

use serde_json::{Map, Value, json};

const INPUT: &str = "$ai_input";
const OUTPUT: &str = "$ai_output_choices";
/// Longest text that is parsed as JSON here.
const PARSED_BYTES: usize = 500_000;
/// Depth of JSON found in text: what is made of it must stay within [`event::limit::JSON_DEPTH`].
const DEPTH: usize = 64;
/// Highest index of `gen_ai.prompt.<n>.`.
const INDEXED: usize = 1000;

/// Fills `$ai_input` and `$ai_output_choices` from the older forms, where they are not set, and takes those
/// forms out.
pub(super) fn collect(properties: &mut Map<String, Value>) {
    from_events(properties);
    from_indexed(properties, "gen_ai.prompt.", INPUT);
    from_indexed(properties, "gen_ai.completion.", OUTPUT);
    add_instructions(properties);
}

/// Parses text that holds JSON; any other value, and text that is none or nests too deep, stays.
pub(super) fn parsed(value: Value) -> Value {
    let Value::String(text) = value else { return value };
    match serde_json::from_str(&text) {
        Ok(value) if is_shallow(&value, DEPTH) => value,
        _ => Value::String(text),
    }
}

fn is_shallow(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left > 0 && items.iter().all(|item| is_shallow(item, left - 1)),
        Value::Object(map) => left > 0 && map.values().all(|item| is_shallow(item, left - 1)),
        _ => true,
    }
}

/// Messages that were events of the span, gathered in one attribute.
fn from_events(properties: &mut Map<String, Value>) {
    let Some(events) = properties.shift_remove("events") else { return };
    let too_long = events.as_str().is_some_and(|text| text.len() > PARSED_BYTES);
    let Value::Array(events) = (if too_long { Value::Null } else { parsed(events) }) else { return };
    let mut inputs: Vec<(Option<f64>, Value)> = Vec::new();
    let mut choices = Vec::new();
    for event in events {
        let Value::Object(event) = event else { continue };
        let role = match event.get("event.name").and_then(Value::as_str) {
            Some("gen_ai.system.message") => "system",
            Some("gen_ai.user.message") => "user",
            Some("gen_ai.assistant.message") => "assistant",
            Some("gen_ai.tool.message") => "tool",
            Some("gen_ai.choice") => {
                choices.extend(choice(&event));
                continue;
            }
            _ => continue,
        };
        let index = event.get("gen_ai.message.index").and_then(Value::as_f64);
        let mut message = picked(&event, &["content", "tool_calls", "tool_call_id"]);
        let role = event.get("role").and_then(Value::as_str).unwrap_or(role);
        message.shift_insert(0, "role".to_owned(), Value::String(role.to_owned()));
        inputs.push((index, Value::Object(message)));
    }
    if inputs.iter().all(|(index, _)| index.is_some()) {
        inputs.sort_by(|(a, _), (b, _)| a.unwrap_or(0.0).total_cmp(&b.unwrap_or(0.0)));
    }
    set(properties, INPUT, inputs.into_iter().map(|(_, message)| message).collect());
    set(properties, OUTPUT, choices);
}

fn choice(event: &Map<String, Value>) -> Option<Value> {
    if let Some(message @ Value::Object(_)) = event.get("message") {
        return Some(message.clone());
    }
    let message = picked(event, &["role", "content", "tool_calls"]);
    (!message.is_empty()).then_some(Value::Object(message))
}

fn picked(from: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    keys.iter().filter_map(|key| Some(((*key).to_owned(), from.get(*key)?.clone()))).collect()
}

/// OpenLLMetry: one attribute per field of a message, `gen_ai.prompt.0.role`.
fn from_indexed(properties: &mut Map<String, Value>, prefix: &str, target: &str) {
    let mut messages: Vec<(usize, Map<String, Value>)> = Vec::new();
    let mut taken = Vec::new();
    for (key, value) in properties.iter() {
        let Some((index, field)) = key.strip_prefix(prefix).and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        let Some(index) = index.parse().ok().filter(|index| *index <= INDEXED) else { continue };
        taken.push(key.clone());
        match messages.iter_mut().find(|(known, _)| *known == index) {
            Some((_, message)) => drop(message.insert(field.to_owned(), value.clone())),
            None => messages.push((index, Map::from_iter([(field.to_owned(), value.clone())]))),
        }
    }
    properties.retain(|key, _| !taken.contains(key));
    messages.sort_by_key(|(index, _)| *index);
    set(properties, target, messages.into_iter().map(|(_, message)| Value::Object(message)).collect());
}

/// A system prompt of its own becomes the first message.
fn add_instructions(properties: &mut Map<String, Value>) {
    let Some(written) = properties.shift_remove("gen_ai.system_instructions") else { return };
    if written.as_str().is_some_and(|text| text.len() > PARSED_BYTES) {
        return;
    }
    let text = match parsed(written) {
        Value::Null => return,
        Value::String(text) => text,
        Value::Array(parts) => {
            let text = |part: &Value| match part["type"].as_str() {
                Some("text") => part["content"].as_str().filter(|text| !text.is_empty()).map(str::to_owned),
                _ => None,
            };
            parts.iter().filter_map(text).collect::<Vec<_>>().join("\n\n")
        }
        other => other.to_string(),
    };
    if text.is_empty() {
        return;
    }
    let message = json!({"role": "system", "content": text});
    match properties.get_mut(INPUT) {
        None => drop(properties.insert(INPUT.to_owned(), Value::Array(vec![message]))),
        Some(Value::Array(messages)) if messages.first().is_none_or(|first| first["role"] != "system") => {
            messages.insert(0, message);
        }
        Some(_) => {}
    }
}

fn set(properties: &mut Map<String, Value>, key: &str, messages: Vec<Value>) {
    if !messages.is_empty() && !properties.contains_key(key) {
        properties.insert(key.to_owned(), Value::Array(messages));
    }
}
