//! Bounds functions whose result can be much longer than their arguments: it is made outside the
//! memory pool and in one stretch, so that a single call could exhaust the machine.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::{cast, concat},
    datatypes::{DataType, FieldRef, Float64Type, IntervalMonthDayNanoType, TimeUnit},
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature},
};

/// Bytes or elements that one stretch of work may make.
const STRETCH: f64 = 16e6;
/// Bytes that one call may make for one batch of rows.
const BATCH: usize = 128 << 20;
/// Bytes or elements of a constant: each row of an answer may get a copy of it.
const CONSTANT: f64 = 65_536.0;

/// How the size of a result follows from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Size {
    /// Argument 0 as often as argument 1 says.
    Times,
    /// Argument 1 is the length; argument 2 fills it.
    Length,
    /// From argument 0 to argument 1 (or from nothing to argument 0) in steps of argument 2.
    Steps,
    /// Argument 0 with argument 2 in place of each argument 1.
    Replace,
    /// Argument 0 with argument 2 in place of each match, and a match may be empty.
    Match,
    /// All arguments, one behind the other.
    Sum,
    /// Work, not bytes: each character of argument 0 meets each of argument 1.
    Table,
}

fn size_of(name: &str) -> Option<Size> {
    Some(match name {
        "repeat" | "array_repeat" => Size::Times,
        "lpad" | "rpad" | "array_resize" => Size::Length,
        "range" | "generate_series" => Size::Steps,
        "replace" => Size::Replace,
        "regexp_replace" => Size::Match,
        "concat" | "concat_ws" | "array_concat" | "encode" | super::JOIN_TEXT => Size::Sum,
        "levenshtein" => Size::Table,
        _ => return None,
    })
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
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let sizes = self.size.of(&args.args, rows)?;
        let most = if constant && self.size != Size::Table { CONSTANT } else { STRETCH };
        if let Some(size) = sizes.iter().find(|size| **size > most) {
            return exec_err!(
                "{}() would make a value of about {size:.0} parts; at most {most:.0} are accepted",
                self.name()
            );
        }
        if sizes.iter().sum::<f64>() <= STRETCH {
            return self.inner.invoke_with_args(args);
        }
        self.in_stretches(&args, &sizes)
    }
}

impl Bounded {
    /// Calls the function for so few rows at a time that no stretch can make too much, and stops
    /// when what was really made is too much.
    fn in_stretches(&self, args: &ScalarFunctionArgs, sizes: &[f64]) -> Result<ColumnarValue> {
        let (mut made, mut bytes, mut from) = (Vec::new(), 0, 0);
        while from < sizes.len() {
            let mut size = sizes[from];
            let mut to = from + 1;
            while to < sizes.len() && size + sizes[to] <= STRETCH {
                size += sizes[to];
                to += 1;
            }
            let part = self.inner.invoke_with_args(sliced(args, from, to - from))?.into_array(to - from)?;
            bytes += part.to_data().get_slice_memory_size().unwrap_or(0);
            if bytes > BATCH {
                return exec_err!(
                    "{}() made more than {} MB at once; select fewer rows",
                    self.name(),
                    BATCH >> 20
                );
            }
            made.push(part);
            from = to;
        }
        let parts: Vec<&dyn Array> = made.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&parts)?))
    }
}

fn sliced(args: &ScalarFunctionArgs, from: usize, rows: usize) -> ScalarFunctionArgs {
    let mut part = args.clone();
    part.number_rows = rows;
    for arg in &mut part.args {
        if let ColumnarValue::Array(array) = arg {
            *arg = ColumnarValue::Array(array.slice(from, rows));
        }
    }
    part
}

impl Size {
    /// The parts that one call makes, row by row.
    fn of(self, args: &[ColumnarValue], rows: usize) -> Result<Vec<f64>> {
        let arrays: Vec<ArrayRef> =
            args.iter().map(|arg| arg.clone().into_array(rows)).collect::<Result<_>>()?;
        let weights: Vec<Vec<f64>> = arrays.iter().map(weights).collect::<Result<_>>()?;
        let numbers: Vec<Vec<f64>> = arrays.iter().map(numbers).collect::<Result<_>>()?;
        let weight = |at: usize, row: usize| weights.get(at).map_or(0.0, |column| column[row]);
        let number = |at: usize, row: usize| numbers.get(at).map_or(0.0, |column| column[row]);
        let one_row = |row: usize| match self {
            Self::Times => weight(0, row).max(1.0) * number(1, row).max(0.0),
            Self::Length => weight(0, row).max(number(1, row).max(0.0) * weight(2, row).max(1.0)),
            Self::Replace => weight(0, row) * (1.0 + weight(2, row) / weight(1, row).max(1.0)),
            Self::Match => (weight(0, row) + 1.0) * (weight(2, row) + 1.0),
            Self::Sum => (0..weights.len()).map(|at| weight(at, row)).sum(),
            Self::Table => weight(0, row) * weight(1, row) / 64.0,
            Self::Steps if numbers.len() < 2 => number(0, row).abs(),
            Self::Steps if numbers.len() < 3 => (number(1, row) - number(0, row)).abs(),
            Self::Steps => ((number(1, row) - number(0, row)) / number(2, row)).abs(),
        };
        Ok((0..rows).map(one_row).map(|size| if size.is_nan() { 0.0 } else { size }).collect())
    }
}

/// Bytes of each value: of a text exactly, of anything else on average.
fn weights(array: &ArrayRef) -> Result<Vec<f64>> {
    if array.data_type().is_string() {
        let texts = cast(array, &DataType::LargeUtf8)?;
        let texts = texts.as_string::<i64>();
        return Ok((0..texts.len()).map(|row| texts.value_length(row) as f64).collect());
    }
    let bytes = array.to_data().get_slice_memory_size().unwrap_or(0);
    Ok(vec![bytes as f64 / array.len().max(1) as f64; array.len()])
}

/// Each value as a number: a time or a span of time in microseconds.
fn numbers(array: &ArrayRef) -> Result<Vec<f64>> {
    let plain = match array.data_type() {
        kind if kind.is_numeric() => Arc::clone(array),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
            cast(&micros, &DataType::Int64)?
        }
        DataType::Interval(_) => return spans(array),
        _ => return Ok(vec![0.0; array.len()]),
    };
    let values = cast(&plain, &DataType::Float64)?;
    Ok(values.as_primitive::<Float64Type>().iter().map(|value| value.unwrap_or(0.0)).collect())
}

fn spans(array: &ArrayRef) -> Result<Vec<f64>> {
    const DAY: f64 = 86_400e6;
    let Some(spans) = array.as_primitive_opt::<IntervalMonthDayNanoType>() else {
        return Ok(vec![DAY; array.len()]);
    };
    let micros = |span: arrow::datatypes::IntervalMonthDayNano| {
        f64::from(span.months) * 30.0 * DAY + f64::from(span.days) * DAY + span.nanoseconds as f64 / 1e3
    };
    Ok(spans.iter().map(|span| span.map_or(DAY, micros)).collect())
}
