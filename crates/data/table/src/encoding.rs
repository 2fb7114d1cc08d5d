//! How the columns of a data file are encoded: what repeats gets a dictionary, what does not gets none.
//!
//! A dictionary of values that are all different is paid for twice: hashing fills it, and the positions in it take more
//! room than they spare. One that is cut off because it grew too large costs the same for the part it has. So the rows
//! are looked at before they are written.

use crate::schema::{Bound, Column, Kind as ColumnKind};
use crate::write::FILE_ROWS;
use arrow::array::{Array, AsArray, StringArray};
use arrow::record_batch::RecordBatch;
use foldhash::fast::FixedState;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;
use std::collections::HashSet;
use std::hash::BuildHasher;

/// zstd level of data files. On events level 1 gives smaller files than levels 2 to 5, in less time: text that is mostly
/// random ids gains nothing from a longer search.
const LEVEL: i32 = 1;
/// Values looked at first. When half of them are repeats, the others need not be counted.
const SAMPLE: usize = 512;
/// Bytes of a dictionary at most: a reader holds it for as long as it reads the column.
const DICTIONARY_BYTES: usize = 6 << 20;
/// Bytes of a dictionary when nobody looked at the rows.
const UNSEEN_BYTES: usize = 1 << 20;

/// For a file of `rows` rows that are among those of `batches`.
pub(crate) fn of_rows(bound: &Bound, rows: usize, batches: &[RecordBatch]) -> WriterProperties {
    build(bound, rows, |column| looked_at(bound, column, batches))
}

/// For a file of about `rows` rows of other files, of which `batches` hold some or all; `repeats` tells in which columns
/// most of these files found values again. Those that did not may do so together.
pub(crate) fn of_files(
    bound: &Bound,
    rows: usize,
    batches: &[RecordBatch],
    repeats: impl Fn(&str) -> bool,
) -> WriterProperties {
    let held: usize = batches.iter().map(RecordBatch::num_rows).sum();
    build(bound, rows, |column| {
        // A few rows do not tell whether values come again.
        let looked = if held < rows / 2 { None } else { looked_at(bound, column, batches) };
        looked.or_else(|| repeats(column.name).then_some(DICTIONARY_BYTES))
    })
}

fn looked_at(bound: &Bound, column: &Column, batches: &[RecordBatch]) -> Option<usize> {
    let position = bound.arrow.index_of(column.name).ok()?;
    let arrays: Option<Vec<&StringArray>> =
        batches.iter().map(|batch| batch.column(position).as_string_opt()).collect();
    Some(dictionary(&arrays?))
}

/// For a file whose row groups, each in the table's order, are copied from others; `said` is what those say of
/// themselves beside their columns.
pub(crate) fn of_copies(bound: &Bound, said: Option<Vec<KeyValue>>) -> WriterProperties {
    beginning(bound).set_key_value_metadata(said).build()
}

