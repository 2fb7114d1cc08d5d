//! Bounds functions that make a long value of a short one: their result is made outside the
//! memory pool, so that a single call could exhaust the machine.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, FieldRef, Float64Type},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature},
};

/// Bytes, characters or elements that one call may make for one batch of rows.
const MOST: f64 = 16_000_000.0;

/// How the size of a result follows from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Size {
    /// Argument 0 as often as argument 1 says.
    Times,
    /// Argument 1 is the length.
    Length,
    /// From argument 0 to argument 1 (or from nothing to argument 0) in steps of argument 2.
    Steps,
    /// As long as argument 0, once for each of its characters, with argument 2 put in.
    Replace,
}

fn size_of(name: &str) -> Option<Size> {
    match name {
        "repeat" => Some(Size::Times),
        "array_repeat" | "list_repeat" => Some(Size::Length),
        "lpad" | "rpad" | "array_resize" | "list_resize" => Some(Size::Length),
        "range" | "generate_series" => Some(Size::Steps),
        "replace" => Some(Size::Replace),
        _ => None,
    }
}

/// The bounded form of `function`, or `None` when it needs none.
pub(super) fn bound(function: &Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    let size = size_of(function.name())?;
    Some(Arc::new(ScalarUDF::from(Bounded { inner: Arc::clone(function), size })))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    size: Size,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, kinds: &[DataType]) -> Result<DataType> {
        self.inner.return_type(kinds)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, kinds: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(kinds)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let made = self.size.of(&args.args, args.number_rows)?;
        if made > MOST {
            return exec_err!(
                "{}() would make a value of about {made:.0} parts; at most {MOST:.0} are accepted",
                self.name()
            );
        }
        self.inner.invoke_with_args(args)
    }
}

impl Size {
    /// The parts that one call makes, summed over its rows.
    fn of(self, args: &[ColumnarValue], rows: usize) -> Result<f64> {
        let column = |at: usize| args.get(at).map(|arg| numbers(arg, rows, self)).transpose();
        let (first, second, third) = (column(0)?, column(1)?, column(2)?);
        let at = |column: &Option<Vec<f64>>, row: usize, other: f64| {
            column.as_ref().and_then(|values| values.get(row).copied()).unwrap_or(other)
        };
        let one_row = |row: usize| match self {
            Self::Times => at(&first, row, 0.0) * at(&second, row, 0.0).max(0.0),
            Self::Length => at(&second, row, 0.0).max(at(&first, row, 0.0)).max(0.0),
            Self::Replace => at(&first, row, 0.0) * at(&third, row, 0.0),
            Self::Steps => {
                let (from, to) = match second {
                    Some(_) => (at(&first, row, 0.0), at(&second, row, 0.0)),
                    None => (0.0, at(&first, row, 0.0)),
                };
                ((to - from) / at(&third, row, 1.0)).abs()
            }
        };
        let total = (0..rows.max(1)).map(one_row).filter(|size| !size.is_nan()).sum();
        Ok(total)
    }
}

/// An argument as numbers: a number itself, a text by its length.
fn numbers(arg: &ColumnarValue, rows: usize, size: Size) -> Result<Vec<f64>> {
    let array: ArrayRef = match arg {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(scalar) => scalar.to_array_of_size(rows.max(1))?,
    };
    if array.data_type().is_string() {
        let lengths = cast(&array, &DataType::LargeUtf8)?;
        let text = lengths.as_string::<i64>();
        return Ok((0..text.len()).map(|row| text.value_length(row) as f64).collect());
    }
    if array.data_type().is_numeric() {
        let values = cast(&array, &DataType::Float64)?;
        return Ok(values.as_primitive::<Float64Type>().iter().map(|value| value.unwrap_or(0.0)).collect());
    }
    if matches!(array.data_type(), DataType::Interval(_)) && size == Size::Steps {
        return Ok((0..array.len()).map(|_| 3_600_000_000.0).collect());
    }
    Ok(vec![0.0; array.len()])
}
