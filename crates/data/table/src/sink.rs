//! One data file on its way to the disk; gone again unless it is finished.

use crate::schema::Bound;
use crate::write::sort_order;
use crate::{Error, Kind, Result, error::kind_of};
use arrow::record_batch::RecordBatch;
use futures::executor::block_on;
use iceberg::spec::{DataFile, DataFileBuilder, Struct};
use iceberg::table::Table;
use iceberg::writer::CurrentFileStatus;
use iceberg::writer::file_writer::{FileWriter, FileWriterBuilder, ParquetWriter, ParquetWriterBuilder};
use parquet::file::properties::WriterProperties;

/// See the module. Uses the processor for as long as it takes: where blocking is allowed.
pub(crate) struct Sink<'a> {
    table: &'a Table,
    bound: &'a Bound,
    partition: Struct,
    location: String,
    writer: Option<ParquetWriter>,
}

/// Where a file called `name` of a table partition is.
pub(crate) fn location(table: &Table, partition: &Struct, name: &str) -> String {
    let metadata = table.metadata();
    let spec = metadata.default_partition_spec();
    let folder = spec.partition_to_path(partition, metadata.current_schema().clone());
    format!("{}/data/{folder}/{name}.parquet", metadata.location())
}

impl<'a> Sink<'a> {
    /// Opens a file called `name` in the folder of its table partition.
    pub(crate) fn open(
        table: &'a Table,
        bound: &'a Bound,
        partition: Struct,
        name: &str,
        properties: WriterProperties,
    ) -> Result<Self> {
        let location = location(table, &partition, name);
        let mut sink = Self { table, bound, partition, location, writer: None };
        let output = table.file_io().new_output(&sink.location).map_err(|error| sink.failed(error))?;
        let builder = ParquetWriterBuilder::new(properties, bound.iceberg.clone());
        let writer = block_on(builder.build(output)).map_err(|error| sink.failed(error))?;
        sink.writer = Some(writer);
        Ok(sink)
    }

    fn failed(&self, error: iceberg::Error) -> Error {
        Error::new(kind_of(&error), format!("write {}", self.location)).from_source(error)
    }

    /// Adds rows, in the schema of the sink's columns.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let closed = || Error::new(Kind::Bug, "a data file was written after its end");
        let writer = self.writer.as_mut().ok_or_else(closed)?;
        let written = block_on(writer.write(batch));
        written.map_err(|error| self.failed(error))
    }

    /// Bytes so far, those still in memory included.
    pub(crate) fn bytes(&self) -> usize {
        self.writer.as_ref().map_or(0, CurrentFileStatus::current_written_size)
    }

    /// Completes and syncs the file; none when no row was written.
    pub(crate) fn finish(mut self) -> Result<Option<DataFile>> {
        let Some(writer) = self.writer.take() else { return Ok(None) };
        let spec = self.table.metadata().default_partition_spec_id();
        let sorted = sort_order(self.bound, self.table);
        let mut build = |mut builder: DataFileBuilder| {
            builder.partition(self.partition.clone()).partition_spec_id(spec);
            if let Some(id) = sorted {
                builder.sort_order_id(id);
            }
            builder.build().map_err(|error| {
                iceberg::Error::new(iceberg::ErrorKind::Unexpected, "incomplete data file").with_source(error)
            })
        };
        let closed = block_on(writer.close());
        let file = closed.and_then(|builders| builders.into_iter().next().map(&mut build).transpose());
        file.map_err(|error| {
            self.remove();
            self.failed(error)
        })
    }

    /// Nothing refers to the file: if it cannot be removed it is an orphan.
    fn remove(&self) {
        let _ = block_on(self.table.file_io().delete(&self.location));
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            self.remove();
        }
    }
}
