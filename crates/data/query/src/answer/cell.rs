//! One value of a column, as JSON or as plain text.

use std::fmt::Write;

use arrow::{
    array::{Array, AsArray, cast::as_string_array},
    datatypes::{
        DataType, Date32Type, Date64Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
    util::display::{ArrayFormatter, FormatOptions},
};
use jiff::{SignedDuration, Timestamp, civil::Date};

/// Appends row `row` of `array` as a JSON value. Numbers that JSON cannot write become null.
pub(super) fn json(array: &dyn Array, row: usize, out: &mut String) {
    if array.is_null(row) || array.data_type().is_null() {
        out.push_str("null");
        return;
    }
    match array.data_type() {
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row), out),
        DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row)), out),
        DataType::Decimal128(..) => {
            out.push_str(&array.as_primitive::<Decimal128Type>().value_as_string(row));
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => list(array, row, out),
        DataType::Struct(_) => {
            let parts = array.as_struct();
            out.push('[');
            for (at, part) in parts.columns().iter().enumerate() {
                separate(at, out);
                json(part.as_ref(), row, out);
            }
            out.push(']');
        }
        DataType::Map(..) => map(array, row, out),
        DataType::Dictionary(..) => {
            let keys = array.as_any_dictionary();
            json(keys.values().as_ref(), keys.normalized_keys()[row], out);
        }
        kind if kind.is_integer() => integer(array, row, out),
        _ => {
            let mut plain = String::new();
            text(array, row, &mut plain);
            quoted(&plain, out);
        }
    }
}

/// Appends row `row` of `array` as plain text; NULL appends nothing and gives `false`.
pub(super) fn text(array: &dyn Array, row: usize, out: &mut String) -> bool {
    if array.is_null(row) || array.data_type().is_null() {
        return false;
    }
    match array.data_type() {
        DataType::Utf8 => out.push_str(as_string_array(array).value(row)),
        DataType::LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        DataType::Utf8View => out.push_str(array.as_string_view().value(row)),
        DataType::Timestamp(unit, _) => instant(array, row, *unit, out),
        DataType::Date32 => date(i64::from(array.as_primitive::<Date32Type>().value(row)), out),
        DataType::Date64 => date(array.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000), out),
        kind if kind.is_integer() || has_json_form(kind) => {
            json(array, row, out);
            unquote(array, row, out);
        }
        _ => shown(array, row, out),
    }
    true
}

/// Types that [`json`] writes itself; all others it takes from [`text`].
fn has_json_form(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Boolean
            | DataType::Float64
            | DataType::Float32
            | DataType::Decimal128(..)
            | DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..)
            | DataType::Dictionary(..)
    )
}

/// A dictionary of texts is text: takes the quotes off again.
fn unquote(array: &dyn Array, row: usize, out: &mut String) {
    if let DataType::Dictionary(_, values) = array.data_type()
        && values.is_string()
    {
        out.clear();
        let keys = array.as_any_dictionary();
        text(keys.values().as_ref(), keys.normalized_keys()[row], out);
    }
}

fn shown(array: &dyn Array, row: usize, out: &mut String) {
    if let Ok(formatter) = ArrayFormatter::try_new(array, &FormatOptions::default()) {
        let _ = write!(out, "{}", formatter.value(row));
    }
}

fn integer(array: &dyn Array, row: usize, out: &mut String) {
    let _ = match array.data_type() {
        DataType::Int8 => write!(out, "{}", array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => write!(out, "{}", array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => write!(out, "{}", array.as_primitive::<Int32Type>().value(row)),
        DataType::UInt8 => write!(out, "{}", array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => write!(out, "{}", array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => write!(out, "{}", array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => write!(out, "{}", array.as_primitive::<UInt64Type>().value(row)),
        _ => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
    };
}

fn float(value: f64, out: &mut String) {
    match serde_json::Number::from_f64(value) {
        Some(number) => {
            let _ = write!(out, "{number}");
        }
        None => out.push_str("null"),
    }
}

fn list(array: &dyn Array, row: usize, out: &mut String) {
    let items = match array.data_type() {
        DataType::LargeList(_) => array.as_list::<i64>().value(row),
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(row),
        _ => array.as_list::<i32>().value(row),
    };
    out.push('[');
    for at in 0..items.len() {
        separate(at, out);
        json(items.as_ref(), at, out);
    }
    out.push(']');
}

fn map(array: &dyn Array, row: usize, out: &mut String) {
    let entries = array.as_map().value(row);
    out.push('{');
    for at in 0..entries.len() {
        separate(at, out);
        let mut key = String::new();
        text(entries.column(0).as_ref(), at, &mut key);
        quoted(&key, out);
        out.push(':');
        json(entries.column(1).as_ref(), at, out);
    }
    out.push('}');
}

fn separate(at: usize, out: &mut String) {
    if at > 0 {
        out.push(',');
    }
}

/// Appends a JSON string.
pub(super) fn quoted(text: &str, out: &mut String) {
    // Writing a text as JSON cannot fail.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// An instant as PostHog's query answers write it: UTC, `Z`. Always six digits of a second, so that
/// the order of the texts is the order of the instants.
fn instant(array: &dyn Array, row: usize, unit: TimeUnit, out: &mut String) {
    let time = match unit {
        TimeUnit::Second => SignedDuration::from_secs(array.as_primitive::<TimestampSecondType>().value(row)),
        TimeUnit::Millisecond => {
            SignedDuration::from_millis(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        TimeUnit::Microsecond => {
            SignedDuration::from_micros(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        TimeUnit::Nanosecond => {
            SignedDuration::from_nanos(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
    };
    match Timestamp::from_duration(time) {
        Ok(time) => {
            let _ = write!(out, "{time:.6}");
        }
        Err(_) => shown(array, row, out),
    }
}

fn date(days: i64, out: &mut String) {
    let epoch = Date::constant(1970, 1, 1);
    if let Ok(date) = epoch.checked_add(SignedDuration::from_hours(days.saturating_mul(24))) {
        let _ = write!(out, "{date}");
    }
}
