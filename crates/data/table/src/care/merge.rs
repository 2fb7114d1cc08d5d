//! Sorted data files as one sorted stream of rows.
//!
//! Every file is read a little at a time. The smallest row of all files comes next; rows with equal keys come in the
//! order of the files given, so that what arrived first stays first.

use super::column::Fitting;
use crate::objects::Objects;
use crate::schema::Bound;
use crate::{Kind, Result, error::Context};
use arrow::array::{Array, BooleanArray};
use arrow::compute::{
    SortColumn, filter_record_batch, interleave_record_batch, lexsort_to_indices, take_record_batch,
};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{OwnedRow, RowConverter, Rows, SortField};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::file::metadata::RowGroupMetaData;
use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::sync::Arc;

/// Rows decoded at once from a file that is not read whole.
const BATCH_ROWS: usize = 1024;
/// A file that takes no more memory than this is read whole and closed: an open one costs megabytes, because every
/// column has a page and a decompressor.
pub(super) const WHOLE_BYTES: u64 = 8 << 20;
/// Rows given at once.
const CHUNK_ROWS: usize = 4096;
/// Memory of rows given at once, about.
const CHUNK_BYTES: usize = 4 << 20;

/// A data file to be read.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The files it is one of.
    pub(super) objects: Objects,
    /// Where.
    pub(super) location: String,
    /// Its rows are in the table's order; if not, it is small enough to be sorted in memory.
    pub(super) sorted: bool,
    /// Only this row group of the file, which is open already.
    pub(super) group: Option<(Arc<File>, usize)>,
}

/// Tells which rows stay.
pub(super) type Keep<'a> = &'a (dyn Fn(&RecordBatch) -> Result<BooleanArray> + Send + Sync);

/// One file being read.
struct Input {
    reader: Option<ParquetRecordBatchReader>,
    /// Rows still to come.
    left: usize,
    fitting: Fitting,
    location: String,
}

/// Where the merge is in one file.
#[derive(Default)]
struct Cursor {
    /// The batch, by its position among the held ones.
    batch: usize,
    /// Its keys; none at the end.
    keys: Option<Rows>,
    row: usize,
}

/// The next row of a cursor. The greatest of these comes out of the heap first: that with the smallest key.
struct Head {
    key: OwnedRow,
    cursor: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.row().cmp(&self.key.row()).then_with(|| other.cursor.cmp(&self.cursor))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

/// The rows without the spare memory that decoding left, which can be as much again.
fn tight(batch: RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let (_, mut columns, _) = batch.into_parts();
    columns.iter_mut().for_each(|column| column.shrink_to_fit());
    RecordBatch::try_new(schema.clone(), columns).context(Kind::Bug, || "rows as a batch".to_owned())
}

/// See the module.
pub(super) struct Merge<'a> {
    bound: &'a Bound,
    keep: Option<Keep<'a>>,
    converter: RowConverter,
    sort: Vec<usize>,
    inputs: Vec<Input>,
    cursors: Vec<Cursor>,
    heads: BinaryHeap<Head>,
    /// Batches that cursors are in or that the next chunk takes rows from.
    held: Vec<RecordBatch>,
    /// Rows of all files, and by column those of files that keep it as a dictionary.
    rows: u64,
    repeating: HashMap<String, u64>,
    /// Rows read, those that do not stay included.
    pub(super) read: u64,
}

