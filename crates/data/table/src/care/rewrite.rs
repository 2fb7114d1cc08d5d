//! Data files of one table partition written anew: sorted, in the columns of today, of good size.

use super::live::{Place, place};
use super::merge::{Keep, Merge, Source};
use super::{clock, replace::Part, stitch};
use crate::encoding;
use crate::objects::Objects;
use crate::schema::Bound;
use crate::sink::Sink;
use crate::write::{FILE_ROWS, discard, sort_order};
use crate::{Error, Kind, Result, error::Context};
use arrow::array::BooleanArray;
use arrow::record_batch::RecordBatch;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{DataFile, Literal, ManifestEntryRef, Struct};
use iceberg::table::Table;
use parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells which rows stay, for as long as it is needed.
pub(super) type Sieve = Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray> + Send + Sync>;

/// What is rewritten.
pub(super) struct Rewrite {
    /// The table.
    pub(super) table: Table,
    /// Its files.
    pub(super) objects: Objects,
    /// All its columns, those of other programs too.
    pub(super) bound: Bound,
    /// Where the rows belong.
    pub(super) place: Place,
    /// Files that go.
    pub(super) files: Vec<ManifestEntryRef>,
    /// A file is closed at this size; see also [`FILE_ROWS`].
    pub(super) target_bytes: usize,
    /// Turns true when there is no time to finish.
    pub(super) stopped: Arc<AtomicBool>,
    /// Which rows stay; all of them when there is none.
    pub(super) sieve: Option<Sieve>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    /// For [`super::replace`].
    pub(super) part: Part,
    /// Rows read.
    pub(super) read: u64,
    /// Rows written.
    pub(super) written: u64,
}

/// Sources that are merged with each other.
#[derive(Default)]
struct Round {
    sources: Vec<Source>,
    rows: u64,
}

/// All columns of the table, as files are written with them: those this program does not know are kept.
pub(super) fn all_columns(bound: &Bound, table: &Table) -> Result<Bound> {
    let schema = table.metadata().current_schema().clone();
    let arrow = schema_to_arrow_schema(&schema).context(Kind::Invalid, || {
        format!("table {} has columns this program cannot write", bound.def.name)
    })?;
    Ok(Bound { def: bound.def, iceberg: schema, arrow: Arc::new(arrow) })
}

/// Whether the rows of a file are in the order the table asks for.
pub(super) fn is_sorted(bound: &Bound, table: &Table, file: &DataFile) -> bool {
    file.sort_order_id().is_some_and(|id| sort_order(bound, table) == Some(id))
}

impl Rewrite {
    /// Writes the new files; removes those already written when it fails.
    ///
    /// Uses the processor for as long as it takes: call it where blocking is allowed.
    pub(super) fn run(&self) -> Result<Rewritten> {
        let mut done = Rewritten::default();
        match self.write(&mut done) {
            Ok(()) => Ok(done),
            Err(error) => {
                futures::executor::block_on(discard(&self.table, &done.part.added));
                Err(error)
            }
        }
    }

    /// What is merged with each other. A row group of a stitched file is rewritten by itself: it is large enough, and
    /// opening all of them at once would take too much memory.
    fn rounds(&self) -> Result<Vec<Round>> {
        let (mut rounds, mut one) = (Vec::new(), Round::default());
        for entry in &self.files {
            let file = entry.data_file();
            if place(&self.table, file) != Some(self.place) {
                return Err(Error::new(Kind::Bug, format!("{} is of another place", file.file_path())));
            }
            if stitch::is_stitched(file) {
                rounds.extend(self.groups(file)?);
                continue;
            }
            one.rows += file.record_count();
            one.sources.push(Source {
                objects: self.objects.clone(),
                location: file.file_path().to_owned(),
                sorted: is_sorted(&self.bound, &self.table, file),
                group: None,
            });
        }
        if !one.sources.is_empty() {
            rounds.push(one);
        }
        Ok(rounds)
    }

    fn groups(&self, file: &DataFile) -> Result<Vec<Round>> {
        let location = file.file_path();
        let opened = Arc::new(self.objects.fetch(location)?);
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&*opened);
        let metadata = metadata.context(Kind::Corrupt, || format!("read {location}"))?;
        let round = |(number, group): (usize, &RowGroupMetaData)| Round {
            rows: u64::try_from(group.num_rows()).unwrap_or(0),
            sources: vec![Source {
                objects: self.objects.clone(),
                location: location.to_owned(),
                sorted: group.sorting_columns().is_some(),
                group: Some((opened.clone(), number)),
            }],
        };
        Ok(metadata.row_groups().iter().enumerate().map(round).collect())
    }

    fn write(&self, done: &mut Rewritten) -> Result<()> {
        done.part = Part::without(&self.files);
        let total = done.part.removed_rows;
        for round in self.rounds()? {
            self.write_round(&round, done)?;
        }
        if self.sieve.is_none() && (done.read, done.written) != (total, total) {
            let text = format!(
                "{} rows of {} came out of files that hold {total} by the table's count; nothing was changed",
                done.written, self.bound.def.name
            );
            return Err(Error::new(Kind::Corrupt, text));
        }
        Ok(())
    }

    fn write_round(&self, round: &Round, done: &mut Rewritten) -> Result<()> {
        // Files of about equal size, so that the last one is not small again.
        let rows = round.rows.div_ceil(round.rows.div_ceil(FILE_ROWS as u64).max(1)) as usize;
        let rows = rows.clamp(1, FILE_ROWS);
        let keep = self.sieve.clone();
        let keep: Option<Keep<'_>> = keep.as_ref().map(|sieve| &**sieve as Keep<'_>);
        let mut merge = Merge::open(&self.bound, &round.sources, keep)?;
        let partition =
            Struct::from_iter([Some(Literal::long(self.place.0)), Some(Literal::date(self.place.1))]);
        let mut open: Option<(Sink<'_>, usize)> = None;
        loop {
            if self.stopped.load(Ordering::Acquire) {
                let text = format!("rewriting {} broke off because the process ends", self.bound.def.name);
                return Err(Error::new(Kind::Unavailable, text));
            }
            let left = rows - open.as_ref().map_or(0, |(_, rows)| *rows);
            let Some(batch) = merge.next(left)? else { break };
            let (sink, filled) = match &mut open {
                Some(open) => open,
                None => {
                    let repeats = |column: &str| merge.repeats(column);
                    let properties = encoding::of_files(&self.bound, rows, merge.held(), repeats);
                    let name = format!("care-{}", clock::fresh_name());
                    let sink = Sink::open(&self.table, &self.bound, partition.clone(), &name, properties)?;
                    open.insert((sink, 0))
                }
            };
            sink.write(&batch)?;
            *filled += batch.num_rows();
            done.written += batch.num_rows() as u64;
            if *filled >= rows || sink.bytes() >= self.target_bytes {
                finish(&mut open, &mut done.part)?;
            }
        }
        finish(&mut open, &mut done.part)?;
        done.read += merge.read;
        Ok(())
    }
}

fn finish(open: &mut Option<(Sink<'_>, usize)>, part: &mut Part) -> Result<()> {
    if let Some((sink, _)) = open.take() {
        part.added.extend(sink.finish()?);
        telemetry::fail_point!("table.after_rewrite_file");
    }
    Ok(())
}
