//! Files of many rows put together without looking at the rows: the row groups of the new file are those of the old
//! ones, byte by byte.
//!
//! A merge decodes, sorts and encodes every row, which costs more than landing it did. It is worth that while files are
//! so small that each one costs a reader more than its rows. A row group of many rows is good to read by itself: what is
//! left to win is fewer files, and that takes no more than copying. Every row group is in the table's order; the
//! file as a whole is not, and does not say so.

use super::live::{Place, place};
use super::rewrite::{Rewrite, Rewritten, is_sorted};
use super::{clock, replace::Part};
use crate::encoding;
use crate::objects::Objects;
use crate::schema::Bound;
use crate::sink::location;
use crate::write::discard;
use crate::{Error, Kind, Result, error::Context, error::kind_of};
use bytes::Bytes;
use futures::executor::block_on;
use iceberg::io::FileWrite;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, ManifestEntryRef, Struct,
};
use iceberg::table::Table;
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::writer::SerializedFileWriter;
use std::cmp::Ordering as Order;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How the names of stitched files begin.
const PREFIX: &str = "stitched-";
/// Bytes handed to the disk or the store at once.
const WRITE_BYTES: usize = 1 << 20;

/// Whether a file was put together here: every row group of it is in the table's order.
pub(super) fn is_stitched(file: &DataFile) -> bool {
    file.file_path().rsplit('/').next().is_some_and(|name| name.starts_with(PREFIX))
}

/// Whether a file has every column the table has now.
pub(super) fn is_current(bound: &Bound, file: &DataFile) -> bool {
    let columns = bound.iceberg.as_struct().fields();
    columns.iter().all(|column| file.column_sizes().contains_key(&column.id))
}

/// Whether the row groups of a file may stay as they are: each is sorted and has `group_rows` rows or more.
pub(super) fn is_ready(bound: &Bound, table: &Table, file: &DataFile, group_rows: u64) -> bool {
    let grown = is_stitched(file) || (is_sorted(bound, table, file) && file.record_count() >= group_rows);
    grown && is_current(bound, file)
}

/// What is put together.
pub(super) struct Stitch {
    /// The table.
    pub(super) table: Table,
    /// Its files.
    pub(super) objects: Objects,
    /// All its columns.
    pub(super) bound: Bound,
    /// Where the rows belong.
    pub(super) place: Place,
    /// Files that go; their row groups stay.
    pub(super) files: Vec<ManifestEntryRef>,
    /// Turns true when there is no time to finish.
    pub(super) stopped: Arc<AtomicBool>,
}

/// One of the files.
struct Piece {
    file: File,
    metadata: ParquetMetaData,
}

