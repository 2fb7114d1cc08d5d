//! Column builders of one table, filled row by row.

use crate::{Kind, Result, error::Context};
use arrow::array::{
    Array, ArrayRef, BooleanBuilder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use event::json::Writer;
use event::{Json, Properties};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

enum Builder {
    Text(StringBuilder),
    Long(Int64Builder),
    Int(Int32Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
}

impl Builder {
    /// A builder for values of this type, with room for so many and, if they are texts, for so many bytes.
    fn new(kind: &DataType, rows: usize, bytes: usize) -> Self {
        match kind {
            DataType::Int64 => Self::Long(Int64Builder::with_capacity(rows)),
            DataType::Int32 => Self::Int(Int32Builder::with_capacity(rows)),
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(rows)),
            DataType::Timestamp(_, _) => {
                Self::Time(TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(kind.clone()))
            }
            _ => Self::Text(StringBuilder::with_capacity(rows, bytes)),
        }
    }

    fn append_nulls(&mut self, count: usize) {
        match self {
            Self::Text(builder) => builder.append_nulls(count),
            Self::Long(builder) => builder.append_nulls(count),
            Self::Int(builder) => builder.append_nulls(count),
            Self::Bool(builder) => builder.append_nulls(count),
            Self::Time(builder) => builder.append_nulls(count),
        }
    }
}

/// A column being filled.
struct Open {
    builder: Builder,
    /// Nulls at its end that the builder does not have yet: most columns of most rows are empty, and counting is cheaper
    /// than writing.
    nulls: usize,
}

impl Open {
    /// The builder with everything given so far.
    fn settled(&mut self) -> &mut Builder {
        if self.nulls > 0 {
            self.builder.append_nulls(std::mem::take(&mut self.nulls));
        }
        &mut self.builder
    }
}

/// Collects rows as columns. Values are given in column order; [`Encoder::end_row`] closes a row.
pub(crate) struct Encoder {
    schema: SchemaRef,
    columns: Vec<Open>,
    next: usize,
    rows: usize,
    bytes: usize,
}

impl Encoder {
    /// An empty encoder for `schema`.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        let open = |kind| Open { builder: Builder::new(kind, 0, 0), nulls: 0 };
        let columns = schema.fields().iter().map(|field| open(field.data_type())).collect();
        Self { schema, columns, next: 0, rows: 0, bytes: 0 }
    }

    /// Complete rows held.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Approximate memory of those rows.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn open(&mut self) -> &mut Open {
        let position = self.next;
        self.next += 1;
        self.bytes += 8;
        &mut self.columns[position]
    }

    fn column(&mut self) -> &mut Builder {
        self.open().settled()
    }

    fn null(&mut self) {
        self.open().nulls += 1;
    }

    /// Text or null.
    pub(crate) fn text<'a>(&mut self, value: impl Into<Option<&'a str>>) {
        let Some(value) = value.into() else { return self.null() };
        self.bytes += value.len();
        match self.column() {
            Builder::Text(builder) => builder.append_value(value),
            _ => unreachable!("declared as text"),
        }
    }

    /// Lower-case UUID text or null.
    pub(crate) fn uuid(&mut self, value: impl Into<Option<Uuid>>) {
        let mut buffer = Uuid::encode_buffer();
        let text = value.into().map(|uuid| &*uuid.hyphenated().encode_lower(&mut buffer));
        self.text(text);
    }

    /// JSON text.
    pub(crate) fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        self.written(|text| {
            serde_json::to_writer(Writer(text), value)
                .expect("maps with text keys always serialize to memory");
        });
    }

    /// Properties as JSON text.
    pub(crate) fn properties(&mut self, value: &Properties) {
        self.written(|text| value.write(text).expect("writing to memory cannot fail"));
    }

    /// Text that is written right into its column.
    fn written(&mut self, write: impl FnOnce(&mut StringBuilder)) {
        let Builder::Text(builder) = self.column() else { unreachable!("declared as text") };
        let before = builder.values_slice().len();
        write(builder);
        let bytes = builder.values_slice().len() - before;
        // Closes the value: what was written since the last one is all of it.
        builder.append_value("");
        self.bytes += bytes;
    }

    /// A property as text: see [`crate::Column::promoted_from`].
    pub(crate) fn property(&mut self, value: Option<Json<'_>>) {
        match value.filter(|value| !value.is_null()) {
            None => self.text(None),
            Some(value) => match value.as_str() {
                Some(text) => self.text(&*text),
                None => self.text(value.text()),
            },
        }
    }

    /// 64-bit integer.
    pub(crate) fn long(&mut self, value: i64) {
        match self.column() {
            Builder::Long(builder) => builder.append_value(value),
            _ => unreachable!("declared as long"),
        }
    }

    /// 32-bit integer or null.
    pub(crate) fn int(&mut self, value: impl Into<Option<i32>>) {
        let Some(value) = value.into() else { return self.null() };
        match self.column() {
            Builder::Int(builder) => builder.append_value(value),
            _ => unreachable!("declared as int"),
        }
    }

    /// Boolean.
    pub(crate) fn bool(&mut self, value: bool) {
        match self.column() {
            Builder::Bool(builder) => builder.append_value(value),
            _ => unreachable!("declared as boolean"),
        }
    }

    /// Instant or null; finer than a microsecond is cut off.
    pub(crate) fn time(&mut self, value: impl Into<Option<Timestamp>>) {
        let Some(value) = value.into() else { return self.null() };
        match self.column() {
            Builder::Time(builder) => builder.append_value(value.as_microsecond()),
            _ => unreachable!("declared as timestamp"),
        }
    }

    /// Closes the row: every column must have been given.
    pub(crate) fn end_row(&mut self) {
        assert_eq!(self.next, self.columns.len(), "a row gives every declared column");
        self.next = 0;
        self.rows += 1;
    }

    /// Takes the rows as a batch without spare capacity and starts over, with room for as much again: a column that grows
    /// step by step is copied and touches twice its memory.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = self.rows;
        let arrays = self.columns.iter_mut().map(|column| {
            let (mut array, kind, bytes): (ArrayRef, _, _) = match column.settled() {
                Builder::Text(builder) => {
                    let bytes = builder.values_slice().len();
                    (Arc::new(builder.finish()), DataType::Utf8, bytes)
                }
                Builder::Long(builder) => (Arc::new(builder.finish()), DataType::Int64, 0),
                Builder::Int(builder) => (Arc::new(builder.finish()), DataType::Int32, 0),
                Builder::Bool(builder) => (Arc::new(builder.finish()), DataType::Boolean, 0),
                Builder::Time(builder) => {
                    let array = builder.finish();
                    let kind = array.data_type().clone();
                    (Arc::new(array), kind, 0)
                }
            };
            // A column of nulls only has nothing to make room for.
            let rows = if array.null_count() == array.len() { 0 } else { rows };
            column.builder = Builder::new(&kind, rows, bytes + bytes / 16);
            array.shrink_to_fit();
            array
        });
        let arrays = arrays.collect();
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(self.schema.clone(), arrays).context(Kind::Bug, || "rows as a batch".to_owned())
    }
}
