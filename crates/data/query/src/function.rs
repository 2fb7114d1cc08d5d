//! The SQL functions of our own.

mod bounded;
mod channel;
mod datetime;
mod extreme;
mod join;
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
/// Name of the function that reads text or seconds as an instant.
pub(crate) const TO_DATETIME: &str = "todatetime";
/// Name of the function that measures the distance between two instants.
const DATE_DIFF: &str = "datediff";
/// Name of the function that puts one text behind another.
const JOIN_TEXT: &str = "join_text";

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

/// Puts one text behind another: `a || b`.
pub(crate) fn join_text() -> Arc<ScalarUDF> {
    let join = Arc::new(ScalarUDF::from(join::Join::new()));
    bounded::bound(&join).unwrap_or(join)
}

/// Adds our functions to a session and bounds those of the engine that make long values of short ones.
pub(crate) fn register(builder: &mut SessionStateBuilder) {
    let functions = builder.scalar_functions().get_or_insert_default();
    for function in functions.iter_mut() {
        if let Some(bounded) = bounded::bound(function) {
            *function = bounded;
        }
    }
    let to_datetime = Arc::new(ScalarUDF::from(datetime::ToDateTime::new()));
    let date_diff = Arc::new(ScalarUDF::from(datetime::DateDiff::new()));
    let channel = Arc::new(ScalarUDF::from(channel::ChannelType::new()));
    functions.extend([channel, json_text(), to_float(), to_bool(), join_text(), to_datetime, date_diff]);
}
