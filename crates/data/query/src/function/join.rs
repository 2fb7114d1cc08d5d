//! `join_text`: what `||` means between texts.

use std::sync::Arc;

use arrow::{
    array::{AsArray, StringViewBuilder},
    compute::cast,
    datatypes::DataType,
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

use super::JOIN_TEXT;

/// The first text with the second behind it; NULL when either is NULL. The engine's own operator
/// does the same without a bound on the length.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Join {
    signature: Signature,
}

impl Join {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Join {
    fn name(&self) -> &str {
        JOIN_TEXT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let [first, second] = args.args.as_slice() else { return exec_err!("|| takes two values") };
        let texts = |value: &ColumnarValue| -> Result<_> {
            Ok(cast(&value.clone().into_array(rows)?, &DataType::Utf8View)?)
        };
        let (first, second) = (texts(first)?, texts(second)?);
        let mut out = StringViewBuilder::with_capacity(rows);
        let mut both = String::new();
        for pair in first.as_string_view().iter().zip(second.as_string_view()) {
            let (Some(first), Some(second)) = pair else {
                out.append_null();
                continue;
            };
            both.clear();
            both.push_str(first);
            both.push_str(second);
            out.append_value(&both);
        }
        let joined = out.finish();
        if constant {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&joined, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(joined)))
    }
}
