//! Small files become few: sorted, of good size, table partition by table partition.
//!
//! Fresh rows come in small files, one per commit and table partition. In a partition that still grows, files are put
//! together with others of their own size class, so that a row is moved once per class and not once per commit. A
//! partition that has been quiet for a while is finished: all its small files become one or a few. Files of half the
//! wanted size or more stay as they are.
//!
//! Files of few rows are merged; the row groups of files of many rows are copied as they are ([`stitch`]).

use super::live::{Place, files, place};
use super::merge::WHOLE_BYTES;
use super::replace::Part;
use super::rewrite::{Rewrite, Rewritten, all_columns, is_sorted};
use super::stitch::{self, Stitch};
use super::{Listener, Progress, aside, clock};
use crate::error::Context;
use crate::schema::Bound;
use crate::warehouse::Warehouse;
use crate::write::FILE_ROWS;
use crate::{Kind, Result};
use iceberg::spec::{ManifestEntryRef, Operation};
use iceberg::table::Table;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// Bytes of the columns of files being merged; a merge takes about four times this while it runs.
const MERGE_BYTES: u64 = 64 << 20;
/// What a file needs that is not read whole: a page and a decompressor of every column.
const OPEN_BYTES: u64 = 16 << 20;
/// Files being merged at once.
const MERGE_FILES: usize = 512;
/// How much larger rows are in memory than in a file.
const INFLATION: u64 = 10;
/// Rows moved before the table learns of it.
const COMMIT_ROWS: u64 = 4 << 20;
/// Files below this size are of the lowest size class.
const LOWEST_CLASS: u64 = 64 << 10;

/// When and how to compact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Small files of one size class that are worth a merge; at least 2.
    pub min_files: usize,
    /// A file is closed at this size. Rows are merged into files of 262144 rows at most, and larger ones put together.
    pub target_bytes: u64,
    /// From as many rows on a row group is not sorted anew with others, only put into one file with them.
    pub group_rows: u64,
    /// A partition without new files for as long is finished.
    pub quiet: Duration,
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            min_files: 8,
            target_bytes: 128 << 20,
            group_rows: 16_384,
            quiet: Duration::from_secs(6 * 3600),
        }
    }
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Table partitions changed.
    pub partitions: usize,
    /// Files before.
    pub files_before: usize,
    /// Files after.
    pub files_after: usize,
    /// Rows moved.
    pub rows: u64,
    /// Bytes before; on disk until the old snapshots expire.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
    /// Merges thrown away because their files were changed at the same time.
    pub lost: usize,
}

/// What choosing needs to know of a file.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    bytes: u64,
    /// When it was written, in milliseconds since 1970; 0 when its name does not tell.
    at_ms: i64,
}

impl Compaction {
    /// Whether a file is less than half full.
    pub(super) fn is_small(&self, bytes: u64) -> bool {
        bytes < self.target_bytes / 2
    }

    fn class(&self, bytes: u64) -> u32 {
        (bytes / LOWEST_CLASS).max(1).ilog(self.min_files.max(2) as u64)
    }

    /// Which files of one partition to put together.
    fn choose(&self, files: &[Candidate], now_ms: i64) -> Vec<usize> {
        let small = |file: &Candidate| self.is_small(file.bytes);
        let chosen: Vec<usize> = (0..files.len()).filter(|&at| small(&files[at])).collect();
        let youngest = files.iter().map(|file| file.at_ms).max().unwrap_or(0);
        let quiet = i64::try_from(self.quiet.as_millis()).unwrap_or(i64::MAX);
        if youngest.saturating_add(quiet) <= now_ms {
            return if chosen.len() >= 2 { chosen } else { Vec::new() };
        }
        let class = |at: &usize| self.class(files[*at].bytes);
        let crowd = |top: &u32| chosen.iter().filter(|at| class(at) == *top).count() >= self.min_files.max(2);
        let highest = chosen.iter().map(class).max().unwrap_or(0);
        match (0..=highest).rev().find(crowd) {
            Some(top) => chosen.iter().copied().filter(|at| class(at) <= top).collect(),
            None => Vec::new(),
        }
    }
}

/// When a file was written, by the UUIDv7 at the end of its name.
fn written_ms(path: &str) -> i64 {
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let uuid = stem.get(stem.len().saturating_sub(32)..).and_then(|text| Uuid::parse_str(text).ok());
    let at = uuid.and_then(|uuid| uuid.get_timestamp()).map(|at| at.to_unix());
    at.map_or(0, |(seconds, nanos)| seconds as i64 * 1000 + i64::from(nanos) / 1_000_000)
}

