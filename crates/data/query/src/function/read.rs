//! `tofloat` and `tobool`: text as the value it spells.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array},
    datatypes::DataType,
};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};

use super::TO_FLOAT;

/// What the text should spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wanted {
    Number,
    Truth,
}

/// Reads text; other types pass unchanged, so that a number stays exactly the number it is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Read {
    wanted: Wanted,
    signature: Signature,
}

impl Read {
    pub(super) fn number() -> Self {
        Self { wanted: Wanted::Number, signature: Signature::any(1, Volatility::Immutable) }
    }

    pub(super) fn truth() -> Self {
        Self { wanted: Wanted::Truth, signature: Signature::any(1, Volatility::Immutable) }
    }

    fn gives(&self) -> DataType {
        match self.wanted {
            Wanted::Number => DataType::Float64,
            Wanted::Truth => DataType::Boolean,
        }
    }

    fn array(&self, array: &ArrayRef) -> Result<ArrayRef> {
        Ok(match array.data_type() {
            DataType::Utf8View => self.texts(array.as_string_view().iter()),
            DataType::Utf8 => self.texts(array.as_string::<i32>().iter()),
            DataType::LargeUtf8 => self.texts(array.as_string::<i64>().iter()),
            DataType::Null => arrow::array::new_null_array(&self.gives(), array.len()),
            DataType::Boolean if self.wanted == Wanted::Number => {
                arrow::compute::cast(array, &DataType::Float64)?
            }
            _ => Arc::clone(array),
        })
    }

    fn texts<'a>(&self, texts: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
        match self.wanted {
            Wanted::Number => Arc::new(texts.map(|text| text.and_then(number)).collect::<Float64Array>()),
            Wanted::Truth => Arc::new(texts.map(|text| text.and_then(truth)).collect::<BooleanArray>()),
        }
    }
}

impl ScalarUDFImpl for Read {
    fn name(&self) -> &str {
        match self.wanted {
            Wanted::Number => TO_FLOAT,
            Wanted::Truth => "tobool",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        Ok(match kinds {
            [kind] if kind.is_string() || kind.is_null() => self.gives(),
            [DataType::Boolean] => self.gives(),
            [kind] => kind.clone(),
            _ => self.gives(),
        })
    }

    fn simplify(&self, mut args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let kind = info.get_data_type(&args[0])?;
        let passes = !kind.is_string()
            && !kind.is_null()
            && (kind != DataType::Boolean || self.wanted == Wanted::Truth);
        if passes {
            return Ok(ExprSimplifyResult::Simplified(args.remove(0)));
        }
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(match &args.args[0] {
            ColumnarValue::Array(array) => ColumnarValue::Array(self.array(array)?),
            ColumnarValue::Scalar(scalar) => {
                let array = self.array(&scalar.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
            }
        })
    }
}

/// The finite number that `text` spells.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let spelt = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.'));
    let value: f64 = spelt.then(|| text.parse().ok())??;
    value.is_finite().then_some(value)
}

fn truth(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "TRUE" | "1" => Some(true),
        "false" | "False" | "FALSE" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{number, truth};

    #[test]
    fn text_is_read_or_null() {
        for (text, want) in [
            ("10", Some(10.0)),
            (" -1.5e3 ", Some(-1500.0)),
            ("", None),
            ("abc", None),
            ("inf", None),
            ("nan", None),
            ("-inf", None),
            ("1e999", None),
            ("12px", None),
            ("true", None),
        ] {
            assert_eq!(number(text), want, "{text}");
        }
        assert_eq!((truth("true"), truth("False"), truth("yes")), (Some(true), Some(false), None));
    }
}