fn beginning(bound: &Bound) -> WriterPropertiesBuilder {
    let sorting = bound.def.sort.iter().filter_map(|name| bound.arrow.index_of(name).ok());
    let sorting =
        sorting.map(|at| SortingColumn { column_idx: at as i32, descending: false, nulls_first: true });
    WriterProperties::builder()
        .set_created_by(concat!("tenrec ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_sorting_columns(Some(sorting.collect()))
}

/// `dictionary` tells how large a dictionary of a column may be, 0 for none, if it knows.
fn build(bound: &Bound, rows: usize, dictionary: impl Fn(&Column) -> Option<usize>) -> WriterProperties {
    let level = ZstdLevel::try_new(LEVEL).unwrap_or_default();
    let mut builder = beginning(bound)
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(FILE_ROWS))
        .set_max_row_group_bytes(None);
    for column in bound.def.columns {
        let path = ColumnPath::from(column.name);
        let plain = |builder: WriterPropertiesBuilder, encoding| {
            builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path.clone(), encoding)
        };
        let limited = |builder: WriterPropertiesBuilder, encoding| match dictionary(column) {
            Some(0) => plain(builder, encoding),
            known => builder
                .set_column_dictionary_page_size_limit(path.clone(), known.unwrap_or(UNSEEN_BYTES))
                .set_column_encoding(path.clone(), encoding),
        };
        builder = match column.kind {
            // Long texts that never repeat: neither a dictionary nor bounds of them help anybody. Lengths apart from the
            // text compress to nothing, and the text loses what interrupts it.
            ColumnKind::Json if column.name == "properties" => {
                plain(builder, Encoding::DELTA_LENGTH_BYTE_ARRAY)
                    .set_column_statistics_enabled(path.clone(), EnabledStatistics::None)
            }
            // What a person or group is like, as often as it did something.
            ColumnKind::Json => limited(builder, Encoding::PLAIN)
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None),
            // Never the same twice.
            ColumnKind::Uuid if column.name == "uuid" => plain(builder, Encoding::DELTA_LENGTH_BYTE_ARRAY),
            // The time rows are sorted by: the steps are small, and a dictionary of them all is not.
            ColumnKind::Timestamp if bound.def.sort.contains(&column.name) => {
                plain(builder, Encoding::DELTA_BINARY_PACKED)
            }
            ColumnKind::Text if column.name == "distinct_id" => {
                limited(builder, Encoding::DELTA_LENGTH_BYTE_ARRAY)
                    .set_column_bloom_filter_enabled(path.clone(), true)
                    .set_column_bloom_filter_fpp(path.clone(), 0.02)
                    .set_column_bloom_filter_ndv(path, rows as u64)
            }
            ColumnKind::Uuid => limited(builder, Encoding::DELTA_LENGTH_BYTE_ARRAY),
            ColumnKind::Text if column.promoted_from.is_some() => {
                limited(builder, Encoding::DELTA_LENGTH_BYTE_ARRAY)
            }
            _ => builder,
        }
    }
    builder.build()
}

/// The bytes a dictionary of these values may take; 0 when none pays.
fn dictionary(arrays: &[&StringArray]) -> usize {
    let values = || arrays.iter().flat_map(|array| array.iter().flatten());
    let count: usize = arrays.iter().map(|array| array.len() - array.null_count()).sum();
    let hasher = FixedState::default();
    let distinct = |values: &mut dyn Iterator<Item = &str>| {
        let mut bytes = 0;
        let mut known: HashSet<u64, FixedState> = HashSet::default();
        for value in values {
            if known.insert(hasher.hash_one(value)) {
                // As many bytes again as a length takes.
                bytes += value.len() + 4;
            }
        }
        (known.len(), bytes)
    };
    // Evenly over all rows, since neighbours may belong together.
    let few = distinct(&mut values().step_by(count.div_ceil(SAMPLE).max(1)));
    if few.0 * 2 <= count.min(SAMPLE) {
        return DICTIONARY_BYTES;
    }
    let (different, bytes) = distinct(&mut values());
    // A third of a text is what compression leaves of it, about; positions of different values do not compress.
    let spared = (count - different) * (bytes / different.max(1)) / 3;
    let positions = count * different.next_power_of_two().trailing_zeros() as usize / 8;
    if spared > positions && bytes <= DICTIONARY_BYTES { DICTIONARY_BYTES } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl Iterator<Item = String>) -> usize {
        let array: StringArray = values.map(Some).collect();
        dictionary(&[
            &array.slice(0, array.len() / 2),
            &array.slice(array.len() / 2, array.len().div_ceil(2)),
        ])
    }

    #[test]
    fn what_repeats_gets_a_dictionary() {
        let id = |n: u64| format!("{n:08x}-0000-4000-8000-{:012x}", n.wrapping_mul(0x9e37_79b9_7f4a));
        assert_eq!(of((0..10_000).map(id)), 0, "all different");
        assert_ne!(of((0..10_000).map(|n| id(n / 2))), 0, "each twice");
        assert_ne!(of((0..10_000).map(|n| id(n % 50))), 0);
        assert_eq!(of((0..10_000).map(|n| format!("{}", n / 2))), 0, "the position is as long as the value");
        assert_eq!(of((0..40_000).map(|n| id(n / 2).repeat(20))), 0, "too large for a reader");
        assert_ne!(of(std::iter::empty()), 0);
    }
}
