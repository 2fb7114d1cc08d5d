//! Numbers in properties and filters.

use serde_json::Value;

/// A number, or text that is one.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A pair of numbers, the lower one first.
pub(crate) fn range(value: &Value) -> Option<(f64, f64)> {
    let [low, high] = value.as_array()?.as_slice() else { return None };
    let (low, high) = (number(low)?, number(high)?);
    (low <= high).then_some((low, high))
}
