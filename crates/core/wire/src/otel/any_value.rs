//! Attributes as JSON.

use super::proto::{AnyValue, KeyValue, Kind};
use serde_json::{Map, Number, Value};

/// Lists and objects inside each other; deeper ones become `null`.
const DEPTH: usize = 24;

/// The attributes as a JSON object. Those without value are left out; of a repeated key the last counts.
pub(super) fn object(attributes: &[KeyValue]) -> Map<String, Value> {
    entries(attributes, DEPTH)
}

/// The text of attribute `key`, unless blank.
pub(super) fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let attribute = attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.kind.as_ref()? {
        Kind::Text(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}

fn entries(attributes: &[KeyValue], depth: usize) -> Map<String, Value> {
    let pair = |attribute: &KeyValue| Some((attribute.key.clone(), value(attribute.value.as_ref()?, depth)?));
    attributes.iter().filter_map(pair).collect()
}

fn value(any: &AnyValue, depth: usize) -> Option<Value> {
    Some(match any.kind.as_ref()? {
        Kind::Text(text) => Value::String(text.clone()),
        Kind::Bool(flag) => Value::Bool(*flag),
        Kind::Int(int) => Value::Number((*int).into()),
        Kind::Double(double) => Number::from_f64(*double).map_or(Value::Null, Value::Number),
        Kind::Bytes(bytes) => Value::String(hex(bytes)),
        Kind::Array(_) | Kind::Object(_) if depth == 0 => Value::Null,
        Kind::Array(array) => array.values.iter().filter_map(|any| value(any, depth - 1)).collect(),
        Kind::Object(object) => Value::Object(entries(&object.values, depth - 1)),
    })
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
