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
use uuid::Uuid;

enum Builder {
    Text(StringBuilder),
    Long(Int64Builder),
    Int(Int32Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
}

/// Collects rows as columns. Values are given in column order; [`Encoder::end_row`] closes a row.
pub(crate) struct Encoder {
    schema: SchemaRef,
    columns: Vec<Builder>,
    next: usize,
    rows: usize,
    bytes: usize,
}

impl Encoder {
    /// An empty encoder for `schema`.
    pub(crate) fn new(schema: SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|field| match field.data_type() {
            DataType::Int64 => Builder::Long(Int64Builder::new()),
            DataType::Int32 => Builder::Int(Int32Builder::new()),
            DataType::Boolean => Builder::Bool(BooleanBuilder::new()),
            DataType::Timestamp(_, _) => {
                Builder::Time(TimestampMicrosecondBuilder::new().with_data_type(field.data_type().clone()))
            }
            _ => Builder::Text(StringBuilder::new()),
        });
        let columns = columns.collect();
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

    fn column(&mut self) -> &mut Builder {
        let position = self.next;
        self.next += 1;
        self.bytes += 8;
        &mut self.columns[position]
    }

    /// Text or null.
    pub(crate) fn text<'a>(&mut self, value: impl Into<Option<&'a str>>) {
        let value = value.into();
        self.bytes += value.map_or(0, str::len);
        match self.column() {
            Builder::Text(builder) => builder.append_option(value),
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
        match self.column() {
            Builder::Int(builder) => builder.append_option(value.into()),
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
        match self.column() {
            Builder::Time(builder) => builder.append_option(value.into().map(Timestamp::as_microsecond)),
            _ => unreachable!("declared as timestamp"),
        }
    }

    /// Closes the row: every column must have been given.
    pub(crate) fn end_row(&mut self) {
        assert_eq!(self.next, self.columns.len(), "a row gives every declared column");
        self.next = 0;
        self.rows += 1;
    }

    /// Takes the rows as a batch without spare capacity and starts over.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(|column| {
            let mut array: ArrayRef = match column {
                Builder::Text(builder) => std::sync::Arc::new(builder.finish()),
                Builder::Long(builder) => std::sync::Arc::new(builder.finish()),
                Builder::Int(builder) => std::sync::Arc::new(builder.finish()),
                Builder::Bool(builder) => std::sync::Arc::new(builder.finish()),
                Builder::Time(builder) => std::sync::Arc::new(builder.finish()),
            };
            array.shrink_to_fit();
            array
        });
        let arrays = arrays.collect();
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(self.schema.clone(), arrays).context(Kind::Bug, || "rows as a batch".to_owned())
    }
}
