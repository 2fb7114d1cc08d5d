//! `toDateTime` and `dateDiff`: instants from what is written, and the distance between two.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array},
    compute::{CastOptions, cast, cast_with_options, kernels::numeric::mul},
    datatypes::{DataType, TimeUnit, TimestampMicrosecondType},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    logical_expr::{
        Cast, ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{DATE_DIFF, TO_DATETIME};

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

/// An instant: text as it is written, a number as seconds since 1970.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ToDateTime {
    signature: Signature,
}

impl ToDateTime {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

fn to_instants(array: &ArrayRef) -> Result<ArrayRef> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    if !array.data_type().is_numeric() {
        return Ok(cast_with_options(array, &instant(), &strict)?);
    }
    let whole = array.data_type().is_integer();
    let (kind, factor): (_, ArrayRef) = if whole {
        (DataType::Int64, Arc::new(Int64Array::new_scalar(1_000_000).into_inner()))
    } else {
        (DataType::Float64, Arc::new(arrow::array::Float64Array::new_scalar(1e6).into_inner()))
    };
    let micros = mul(&cast_with_options(array, &kind, &strict)?, &arrow::array::Scalar::new(factor))?;
    Ok(cast(&cast_with_options(&micros, &DataType::Int64, &strict)?, &instant())?)
}

impl ScalarUDFImpl for ToDateTime {
    fn name(&self) -> &str {
        TO_DATETIME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(instant())
    }

    /// A plain conversion is one the planner can skip files by.
    fn simplify(&self, mut args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if info.get_data_type(&args[0])?.is_numeric() {
            return Ok(ExprSimplifyResult::Original(args));
        }
        let cast = Cast::new(Box::new(args.remove(0)), instant());
        Ok(ExprSimplifyResult::Simplified(Expr::Cast(cast)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(match &args.args[0] {
            ColumnarValue::Array(array) => ColumnarValue::Array(to_instants(array)?),
            ColumnarValue::Scalar(scalar) => {
                let array = to_instants(&scalar.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
            }
        })
    }
}

/// `dateDiff(unit, from, to)`: how many starts of a unit lie after `from` and not after `to`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DateDiff {
    signature: Signature,
}

impl DateDiff {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(3, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for DateDiff {
    fn name(&self) -> &str {
        DATE_DIFF
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(unit), from, to] = args.args.as_slice() else {
            return exec_err!("dateDiff takes a unit, written as a text, and two times");
        };
        let named = unit.try_as_str().flatten().map(str::to_lowercase);
        let Some(number) = named.as_deref().and_then(numbering) else {
            return exec_err!(
                "dateDiff counts seconds, minutes, hours, days, weeks, months, quarters or years"
            );
        };
        let instants = |value: &ColumnarValue| to_instants(&value.clone().into_array(args.number_rows)?);
        let (from, to) = (instants(from)?, instants(to)?);
        let pairs = from.as_primitive::<TimestampMicrosecondType>().iter();
        let pairs = pairs.zip(to.as_primitive::<TimestampMicrosecondType>());
        let far = pairs.map(|(from, to)| Some(number(to?)? - number(from?)?));
        Ok(ColumnarValue::Array(Arc::new(far.collect::<Int64Array>())))
    }
}

/// Which unit since 1970 an instant (in microseconds) lies in. Weeks begin on Monday.
fn numbering(unit: &str) -> Option<fn(i64) -> Option<i64>> {
    const SECOND: i64 = 1_000_000;
    const DAY: i64 = 86_400 * SECOND;
    fn months(at: i64) -> Option<i64> {
        let at: DateTime = Timestamp::from_microsecond(at).ok()?.to_zoned(TimeZone::UTC).datetime();
        Some(i64::from(at.year()) * 12 + i64::from(at.month()) - 1)
    }
    Some(match unit.trim_end_matches('s') {
        "second" => |at| Some(at.div_euclid(SECOND)),
        "minute" => |at| Some(at.div_euclid(60 * SECOND)),
        "hour" => |at| Some(at.div_euclid(3_600 * SECOND)),
        "day" => |at| Some(at.div_euclid(DAY)),
        "week" => |at| Some((at.div_euclid(DAY) + 3).div_euclid(7)),
        "month" => months,
        "quarter" => |at| Some(months(at)?.div_euclid(3)),
        "year" => |at| Some(months(at)?.div_euclid(12)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::numbering;

    #[test]
    fn starts_of_units_are_counted() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().expect("a time").as_microsecond();
        for (unit, from, to, want) in [
            ("second", "2026-01-01T00:00:00.9Z", "2026-01-01T00:00:01.1Z", 1),
            ("hours", "2026-01-01T00:59:59Z", "2026-01-01T01:00:00Z", 1),
            ("day", "2026-01-01T23:59:59Z", "2026-01-02T00:00:00Z", 1),
            ("day", "2026-01-02T00:00:00Z", "2026-01-01T23:59:59Z", -1),
            ("week", "2026-01-04T00:00:00Z", "2026-01-05T00:00:00Z", 1),
            ("week", "2026-01-05T00:00:00Z", "2026-01-11T23:00:00Z", 0),
            ("month", "2025-12-31T00:00:00Z", "2026-02-01T00:00:00Z", 2),
            ("quarter", "2025-12-31T00:00:00Z", "2026-04-01T00:00:00Z", 2),
            ("year", "2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z", 1),
            ("day", "1969-12-31T23:00:00Z", "1970-01-01T00:00:00Z", 1),
        ] {
            let number = numbering(unit).expect(unit);
            assert_eq!(
                number(at(to)).zip(number(at(from))).map(|(to, from)| to - from),
                Some(want),
                "{unit}"
            );
        }
        assert!(numbering("fortnight").is_none());
    }
}
