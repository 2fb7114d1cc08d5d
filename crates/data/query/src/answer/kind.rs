//! Arrow types under ClickHouse's names.

use arrow::datatypes::{DataType, Field, TimeUnit};

/// The type of a column, wrapped in `Nullable` when the column can be NULL.
pub(crate) fn name(field: &Field) -> String {
    let inner = plain(field.data_type());
    let wraps = !matches!(inner.split('(').next(), Some("Array" | "Map" | "Tuple"));
    if (field.is_nullable() || field.data_type().is_null()) && wraps {
        format!("Nullable({inner})")
    } else {
        inner
    }
}

fn plain(kind: &DataType) -> String {
    match kind {
        DataType::Null => "Nothing".to_owned(),
        DataType::Boolean => "Bool".to_owned(),
        DataType::Int8 => "Int8".to_owned(),
        DataType::Int16 => "Int16".to_owned(),
        DataType::Int32 => "Int32".to_owned(),
        DataType::Int64 => "Int64".to_owned(),
        DataType::UInt8 => "UInt8".to_owned(),
        DataType::UInt16 => "UInt16".to_owned(),
        DataType::UInt32 => "UInt32".to_owned(),
        DataType::UInt64 => "UInt64".to_owned(),
        DataType::Float16 | DataType::Float32 => "Float32".to_owned(),
        DataType::Float64 => "Float64".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("Decimal({precision}, {scale})"),
        DataType::Date32 | DataType::Date64 => "Date".to_owned(),
        DataType::Timestamp(unit, zone) => time(*unit, zone.as_deref()),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("Array({})", name(item))
        }
        DataType::Struct(fields) => {
            let parts: Vec<String> = fields.iter().map(|f| format!("{} {}", f.name(), name(f))).collect();
            format!("Tuple({})", parts.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("Map({}, {})", plain(pair[0].data_type()), name(&pair[1]))
            }
            _ => "String".to_owned(),
        },
        DataType::Dictionary(_, values) => plain(values),
        _ => "String".to_owned(),
    }
}

fn time(unit: TimeUnit, zone: Option<&str>) -> String {
    let digits = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    let zone = match zone {
        None | Some("+00:00" | "Z") => "UTC",
        Some(other) => other,
    };
    format!("DateTime64({digits}, '{zone}')")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn each_type_has_its_name() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
        let cases = [
            (DataType::Utf8View, false, "String"),
            (DataType::Utf8, true, "Nullable(String)"),
            (DataType::Int64, false, "Int64"),
            (DataType::Float64, true, "Nullable(Float64)"),
            (DataType::Boolean, false, "Bool"),
            (DataType::Date32, false, "Date"),
            (
                DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
                false,
                "DateTime64(6, 'UTC')",
            ),
            (DataType::Null, true, "Nullable(Nothing)"),
            (list, true, "Array(Nullable(String))"),
        ];
        for (kind, nullable, want) in cases {
            assert_eq!(name(&Field::new("x", kind, nullable)), want);
        }
    }
}
