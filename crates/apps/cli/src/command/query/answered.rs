//! An answer that came as JSON, as typed columns again, so that every format can be written from it.

use anyhow::{Context, ensure};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use jiff::Timestamp;
use query::Answer;
use serde_json::Value;
use std::sync::Arc;

/// Reads the body of a query answer.
pub fn from_json(body: &Value) -> anyhow::Result<Answer> {
    let texts = |key: &str| -> anyhow::Result<Vec<String>> {
        let list = body[key].as_array().with_context(|| format!("the answer has no {key}"))?;
        Ok(list
            .iter()
            .map(|entry| entry.as_array().and_then(|pair| pair.get(1)).unwrap_or(entry))
            .map(|text| text.as_str().unwrap_or_default().to_owned())
            .collect())
    };
    let (columns, types) = (texts("columns")?, texts("types")?);
    let rows = body["results"].as_array().context("the answer has no results")?;
    ensure!(
        columns.len() == types.len(),
        "the answer has {} columns and {} types",
        columns.len(),
        types.len()
    );
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for (index, (name, kind)) in columns.iter().zip(&types).enumerate() {
        let cells: Vec<&Value> = rows.iter().map(|row| &row[index]).collect();
        let array = column(kind, &cells);
        fields.push(Field::new(name, array.data_type().clone(), true));
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let batch = RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?;
    let number = |key: &str| body[key].as_u64().unwrap_or(0) as usize;
    Ok(Answer {
        columns,
        types,
        schema,
        batches: vec![batch],
        has_more: body["hasMore"].as_bool().unwrap_or(false),
        limit: number("limit"),
        offset: number("offset"),
    })
}

/// A column of the type its ClickHouse name says; what does not fit that is text.
fn column(kind: &str, cells: &[&Value]) -> ArrayRef {
    let kind = kind.strip_prefix("Nullable(").and_then(|k| k.strip_suffix(')')).unwrap_or(kind);
    let text = |cell: &Value| match cell {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let whole = |cell: &&Value| cell.is_null() || cell.is_i64();
    if (kind.starts_with("Int") || kind.starts_with("UInt")) && cells.iter().all(whole) {
        return Arc::new(Int64Array::from_iter(cells.iter().map(|cell| cell.as_i64())));
    }
    if kind.starts_with("Float") && cells.iter().all(|cell| cell.is_null() || cell.is_number()) {
        return Arc::new(Float64Array::from_iter(cells.iter().map(|cell| cell.as_f64())));
    }
    if kind == "Bool" && cells.iter().all(|cell| cell.is_null() || cell.is_boolean()) {
        return Arc::new(BooleanArray::from_iter(cells.iter().map(|cell| cell.as_bool())));
    }
    if kind.starts_with("DateTime") {
        let times: Option<Vec<Option<i64>>> = cells.iter().map(|cell| instant(cell)).collect();
        if let Some(times) = times {
            let array = TimestampMicrosecondArray::from(times).with_timezone("UTC");
            debug_assert!(matches!(array_type(&array), DataType::Timestamp(..)));
            return Arc::new(array);
        }
    }
    Arc::new(StringArray::from_iter(cells.iter().map(|cell| text(cell))))
}

fn array_type(array: &TimestampMicrosecondArray) -> &DataType {
    use arrow::array::Array;
    array.data_type()
}

/// `Some(None)` is null, `None` is no time.
fn instant(cell: &Value) -> Option<Option<i64>> {
    match cell {
        Value::Null => Some(None),
        Value::String(text) => text.parse::<Timestamp>().ok().map(|at| Some(at.as_microsecond())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use query::answer::{to_posthog_json, write_csv};
    use serde_json::json;

    #[test]
    fn an_answer_survives_the_wire() {
        let body = json!({
            "columns": ["event", "n", "avg", "at", "ok"],
            "types": [["event", "String"], ["n", "Int64"], ["avg", "Nullable(Float64)"],
                      ["at", "DateTime64(6, 'UTC')"], ["ok", "Bool"]],
            "results": [["a", 1, 1.5, "2026-01-02T03:04:05Z", true], ["b", 2, null, null, false]],
            "hasMore": false, "limit": 100, "offset": 0,
        });
        let answer = from_json(&body).expect("answer");
        assert_eq!(answer.rows(), 2);
        let again: Value = serde_json::from_str(&to_posthog_json(&answer, "select")).expect("json");
        assert_eq!(again["results"][1], json!(["b", 2, null, null, false]));
        let mut csv = Vec::new();
        write_csv(&answer, &mut csv).expect("csv");
        assert!(String::from_utf8(csv).expect("text").starts_with("event,n,avg,at,ok"));
    }

    #[test]
    fn a_column_that_is_not_what_it_says_becomes_text() {
        let cells = [json!(1), json!("x")];
        let cells: Vec<&Value> = cells.iter().collect();
        assert_eq!(column("Int64", &cells).data_type(), &DataType::Utf8);
    }
}
