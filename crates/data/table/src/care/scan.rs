//! A few columns of one data file, batch by batch.

use crate::error::Context;
use crate::objects::Objects;
use crate::{Error, Kind, Result};
use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;
use iceberg::spec::ManifestEntryRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Gives the named columns of a file to `look`; blocks on the disk.
///
/// # Errors
/// `Corrupt` naming a damaged file, and what `look` fails with.
pub(super) fn columns<'a>(
    objects: &Objects,
    entry: &ManifestEntryRef,
    names: impl IntoIterator<Item = &'a str>,
    mut look: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let unread = || format!("read {}", entry.file_path());
    let file = objects.fetch(entry.file_path())?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).context(Kind::Corrupt, unread)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), names);
    let reader = builder.with_projection(mask).build().context(Kind::Corrupt, unread)?;
    for batch in reader {
        look(&batch.context(Kind::Corrupt, unread)?)?;
    }
    Ok(())
}

/// A column as text.
pub(super) fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    let column = batch.column_by_name(name).ok_or_else(|| missing(name))?;
    let column = cast(column, &DataType::Utf8).context(Kind::Corrupt, || format!("{name} is no text"))?;
    Ok(column.as_string::<i32>().clone())
}

/// The project of every row.
pub(super) fn teams(batch: &RecordBatch) -> Result<Int64Array> {
    let column = batch.column_by_name("team_id").ok_or_else(|| missing("team_id"))?;
    let column =
        cast(column, &DataType::Int64).context(Kind::Corrupt, || "team_id is no number".to_owned())?;
    Ok(column.as_primitive::<Int64Type>().clone())
}

fn missing(name: &str) -> Error {
    Error::new(Kind::Bug, format!("rows without {name}"))
}