/// A new data file as the Parquet writer sees it.
struct Output(Box<dyn FileWrite>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        block_on(self.0.write(Bytes::copy_from_slice(bytes))).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stitch {
    /// Writes the new file; removes what there is of it when that fails.
    ///
    /// Uses the disk for as long as it takes: call it where blocking is allowed.
    pub(super) fn run(self) -> Result<Rewritten> {
        let pieces = self.open()?;
        if !is_alike(&pieces) {
            return self.rewritten();
        }
        let name = format!("{PREFIX}{}", clock::fresh_name());
        let location = location(&self.table, &self.partition(), &name);
        let done = self.copy(&pieces, &location).and_then(|(written, bytes)| {
            self.described(&location, &written, bytes).map(|file| (file, written))
        });
        let rows = Part::without(&self.files).removed_rows;
        let (file, written) = match done {
            Ok(done) => done,
            Err(error) => {
                let _ = block_on(self.table.file_io().delete(&location));
                return Err(error);
            }
        };
        telemetry::fail_point!("table.after_stitch_file");
        if u64::try_from(written.file_metadata().num_rows()) != Ok(rows) {
            block_on(discard(&self.table, &[file]));
            let text = format!(
                "files of {} hold {} rows, not the {rows} of the table's count; nothing was changed",
                self.bound.def.name,
                written.file_metadata().num_rows()
            );
            return Err(Error::new(Kind::Corrupt, text));
        }
        let part = Part { added: vec![file], ..Part::without(&self.files) };
        Ok(Rewritten { part, read: rows, written: rows })
    }

    /// Files whose columns differ in a way the table does not show are merged.
    fn rewritten(self) -> Result<Rewritten> {
        let Self { table, objects, bound, place, files, stopped } = self;
        let target_bytes = usize::MAX;
        Rewrite { table, objects, bound, place, files, target_bytes, stopped, sieve: None }.run()
    }

    fn partition(&self) -> Struct {
        Struct::from_iter([Some(Literal::long(self.place.0)), Some(Literal::date(self.place.1))])
    }

    fn open(&self) -> Result<Vec<Piece>> {
        let open = |entry: &ManifestEntryRef| {
            let location = entry.file_path();
            if place(&self.table, entry.data_file()) != Some(self.place) {
                return Err(Error::new(Kind::Bug, format!("{location} is of another place")));
            }
            let file = self.objects.fetch(location)?;
            let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
            let metadata = reader.parse_and_finish(&file);
            let metadata = metadata.context(Kind::Corrupt, || format!("read {location}"))?;
            Ok(Piece { file, metadata })
        };
        self.files.iter().map(open).collect()
    }

    /// Copies the row groups; gives what the new file says of itself, and its size.
    fn copy(&self, pieces: &[Piece], location: &str) -> Result<(ParquetMetaData, u64)> {
        let failed = |error: iceberg::Error| {
            Error::new(kind_of(&error), format!("write {location}")).from_source(error)
        };
        let unwritten = || format!("write {location}");
        let output = block_on(async { self.table.file_io().new_output(location)?.writer().await });
        let output = BufWriter::with_capacity(WRITE_BYTES, Output(output.map_err(failed)?));
        let first = pieces.first().map(|piece| piece.metadata.file_metadata());
        let first = first.ok_or_else(|| Error::new(Kind::Bug, "nothing to put together"))?;
        let properties = encoding::of_copies(&self.bound, first.key_value_metadata().cloned());
        let schema = first.schema_descr().root_schema_ptr();
        let mut writer = SerializedFileWriter::new(output, schema, Arc::new(properties))
            .context(Kind::Unavailable, unwritten)?;
        for piece in pieces {
            for group in 0..piece.metadata.num_row_groups() {
                if self.stopped.load(Ordering::Acquire) {
                    let text = format!("merging {} broke off because the process ends", self.bound.def.name);
                    return Err(Error::new(Kind::Unavailable, text));
                }
                copy_group(&mut writer, piece, group).context(Kind::Unavailable, unwritten)?;
            }
        }
        let metadata = writer.finish().context(Kind::Unavailable, unwritten)?;
        let bytes = writer.bytes_written() as u64;
        let output = writer.inner_mut();
        output.flush().context(Kind::Unavailable, unwritten)?;
        block_on(output.get_mut().0.close()).map_err(failed)?;
        Ok((metadata, bytes))
    }

    /// The new file as the table's manifest has it: what the old ones say, put together.
    fn described(&self, location: &str, written: &ParquetMetaData, bytes: u64) -> Result<DataFile> {
        let files: Vec<&DataFile> = self.files.iter().map(|entry| entry.data_file()).collect();
        let offsets = written.row_groups().iter().map(|group| group.file_offset()).collect::<Option<_>>();
        let mut builder = DataFileBuilder::default();
        builder
            .content(DataContentType::Data)
            .file_path(location.to_owned())
            .file_format(DataFileFormat::Parquet)
            .partition(self.partition())
            .partition_spec_id(self.table.metadata().default_partition_spec_id())
            .record_count(files.iter().map(|file| file.record_count()).sum())
            .file_size_in_bytes(bytes)
            .column_sizes(sums(&files, DataFile::column_sizes))
            .value_counts(sums(&files, DataFile::value_counts))
            .null_value_counts(sums(&files, DataFile::null_value_counts))
            .nan_value_counts(sums(&files, DataFile::nan_value_counts))
            .lower_bounds(bounds(&files, DataFile::lower_bounds, Order::Less))
            .upper_bounds(bounds(&files, DataFile::upper_bounds, Order::Greater))
            .split_offsets(offsets);
        builder.build().context(Kind::Bug, || format!("describe {location}"))
    }
}

/// Whether row groups of all pieces can be in one file.
fn is_alike(pieces: &[Piece]) -> bool {
    let schema = |piece: &Piece| piece.metadata.file_metadata().schema_descr().root_schema_ptr();
    let mut schemas = pieces.iter().map(schema);
    let first = schemas.next();
    schemas.all(|schema| Some(schema) == first)
}

fn copy_group<W: Write + Send>(
    writer: &mut SerializedFileWriter<W>,
    piece: &Piece,
    number: usize,
) -> parquet::errors::Result<()> {
    let group = piece.metadata.row_group(number);
    let mut copy = writer.next_row_group()?;
    for (at, metadata) in group.columns().iter().enumerate() {
        let column_index = piece.metadata.column_index().map(|index| index[number][at].clone());
        let offset_index = piece.metadata.offset_index().map(|index| index[number][at].clone());
        let close = ColumnCloseResult {
            bytes_written: u64::try_from(metadata.compressed_size())?,
            rows_written: u64::try_from(group.num_rows())?,
            metadata: metadata.clone(),
            bloom_filter: Sbbf::read_from_column_chunk(metadata, &piece.file)?,
            column_index: column_index.filter(|index| !matches!(index, ColumnIndexMetaData::NONE)),
            offset_index,
        };
        copy.append_column(&piece.file, close)?;
    }
    copy.close()?;
    Ok(())
}

/// Numbers by column, of the columns that every file has one for.
fn sums(files: &[&DataFile], of: impl Fn(&DataFile) -> &HashMap<i32, u64>) -> HashMap<i32, u64> {
    let columns: HashSet<i32> = files.iter().flat_map(|file| of(file).keys().copied()).collect();
    let sum = |column| files.iter().map(|file| of(file).get(&column).copied()).sum::<Option<u64>>();
    columns.into_iter().filter_map(|column| Some((column, sum(column)?))).collect()
}

/// The outermost of each column's bounds. A file without one has only nulls in the column, or leaves the bound of all
/// unknown.
fn bounds(
    files: &[&DataFile],
    of: impl Fn(&DataFile) -> &HashMap<i32, Datum>,
    outer: Order,
) -> HashMap<i32, Datum> {
    let columns: HashSet<i32> = files.iter().flat_map(|file| of(file).keys().copied()).collect();
    let is_null = |file: &DataFile, column: i32| {
        let nulls = file.null_value_counts().get(&column);
        nulls.is_some() && nulls == file.value_counts().get(&column)
    };
    let bound = |column: i32| {
        let mut found: Option<&Datum> = None;
        for file in files {
            found = match (found, of(file).get(&column)) {
                (found, None) if is_null(file, column) => found,
                (_, None) => return None,
                (None, one) => one,
                (Some(found), Some(one)) => Some(if one.partial_cmp(found)? == outer { one } else { found }),
            };
        }
        found.cloned()
    };
    columns.into_iter().filter_map(|column| Some((column, bound(column)?))).collect()
}

#[cfg(test)]
mod tests;
