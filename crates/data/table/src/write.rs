//! Tail rows into Parquet files: one sorted file per table partition.

use crate::encoding;
use crate::error::Context;
use crate::schema::Bound;
use crate::sink::Sink;
use crate::{Kind, Result};
use arrow::array::AsArray;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use iceberg::spec::{DataFile, Literal, Struct};
use iceberg::table::Table;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A row group, and a file that is written row by row, holds at most this many rows. Bounds of such a file, which has
/// one row group, are exact or absent, never those of only some of its rows.
pub(crate) const FILE_ROWS: usize = 1 << 18;
/// Rows are gathered for the encoder in chunks of about this many bytes.
const CHUNK_BYTES: usize = 4 << 20;
/// Microseconds in a day.
pub(crate) const DAY: i64 = 86_400_000_000;

/// What is written and where.
pub(crate) struct Job {
    /// Rows, in the schema of `bound`.
    pub(crate) batches: Vec<RecordBatch>,
    /// Columns.
    pub(crate) bound: Bound,
    /// The table they go to.
    pub(crate) table: Table,
    /// Log offset, for file names.
    pub(crate) offset: u64,
}

/// A table partition: team and day since 1970.
type Place = (i64, i32);
/// A row: batch and position in it.
type At = (u32, u32);

impl Job {
    /// Writes all files; on failure removes those already written.
    ///
    /// Uses the processor for as long as it takes: call it where blocking is allowed.
    pub(crate) fn run(&self) -> Result<Vec<DataFile>> {
        let mut files = Vec::new();
        match self.write_all(&mut files) {
            Ok(()) => Ok(files),
            Err(error) => {
                futures::executor::block_on(discard(&self.table, &files));
                Err(error)
            }
        }
    }

    fn write_all(&self, files: &mut Vec<DataFile>) -> Result<()> {
        let keys = self.sort_keys()?;
        for (place, mut rows) in self.places()? {
            // Stable: rows with equal keys stay in arrival order.
            rows.sort_by(|a, b| {
                keys[a.0 as usize].row(a.1 as usize).cmp(&keys[b.0 as usize].row(b.1 as usize))
            });
            for part in rows.chunks(FILE_ROWS) {
                files.extend(self.write_file(place, part)?);
            }
        }
        Ok(())
    }

    fn sort_keys(&self) -> Result<Vec<Rows>> {
        let schema = &self.bound.arrow;
        let positions: Vec<usize> =
            self.bound.def.sort.iter().filter_map(|name| schema.index_of(name).ok()).collect();
        let fields =
            positions.iter().map(|&at| SortField::new(schema.field(at).data_type().clone())).collect();
        let bug = || format!("sort rows of {}", self.bound.def.name);
        let converter = RowConverter::new(fields).context(Kind::Bug, bug)?;
        let convert = |batch: &RecordBatch| {
            let columns: Vec<_> = positions.iter().map(|&at| batch.column(at).clone()).collect();
            converter.convert_columns(&columns).context(Kind::Bug, bug)
        };
        self.batches.iter().map(convert).collect()
    }

    fn places(&self) -> Result<BTreeMap<Place, Vec<At>>> {
        let mut places: BTreeMap<Place, Vec<At>> = BTreeMap::new();
        let missing =
            || crate::Error::new(Kind::Bug, format!("{} lacks its partition columns", self.bound.def.name));
        for (number, batch) in self.batches.iter().enumerate() {
            let team = batch.column_by_name("team_id").ok_or_else(missing)?;
            let time = batch.column_by_name(self.bound.def.partition.day_of).ok_or_else(missing)?;
            let team = team.as_primitive::<Int64Type>().values();
            let time = time.as_primitive::<TimestampMicrosecondType>().values();
            for (row, (&team, &time)) in team.iter().zip(time).enumerate() {
                // Any i64 of microseconds is within 107 million days.
                let day = time.div_euclid(DAY) as i32;
                places.entry((team, day)).or_default().push((number as u32, row as u32));
            }
        }
        Ok(places)
    }

    fn write_file(&self, place: Place, rows: &[At]) -> Result<Option<DataFile>> {
        let partition = Struct::from_iter([Some(Literal::long(place.0)), Some(Literal::date(place.1))]);
        let name = format!("{:012}-{}", self.offset, Uuid::now_v7().simple());
        let properties = encoding::of_rows(&self.bound, rows.len(), &self.batches);
        let mut sink = Sink::open(&self.table, &self.bound, partition, &name, properties)?;
        let total: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        let bytes: usize = self.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        let chunk = (CHUNK_BYTES / (bytes / total.max(1)).max(1)).clamp(16, 8192);
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let mut indices = Vec::with_capacity(chunk);
        for part in rows.chunks(chunk) {
            indices.clear();
            indices.extend(part.iter().map(|&(batch, row)| (batch as usize, row as usize)));
            let gathered = interleave_record_batch(&batches, &indices)
                .context(Kind::Bug, || format!("gather rows of {}", self.bound.def.name))?;
            sink.write(&gathered)?;
        }
        sink.finish()
    }
}

/// Removes files nothing refers to. Those that cannot be removed stay as orphans.
pub(crate) async fn discard(table: &Table, files: &[DataFile]) {
    for file in files {
        if let Err(error) = table.file_io().delete(file.file_path()).await {
            tracing::warn!(%error, path = file.file_path(), "cannot remove a data file of a failed commit");
        }
    }
}

/// The table's default sort order id, if the rows are in that order.
pub(crate) fn sort_order(bound: &Bound, table: &Table) -> Option<i32> {
    let metadata = table.metadata();
    let order = metadata.default_sort_order();
    let ours = bound.def.sort.iter().map(|name| bound.iceberg.field_id_by_name(name));
    let theirs = order.fields.iter().map(|field| Some(field.source_id));
    if ours.eq(theirs) { i32::try_from(order.order_id).ok().filter(|id| *id != 0) } else { None }
}