impl<'a> Merge<'a> {
    /// Opens the files.
    ///
    /// # Errors
    /// `Corrupt` naming a file that is missing or damaged.
    pub(super) fn open(bound: &'a Bound, sources: &[Source], keep: Option<Keep<'a>>) -> Result<Self> {
        let sort: Vec<usize> =
            bound.def.sort.iter().filter_map(|name| bound.arrow.index_of(name).ok()).collect();
        let fields =
            sort.iter().map(|&at| SortField::new(bound.arrow.field(at).data_type().clone())).collect();
        let converter =
            RowConverter::new(fields).context(Kind::Bug, || format!("sort rows of {}", bound.def.name))?;
        let (inputs, cursors, heads, held) = (Vec::new(), Vec::new(), BinaryHeap::new(), Vec::new());
        let (rows, repeating, read) = (0, HashMap::new(), 0);
        let mut merge =
            Self { bound, keep, converter, sort, inputs, cursors, heads, held, rows, repeating, read };
        for source in sources {
            merge.add(source)?;
        }
        Ok(merge)
    }

    /// Rows in memory: all that are still to come, unless there are large files.
    pub(super) fn held(&self) -> &[RecordBatch] {
        &self.held
    }

    /// Whether the values of a column come again in most of the files, as far as these tell by how they keep it.
    pub(super) fn repeats(&self, column: &str) -> bool {
        self.repeating.get(column).is_some_and(|rows| rows * 2 > self.rows)
    }

    fn note_encodings(&mut self, groups: &[RowGroupMetaData]) {
        for group in groups {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            self.rows += rows;
            for column in group.columns() {
                // Behind a dictionary that grew too large the rest is kept without.
                let whole = column.encodings().all(|encoding| encoding != Encoding::DELTA_LENGTH_BYTE_ARRAY);
                if whole && column.dictionary_page_offset().is_some() {
                    *self.repeating.entry(column.column_path().string()).or_default() += rows;
                }
            }
        }
    }

