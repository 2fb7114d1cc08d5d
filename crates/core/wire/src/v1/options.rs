//! The `options` of a v1 event.

use crate::object;
use serde_json::value::RawValue;

/// The options that mean something, as far as they were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Becomes `$cookieless_mode`.
    pub cookieless_mode: Option<bool>,
    /// Believe the event's own time as it is; becomes `$ignore_sent_at`.
    pub disable_skew_correction: Option<bool>,
    /// Becomes `$process_person_profile`.
    pub process_person_profile: Option<bool>,
    /// Becomes `$product_tour_id`.
    pub product_tour_id: Option<String>,
}

impl Options {
    /// Reads options; `None` when they are no object or one of them has no usable value.
    ///
    /// Booleans may also be `"true"`, `"false"`, `"1"`, `"0"` or a number; an id may be a whole number;
    /// `null` is as good as absent; unknown options are left alone.
    pub fn read(raw: Option<&RawValue>) -> Option<Self> {
        let mut options = Self::default();
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Some(options) };
        for (name, value) in object::entries(raw)? {
            match name.as_ref() {
                "cookieless_mode" => options.cookieless_mode = unless_null(value, boolean)?,
                "disable_skew_correction" => options.disable_skew_correction = unless_null(value, boolean)?,
                "process_person_profile" => options.process_person_profile = unless_null(value, boolean)?,
                "product_tour_id" => options.product_tour_id = unless_null(value, id)?,
                _ => {}
            }
        }
        Some(options)
    }
}

fn unless_null<T>(value: &RawValue, read: impl Fn(&RawValue) -> Option<T>) -> Option<Option<T>> {
    if value.get() == "null" { Some(None) } else { read(value).map(Some) }
}

fn boolean(value: &RawValue) -> Option<bool> {
    if let Some(text) = object::string(value) {
        return match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        };
    }
    match value.get() {
        "true" => Some(true),
        "false" => Some(false),
        text => text.parse::<f64>().ok().map(|number| number != 0.0),
    }
}

fn id(value: &RawValue) -> Option<String> {
    if let Some(text) = object::string(value) {
        return Some(text.into_owned());
    }
    let text = value.get();
    let whole = text.parse::<i64>().map(|number| number.to_string());
    whole.or_else(|_| text.parse::<u64>().map(|number| number.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn read(json: &str) -> Option<Options> {
        Options::read(Some(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn coercion() {
        for (json, expected) in [
            ("true", Some(true)),
            ("false", Some(false)),
            ("\" TRUE \"", Some(true)),
            ("\"0\"", Some(false)),
            ("\"1\"", Some(true)),
            ("1", Some(true)),
            ("0.0", Some(false)),
            ("-2", Some(true)),
            ("null", None),
        ] {
            for name in ["cookieless_mode", "disable_skew_correction", "process_person_profile"] {
                let options = read(&format!("{{\"{name}\":{json}}}")).unwrap();
                let got = options
                    .cookieless_mode
                    .or(options.disable_skew_correction)
                    .or(options.process_person_profile);
                assert_eq!(got, expected, "{name} {json}");
            }
        }
        for json in ["\"yes\"", "\"\"", "[]", "{}"] {
            assert_eq!(read(&format!("{{\"cookieless_mode\":{json}}}")), None, "{json}");
        }
        for (json, expected) in
            [("\"a\"", "a"), ("17", "17"), ("-3", "-3"), ("18446744073709551615", "18446744073709551615")]
        {
            assert_eq!(
                read(&format!("{{\"product_tour_id\":{json}}}")).unwrap().product_tour_id.unwrap(),
                expected
            );
        }
        for json in ["1.5", "true", "[]"] {
            assert_eq!(read(&format!("{{\"product_tour_id\":{json}}}")), None, "{json}");
        }
    }

    #[test]
    fn shapes() {
        assert_eq!(Options::read(None), Some(Options::default()));
        for json in ["null", "{}", "{\"other\":[1]}", "{\"cookieless_mode\":null}"] {
            assert_eq!(read(json), Some(Options::default()), "{json}");
        }
        for json in ["[]", "true", "\"x\"", "3"] {
            assert_eq!(read(json), None, "{json}");
        }
        // the last one counts
        assert_eq!(
            read("{\"cookieless_mode\":true,\"cookieless_mode\":false}").unwrap().cookieless_mode,
            Some(false)
        );
    }
}
