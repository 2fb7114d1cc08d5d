//! `now()`: the time the question is asked at, in the unit and zone of the tables.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
        Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};
use jiff::Timestamp;

/// A function that gives one fixed instant. Having exactly the type of the tables' timestamps it
/// needs no conversion of columns, so that files can be skipped by their bounds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Now {
    micros: i64,
    aliases: Vec<String>,
    signature: Signature,
}

/// `now()` and its aliases as of `at`.
pub(crate) fn at(at: Timestamp) -> ScalarUDF {
    ScalarUDF::from(Now {
        micros: at.as_microsecond(),
        aliases: vec!["current_timestamp".to_owned(), "now64".to_owned()],
        signature: Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::Any(1)], Volatility::Stable),
    })
}

impl Now {
    fn value(&self) -> ScalarValue {
        ScalarValue::TimestampMicrosecond(Some(self.micros), Some("+00:00".into()))
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())))
    }

    fn simplify(&self, _: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(self.value(), None)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value()))
    }
}