    fn add(&mut self, source: &Source) -> Result<()> {
        let unread = || format!("read {}", source.location);
        let file = match &source.group {
            Some((file, _)) => file.try_clone().context(Kind::Unavailable, unread)?,
            None => source.objects.fetch(&source.location)?,
        };
        let mut builder = ParquetRecordBatchReaderBuilder::try_new(file).context(Kind::Corrupt, unread)?;
        if let Some((_, number)) = source.group {
            builder = builder.with_row_groups(vec![number]);
        }
        let fitting = Fitting::new(self.bound, builder.schema())?;
        let groups = match source.group {
            Some((_, number)) => &builder.metadata().row_groups()[number..=number],
            None => builder.metadata().row_groups(),
        };
        let bytes: i64 = groups.iter().map(|group| group.total_byte_size()).sum();
        let left: usize = groups.iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).sum();
        self.note_encodings(groups);
        let whole = u64::try_from(bytes).is_ok_and(|bytes| bytes <= WHOLE_BYTES);
        let batch_rows = if whole { left.max(1) } else { BATCH_ROWS };
        let reader = builder.with_batch_size(batch_rows).build().context(Kind::Corrupt, unread)?;
        let number = self.inputs.len();
        self.inputs.push(Input { reader: Some(reader), left, fitting, location: source.location.clone() });
        self.cursors.push(Cursor::default());
        let first = if source.sorted { self.next_batch(number)? } else { self.sorted_whole(number)? };
        self.enter(number, first)
    }

    /// The next rows of a file that stay.
    fn next_batch(&mut self, number: usize) -> Result<Option<RecordBatch>> {
        let input = &mut self.inputs[number];
        while let Some(reader) = &mut input.reader {
            let Some(batch) = reader.next() else {
                input.reader = None;
                break;
            };
            let batch = batch.context(Kind::Corrupt, || format!("read {}", input.location))?;
            self.read += batch.num_rows() as u64;
            input.left = input.left.saturating_sub(batch.num_rows());
            if input.left == 0 {
                input.reader = None;
            }
            let mut batch = tight(input.fitting.fit(batch)?, &self.bound.arrow)?;
            if let Some(keep) = self.keep {
                let stays = keep(&batch)?;
                batch =
                    filter_record_batch(&batch, &stays).context(Kind::Bug, || "leave rows out".to_owned())?;
            }
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// All rows of a file whose order is not the table's.
    fn sorted_whole(&mut self, number: usize) -> Result<Option<RecordBatch>> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next_batch(number)? {
            batches.push(batch);
        }
        let bug = || format!("sort rows of {}", self.bound.def.name);
        let whole = arrow::compute::concat_batches(&self.bound.arrow, &batches).context(Kind::Bug, bug)?;
        if whole.num_rows() == 0 {
            return Ok(None);
        }
        let column = |&at: &usize| SortColumn { values: whole.column(at).clone(), options: None };
        let columns: Vec<SortColumn> = self.sort.iter().map(column).collect();
        let order = lexsort_to_indices(&columns, None).context(Kind::Bug, bug)?;
        take_record_batch(&whole, &order).context(Kind::Bug, bug).map(Some)
    }

    /// Puts a cursor at the start of its next batch; there may be none.
    fn enter(&mut self, number: usize, batch: Option<RecordBatch>) -> Result<()> {
        let Some(batch) = batch else {
            self.cursors[number].keys = None;
            return Ok(());
        };
        let columns: Vec<_> = self.sort.iter().map(|&at| batch.column(at).clone()).collect();
        let keys = self.converter.convert_columns(&columns);
        let keys = keys.context(Kind::Bug, || format!("sort rows of {}", self.bound.def.name))?;
        self.heads.push(Head { key: keys.row(0).owned(), cursor: number });
        let cursor = &mut self.cursors[number];
        (cursor.batch, cursor.row, cursor.keys) = (self.held.len(), 0, Some(keys));
        self.held.push(batch);
        Ok(())
    }

    /// The next rows in order, at most `most`; none at the end.
    ///
    /// # Errors
    /// `Corrupt` naming a damaged file.
    pub(super) fn next(&mut self, most: usize) -> Result<Option<RecordBatch>> {
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let most = most.min(self.chunk_rows());
        while taken.len() < most {
            let Some(head) = self.heads.pop() else { break };
            self.run(head.cursor, most, &mut taken)?;
        }
        if taken.is_empty() {
            return Ok(None);
        }
        let held: Vec<&RecordBatch> = self.held.iter().collect();
        let rows = interleave_record_batch(&held, &taken)
            .context(Kind::Bug, || format!("gather rows of {}", self.bound.def.name))?;
        self.release();
        Ok(Some(rows))
    }

    /// Takes rows of one cursor for as long as no other has a smaller one.
    fn run(&mut self, number: usize, most: usize, taken: &mut Vec<(usize, usize)>) -> Result<()> {
        loop {
            let cursor = &mut self.cursors[number];
            let Some(keys) = &cursor.keys else { return Ok(()) };
            taken.push((cursor.batch, cursor.row));
            cursor.row += 1;
            if cursor.row == keys.num_rows() {
                let next = self.next_batch(number)?;
                return self.enter(number, next);
            }
            let row = keys.row(cursor.row);
            let comes_next = self.heads.peek().is_none_or(|head| {
                row.cmp(&head.key.row()).then_with(|| number.cmp(&head.cursor)) == Ordering::Less
            });
            if taken.len() >= most || !comes_next {
                let key = row.owned();
                self.heads.push(Head { key, cursor: number });
                return Ok(());
            }
        }
    }

    /// As many rows as fit the memory of a chunk.
    fn chunk_rows(&self) -> usize {
        let rows: usize = self.held.iter().map(RecordBatch::num_rows).sum();
        let bytes: usize = self.held.iter().map(RecordBatch::get_array_memory_size).sum();
        (CHUNK_BYTES / (bytes / rows.max(1)).max(1)).clamp(16, CHUNK_ROWS)
    }

    /// Lets go of batches no cursor is in.
    fn release(&mut self) {
        let mut kept = Vec::with_capacity(self.cursors.len());
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.keys.is_some()) {
            kept.push(self.held[cursor.batch].clone());
            cursor.batch = kept.len() - 1;
        }
        self.held = kept;
    }
}
