//! Rows of an older data file in the columns the table has now.
//!
//! Columns are found by their field id. One that the file lacks is null, as it is for every reader; but a promoted
//! column repeats a property, and the file has the properties, so a rewritten file gets it filled in.

use crate::schema::{Bound, TableDef};
use crate::{Error, Kind, Result, error::Context};
use arrow::array::{Array, ArrayRef, AsArray, StringBuilder, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What fills one column.
enum From {
    /// This column of the file.
    Stored(usize),
    /// A property of the JSON text in this column of the file.
    Property(usize, &'static str),
    /// Nothing.
    Null,
}

/// How the columns of one file become those of the table.
pub(super) struct Fitting {
    target: SchemaRef,
    from: Vec<From>,
}

fn id(field: &Field) -> Option<&str> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY).map(String::as_str)
}

impl Fitting {
    /// For a file with the columns `stored`.
    ///
    /// # Errors
    /// `Corrupt` when the file lacks a column that is never null.
    pub(super) fn new(bound: &Bound, stored: &SchemaRef) -> Result<Self> {
        let position = |wanted: &Field| stored.fields().iter().position(|field| id(field) == id(wanted));
        let target = bound.arrow.clone();
        let properties = target.field_with_name("properties").ok().and_then(position);
        let fill = |field: &Arc<Field>| match (position(field), promoted(bound.def, field.name()), properties)
        {
            (Some(at), _, _) => Ok(From::Stored(at)),
            (None, Some(property), Some(at)) => Ok(From::Property(at, property)),
            _ if field.is_nullable() => Ok(From::Null),
            _ => Err(Error::new(Kind::Corrupt, format!("a data file lacks the column {}", field.name()))),
        };
        let from = target.fields().iter().map(fill).collect::<Result<_>>()?;
        Ok(Self { target, from })
    }

    /// One batch.
    pub(super) fn fit(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut parsed: Option<Vec<Map<String, Value>>> = None;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.from.len());
        for (from, field) in self.from.iter().zip(self.target.fields()) {
            let kind = field.data_type();
            columns.push(match from {
                From::Stored(at) if batch.column(*at).data_type() == kind => batch.column(*at).clone(),
                From::Stored(at) => cast(batch.column(*at), kind)
                    .context(Kind::Corrupt, || format!("a data file has {} in another type", field.name()))?,
                From::Property(at, property) => {
                    let rows = parsed.get_or_insert_with(|| parse(batch.column(*at)));
                    text(rows, property)
                }
                From::Null => new_null_array(kind, batch.num_rows()),
            });
        }
        RecordBatch::try_new(self.target.clone(), columns)
            .context(Kind::Corrupt, || "rows of a data file do not fit their table".to_owned())
    }
}

fn promoted(def: &TableDef, name: &str) -> Option<&'static str> {
    def.column(name).and_then(|column| column.promoted_from)
}

/// Properties of every row; none where the text is no object.
fn parse(column: &ArrayRef) -> Vec<Map<String, Value>> {
    let text = cast(column, &arrow::datatypes::DataType::Utf8);
    let Ok(text) = text else { return vec![Map::new(); column.len()] };
    let object =
        |text: Option<&str>| text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    text.as_string::<i32>().iter().map(object).collect()
}

/// One property of every row as text: see [`crate::Column::promoted_from`].
fn text(rows: &[Map<String, Value>], property: &str) -> ArrayRef {
    let mut builder = StringBuilder::new();
    for row in rows {
        match row.get(property) {
            None | Some(Value::Null) => builder.append_null(),
            Some(Value::String(text)) => builder.append_value(text),
            Some(other) => builder.append_value(other.to_string()),
        }
    }
    Arc::new(builder.finish())
}