/// Splits files into merges that fit in memory, in the order they arrived.
fn split(files: Vec<ManifestEntryRef>) -> Vec<Vec<ManifestEntryRef>> {
    let mut groups: Vec<Vec<ManifestEntryRef>> = Vec::new();
    let mut open = 0;
    for file in files {
        let whole = file.file_size_in_bytes() * INFLATION;
        let needs = if whole <= WHOLE_BYTES { whole } else { OPEN_BYTES };
        match groups.last_mut() {
            Some(group) if open + needs <= MERGE_BYTES && group.len() < MERGE_FILES => group.push(file),
            _ => {
                groups.push(vec![file]);
                open = 0;
            }
        }
        open += needs;
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// Files that become one or a few.
enum Work {
    /// Row by row.
    Merge(Vec<ManifestEntryRef>),
    /// Row group by row group.
    Stitch(Vec<ManifestEntryRef>),
}

/// Splits files whose row groups stay into new ones of at most `target_bytes`, in the order they arrived.
fn pack(files: Vec<ManifestEntryRef>, target_bytes: u64) -> Vec<Vec<ManifestEntryRef>> {
    let mut packed: Vec<Vec<ManifestEntryRef>> = Vec::new();
    let mut open = 0;
    for file in files {
        let bytes = file.file_size_in_bytes();
        match packed.last_mut() {
            Some(group) if open + bytes <= target_bytes && group.len() < MERGE_FILES => group.push(file),
            _ => {
                packed.push(vec![file]);
                open = 0;
            }
        }
        open += bytes;
    }
    packed.retain(|group| group.len() > 1);
    packed
}

/// How the chosen files of one partition are put together.
fn arrange(table: &Table, bound: &Bound, policy: &Compaction, chosen: Vec<ManifestEntryRef>) -> Vec<Work> {
    let (ready, rest): (Vec<_>, Vec<_>) = chosen
        .into_iter()
        .partition(|entry| stitch::is_ready(bound, table, entry.data_file(), policy.group_rows));
    // A stitched file from before the table had a column gets it.
    let (stale, small): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|entry| stitch::is_stitched(entry.data_file()));
    let stale = stale.into_iter().map(|file| Work::Merge(vec![file]));
    let merges = split(small).into_iter().map(Work::Merge);
    stale.chain(merges).chain(pack(ready, policy.target_bytes).into_iter().map(Work::Stitch)).collect()
}

/// What there is to do in a table.
async fn plan(table: Table, bound: Bound, policy: Compaction) -> Result<Vec<(Place, Work)>> {
    let now_ms = clock::now_ms();
    let mut places: BTreeMap<Place, Vec<ManifestEntryRef>> = BTreeMap::new();
    for entry in files(&table).await? {
        let file = entry.data_file();
        // A large file in another order would have to be sorted whole in memory.
        let readable = is_sorted(&bound, &table, file)
            || stitch::is_stitched(file)
            || file.record_count() <= FILE_ROWS as u64;
        if let Some(place) = place(&table, file).filter(|_| readable) {
            places.entry(place).or_default().push(entry);
        }
    }
    let mut merges = Vec::new();
    for (place, files) in places {
        let candidate = |entry: &ManifestEntryRef| Candidate {
            bytes: entry.file_size_in_bytes(),
            at_ms: written_ms(entry.file_path()),
        };
        let candidates: Vec<Candidate> = files.iter().map(candidate).collect();
        let chosen = policy.choose(&candidates, now_ms);
        let chosen = chosen.into_iter().map(|at| files[at].clone()).collect();
        let works = arrange(&table, &bound, &policy, chosen);
        merges.extend(works.into_iter().map(|work| (place, work)));
    }
    Ok(merges)
}

impl Warehouse {
    /// Puts small files of one table together. Beside commits and readers; what it replaces stays on disk until expiry.
    ///
    /// # Errors
    /// `NotFound` for no such table, `Invalid` when other programs left delete files, `Corrupt` naming a damaged file,
    /// `Conflict` and `Unavailable`: try again later.
    pub async fn compact(
        &self,
        table: &str,
        policy: &Compaction,
        listener: Listener<'_>,
    ) -> Result<Compacted> {
        let (_, bound, at) = self.current(table)?;
        let name = bound.def.name;
        let bound = all_columns(&bound, &at)?;
        let planned = plan(at.clone(), bound.clone(), policy.clone());
        let merges = aside("planning a compaction", planned).await?;
        let mut progress = Progress { table: name, done: 0, total: merges.len(), rows: 0 };
        listener(progress);
        let (mut compacted, mut parts, mut waiting) = (Compacted::default(), Vec::new(), 0);
        let mut places = std::collections::BTreeSet::new();
        for (place, work) in merges {
            let (table, objects, bound) = (at.clone(), self.objects(), bound.clone());
            let (stopped, sieve) = (self.stopped.clone(), None);
            let target_bytes = usize::try_from(policy.target_bytes).unwrap_or(usize::MAX);
            let work = move || match work {
                Work::Merge(files) => {
                    Rewrite { table, objects, bound, place, files, target_bytes, stopped, sieve }.run()
                }
                Work::Stitch(files) => Stitch { table, objects, bound, place, files, stopped }.run(),
            };
            let done = tokio::task::spawn_blocking(work).await;
            match done.context(Kind::Bug, || format!("compact {name}"))? {
                Ok(done) => {
                    waiting += done.written;
                    progress.rows += done.read;
                    parts.push(done);
                    places.insert(place);
                }
                Err(error) => {
                    // What is merged already is kept.
                    self.settle(name, parts, &mut compacted).await?;
                    return Err(error);
                }
            }
            progress.done += 1;
            listener(progress);
            if waiting >= COMMIT_ROWS {
                self.settle(name, std::mem::take(&mut parts), &mut compacted).await?;
                waiting = 0;
            }
        }
        self.settle(name, parts, &mut compacted).await?;
        compacted.partitions = places.len();
        Ok(compacted)
    }

    async fn settle(
        &self,
        name: &'static str,
        done: Vec<Rewritten>,
        compacted: &mut Compacted,
    ) -> Result<()> {
        if done.is_empty() {
            return Ok(());
        }
        let parts: Vec<Part> = done.into_iter().map(|done| done.part).collect();
        let replaced = self.replace(name, Operation::Replace, parts).await?;
        compacted.lost += replaced.lost;
        for part in &replaced.done {
            compacted.files_before += part.removed.len();
            compacted.bytes_before += part.removed_bytes;
            compacted.files_after += part.added.len();
            compacted.rows += part.added.iter().map(|file| file.record_count()).sum::<u64>();
            compacted.bytes_after += part.added.iter().map(|file| file.file_size_in_bytes()).sum::<u64>();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(sizes: &[(u64, usize)]) -> Vec<Candidate> {
        let one = |bytes: u64| Candidate { bytes, at_ms: 1_000_000 };
        sizes.iter().flat_map(|&(bytes, count)| std::iter::repeat_n(one(bytes), count)).collect()
    }

    #[test]
    fn files_of_one_size_class_are_merged() {
        let policy = Compaction { quiet: Duration::from_secs(10), ..Compaction::default() };
        let chosen = |sizes: &[(u64, usize)], now| policy.choose(&files(sizes), now).len();
        assert_eq!(chosen(&[(50_000, 7)], 1_000_000), 0);
        assert_eq!(chosen(&[(50_000, 8)], 1_000_000), 8);
        // One that was merged before is not merged again with every handful of small ones.
        assert_eq!(chosen(&[(4_000_000, 1), (50_000, 7)], 1_000_000), 0);
        assert_eq!(chosen(&[(4_000_000, 1), (50_000, 8)], 1_000_000), 8);
        assert_eq!(chosen(&[(700_000, 8), (50_000, 3)], 1_000_000), 11);
        // Full files are left alone; a quiet partition is finished.
        assert_eq!(chosen(&[(100 << 20, 20)], 1_000_000), 0);
        assert_eq!(chosen(&[(100 << 20, 5), (4_000_000, 1), (50_000, 2)], 1_010_000), 3);
        assert_eq!(chosen(&[(100 << 20, 5), (50_000, 1)], 1_010_000), 0);
    }

    #[test]
    fn names_tell_when_a_file_was_written() {
        let name = format!("file:///d/000000000007-{}.parquet", clock::fresh_name());
        assert!((clock::now_ms() - written_ms(&name)).abs() < 10_000);
        assert_eq!(written_ms("file:///d/00000-0-abc.parquet"), 0);
    }
}
