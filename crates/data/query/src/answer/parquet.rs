//! Answers as Parquet.

use std::{io::Write, sync::Arc};

use arrow::{
    array::RecordBatch,
    datatypes::{Field, Schema},
};
use datafusion::parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

use super::Answer;
use crate::Error;

/// One Parquet file. Column names that appear twice get a number, since a file needs them distinct.
///
/// # Errors
/// `Unavailable` when `out` refuses bytes, `Invalid` when a column has a type Parquet cannot hold.
pub fn write_parquet(answer: &Answer, out: impl Write + Send) -> Result<(), Error> {
    let schema = distinct(answer);
    let level = ZstdLevel::try_new(1).map_or(Compression::SNAPPY, Compression::ZSTD);
    let properties = WriterProperties::builder().set_compression(level).build();
    let unfit = |cause| Error {
        source: Some(Box::new(cause)),
        ..Error::invalid("The answer has a column that Parquet cannot hold.")
    };
    let mut writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties)).map_err(unfit)?;
    for batch in &answer.batches {
        let columns = batch.columns().to_vec();
        let renamed = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(|cause| Error {
            source: Some(Box::new(cause)),
            ..Error::invalid("The answer does not fit its schema.")
        })?;
        writer.write(&renamed).map_err(|cause| Error::unavailable("The Parquet file", cause))?;
    }
    writer.close().map(drop).map_err(|cause| Error::unavailable("The Parquet file", cause))
}

fn distinct(answer: &Answer) -> Arc<Schema> {
    let mut fields: Vec<Field> = Vec::new();
    for (field, column) in answer.schema.fields().iter().zip(&answer.columns) {
        let taken = |name: &str, fields: &[Field]| fields.iter().any(|other| other.name() == name);
        let mut name = column.clone();
        let mut number = 1;
        while taken(&name, &fields) {
            number += 1;
            name = format!("{column}_{number}");
        }
        fields.push(Field::new(name, field.data_type().clone(), field.is_nullable()));
    }
    Arc::new(Schema::new(fields))
}
