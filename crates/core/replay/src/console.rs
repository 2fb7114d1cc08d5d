//! Console calls found in a recording.

use crate::limit::{LOG_ARGUMENT_CHARS, cut};
use crate::object::{fields, string};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The three levels that are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// `log`, `info`, `debug` and everything unknown.
    Info,
    /// `warn`, `countReset`.
    Warn,
    /// `error`, `assert`.
    Error,
}

impl Level {
    /// The level of console method `name`.
    fn of(name: &str) -> Self {
        match name {
            "warn" | "countReset" => Self::Warn,
            "error" | "assert" => Self::Error,
            _ => Self::Info,
        }
    }
}

/// One console call.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// The arguments, joined by a space.
    pub message: String,
    /// When it happened, milliseconds since 1970 on the visitor's clock.
    pub timestamp_ms: i64,
}

/// Level and message of a console call's payload.
pub(crate) fn read(payload: &RawValue) -> (Level, String) {
    let [level, arguments] = fields(payload, ["level", "payload"]);
    let level = level.and_then(string).map_or(Level::Info, |name| Level::of(&name));
    let arguments: Vec<&RawValue> =
        arguments.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
    let mut message = String::new();
    for text in arguments.into_iter().filter_map(string) {
        if !message.is_empty() {
            message.push(' ');
        }
        message.push_str(cut(&text, LOG_ARGUMENT_CHARS));
    }
    (level, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        let cases = [
            (Level::Info, &["info", "log", "count", "timeEnd", "trace", "dir", "dirxml", "group"][..]),
            (Level::Info, &["groupCollapsed", "groupEnd", "debug", "timeLog", "something"][..]),
            (Level::Warn, &["warn", "countReset"][..]),
            (Level::Error, &["error", "assert"][..]),
        ];
        for (level, names) in cases {
            for name in names {
                let payload = format!(r#"{{"level":"{name}","trace":[],"payload":["a","b"]}}"#);
                assert_eq!(
                    read(serde_json::from_str(&payload).unwrap()),
                    (level, "a b".to_owned()),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn arguments_are_cut_and_others_than_strings_left_out() {
        let payload = format!(r#"{{"payload":["{}",1,null,"é"]}}"#, "x".repeat(4000));
        let (level, message) = read(serde_json::from_str(&payload).unwrap());
        assert_eq!(level, Level::Info);
        assert_eq!(message, format!("{} é", "x".repeat(2999)));
        for payload in ["null", "{}", r#"{"payload":"text"}"#, "[]"] {
            assert_eq!(read(serde_json::from_str(payload).unwrap()).1, "", "{payload}");
        }
    }
}
