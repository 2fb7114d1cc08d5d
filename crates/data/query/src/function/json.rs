//! `json_text`: one value of a JSON text, as text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::{
    common::{Result, ScalarValue, exec_err, plan_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};
use jiter::{Jiter, Peek};

use super::JSON_TEXT;

/// A string gives its content, a number or truth value its text, a list or object its JSON text;
/// null and absent give NULL, and so does text that is not JSON.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct JsonText {
    signature: Signature,
}

impl JsonText {
    pub(super) fn new() -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for JsonText {
    fn name(&self) -> &str {
        JSON_TEXT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        let textual = |kind: &DataType| kind.is_string() || kind.is_null();
        match kinds {
            [json, _, ..] if textual(json) => Ok(DataType::Utf8View),
            [other, ..] => plan_err!("Properties are read from JSON text, this column is {other}"),
            [] => plan_err!("json_text takes a JSON column and at least one key"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((json, keys)) = args.args.split_first() else {
            return exec_err!("json_text takes arguments");
        };
        let keys: Vec<String> = keys.iter().map(key).collect::<Result<_>>()?;
        match json {
            ColumnarValue::Scalar(scalar) => {
                let found = scalar.try_as_str().flatten().and_then(|text| with(text, &keys, str::to_owned));
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(found)))
            }
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(column(array, &keys)?)),
        }
    }
}

fn key(value: &ColumnarValue) -> Result<String> {
    match value {
        ColumnarValue::Scalar(ScalarValue::Int64(Some(position))) => Ok(position.to_string()),
        ColumnarValue::Scalar(scalar) => match scalar.try_as_str().flatten() {
            Some(key) => Ok(key.to_owned()),
            None => exec_err!("A property name is a text"),
        },
        ColumnarValue::Array(_) => exec_err!("A property name is a text, not a column"),
    }
}

fn column(array: &ArrayRef, keys: &[String]) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Utf8View => all(array.as_string_view().iter(), keys),
        DataType::Utf8 => all(array.as_string::<i32>().iter(), keys),
        DataType::LargeUtf8 => all(array.as_string::<i64>().iter(), keys),
        _ => all((0..array.len()).map(|_| None), keys),
    })
}

fn all<'a>(texts: impl ExactSizeIterator<Item = Option<&'a str>>, keys: &[String]) -> ArrayRef {
    // Most columns of properties hold few different values: equal ones share their bytes.
    let mut out = StringViewBuilder::with_capacity(texts.len()).with_deduplicate_strings();
    for text in texts {
        let found = text.and_then(|text| with(text, keys, |value| out.append_value(value)));
        if found.is_none() {
            out.append_null();
        }
    }
    Arc::new(out.finish())
}

/// Finds the value under `keys` and gives its text to `take`.
fn with<R>(text: &str, keys: &[String], take: impl FnOnce(&str) -> R) -> Option<R> {
    let mut json = Jiter::new(text.as_bytes());
    let mut peek = json.peek().ok()?;
    for key in keys {
        peek = match peek {
            Peek::Object => member(&mut json, key)?,
            Peek::Array => element(&mut json, key)?,
            _ => return None,
        };
    }
    match peek {
        Peek::Null => None,
        Peek::String => Some(take(json.known_str().ok()?)),
        other => {
            let start = json.current_index();
            json.known_skip(other).ok()?;
            std::str::from_utf8(json.slice_to_current(start)).ok().map(|value| take(value.trim_ascii_end()))
        }
    }
}

fn member(json: &mut Jiter<'_>, wanted: &str) -> Option<Peek> {
    let mut found = json.known_object().ok()? == Some(wanted);
    loop {
        if found {
            return json.peek().ok();
        }
        json.next_skip().ok()?;
        match json.next_key().ok()? {
            Some(key) => found = key == wanted,
            None => return None,
        }
    }
}

/// Positions count from one.
fn element(json: &mut Jiter<'_>, wanted: &str) -> Option<Peek> {
    let position: usize = wanted.parse().ok()?;
    let mut peek = json.known_array().ok()??;
    for _ in 1..position.checked_sub(1)? + 1 {
        json.known_skip(peek).ok()?;
        peek = json.array_step().ok()??;
    }
    Some(peek)
}

#[cfg(test)]
mod tests {
    use super::with;

    #[test]
    fn values_are_found_by_exact_key() {
        let json = r#"{"$browser":"Chrome","a.b":1,"a":{"b":[10,{"c":true}],"d":null},"n":1.50,"q":"say \"hi\"",
            "u":"\u00e9","$lib":{},"empty":"","big":12345678901234567890}"#;
        let cases: [(&[&str], Option<&str>); 16] = [
            (&["$browser"], Some("Chrome")),
            (&["a.b"], Some("1")),
            (&["a", "b"], Some(r#"[10,{"c":true}]"#)),
            (&["a", "b", "1"], Some("10")),
            (&["a", "b", "2", "c"], Some("true")),
            (&["a", "b", "3"], None),
            (&["a", "b", "0"], None),
            (&["a", "d"], None),
            (&["a", "x"], None),
            (&["n"], Some("1.50")),
            (&["q"], Some("say \"hi\"")),
            (&["u"], Some("é")),
            (&["$lib"], Some("{}")),
            (&["$lib", "x"], None),
            (&["empty"], Some("")),
            (&["big"], Some("12345678901234567890")),
        ];
        for (path, want) in cases {
            let keys: Vec<String> = path.iter().map(ToString::to_string).collect();
            assert_eq!(with(json, &keys, str::to_owned).as_deref(), want, "{path:?}");
        }
        for broken in ["", "{", "[", "nope", "{\"a\"", "{}"] {
            assert_eq!(with(broken, &["a".to_owned()], str::to_owned), None, "{broken}");
        }
    }
}
