//! The SQL functions of our own.

mod bounded;
mod extreme;
mod json;
mod now;
mod read;

use std::sync::Arc;

use datafusion::{
    execution::SessionStateBuilder,
    logical_expr::{AggregateUDF, ScalarUDF},
};

pub(crate) use now::at as now_at;

/// Name of the function that reads a value of a JSON text.
pub(crate) const JSON_TEXT: &str = "json_text";
/// Name of the function that reads text as a number.
pub(crate) const TO_FLOAT: &str = "tofloat";

/// Reads a value of a JSON text: `json_text(column, key, ...)`.
pub(crate) fn json_text() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(json::JsonText::new()))
}

/// Reads text as a number, NULL when it is none; numbers pass unchanged.
pub(crate) fn to_float() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(read::Read::number()))
}

/// `min` (or `max`, when `greatest`) of properties: numbers by value, texts by their letters.
pub(crate) fn extreme(greatest: bool) -> Arc<AggregateUDF> {
    Arc::new(extreme::of(greatest))
}

/// Reads text as true or false, NULL when it is neither; truth values pass unchanged.
pub(crate) fn to_bool() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(read::Read::truth()))
}

/// Adds our functions to a session and bounds those of the engine that make long values of short ones.
pub(crate) fn register(builder: &mut SessionStateBuilder) {
    let functions = builder.scalar_functions().get_or_insert_default();
    for function in functions.iter_mut() {
        if let Some(bounded) = bounded::bound(function) {
            *function = bounded;
        }
    }
    functions.extend([json_text(), to_float(), to_bool()]);
}
