//! Some data files go, others take their place: one snapshot, or nothing.
//!
//! The manifests of the change are written beside the pump's commits, against the snapshot of that moment. Under the
//! lock of commits only the list is written and the catalog's pointer moved: snapshots that were appended meanwhile
//! are carried over, because their manifests are simply further lines of the list. When another change came in between
//! the manifests are prepared again. A part whose files are no longer all in the table has lost against somebody: it
//! is left out, and its new files are removed.

use super::expire::PURGE_PROPERTY;
use super::live::{current_manifests, entries, has_live, refuse_deletes};
use super::manifest::{Line, write, write_list};
use super::{aside, clock};
use crate::catalog::is_unclear;
use crate::error::{Context, kind_of};
use crate::warehouse::{self, Warehouse, committed_reach};
use crate::write::discard;
use crate::{Error, Kind, Result};
use event::Reach;
use iceberg::spec::{
    DataFile, FormatVersion, MAIN_BRANCH, ManifestContentType, ManifestEntryRef, ManifestFile, Operation,
    Snapshot, SnapshotReference, SnapshotRetention, SnapshotSummaryCollector, Summary,
};
use iceberg::table::Table;
use iceberg::{TableRequirement, TableUpdate};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a change is prepared before it gives way to others.
const ATTEMPTS: usize = 8;
/// A manifest below this size is merged into the ones a change writes anyway.
const SMALL_MANIFEST: i64 = 2 << 20;
/// How often one looks whether another program's turn is over.
const GLANCE: Duration = Duration::from_millis(50);

/// Files that go and files that hold what is left of their rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// Paths; all of them must be in the table.
    pub(super) removed: Vec<String>,
    /// Their rows.
    pub(super) removed_rows: u64,
    /// Their bytes.
    pub(super) removed_bytes: u64,
    /// Written and synced.
    pub(super) added: Vec<DataFile>,
}

impl Part {
    /// A part that takes `files` out.
    pub(super) fn without(files: &[ManifestEntryRef]) -> Self {
        Self {
            removed: files.iter().map(|file| file.file_path().to_owned()).collect(),
            removed_rows: files.iter().map(|file| file.record_count()).sum(),
            removed_bytes: files.iter().map(|file| file.file_size_in_bytes()).sum(),
            added: Vec::new(),
        }
    }
}

/// What a change did.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    /// The parts that are in the table now.
    pub(super) done: Vec<Part>,
    /// How many others lost against a concurrent change.
    pub(super) lost: usize,
}

pub(super) struct Prepared {
    id: i64,
    parts: Vec<Part>,
    lost: Vec<Part>,
    /// Manifests of the snapshot it was prepared against that the new list leaves out.
    left_out: HashSet<String>,
    written: Vec<ManifestFile>,
    /// What the change adds and removes, in the words of the snapshot summary.
    summary: HashMap<String, String>,
    grown: i64,
}

enum Outcome {
    Done,
    /// The table has changed in a way the manifests do not fit.
    Stale,
    Failed(Error),
    /// Nobody knows: its files must stay.
    Unclear(Error),
}

impl Warehouse {
    /// Makes the change. Files of parts that lost, or of a change that failed, are removed.
    ///
    /// # Errors
    /// `Conflict` when others kept changing the table, `Unavailable` and `Corrupt` as reading and writing it.
    pub(super) async fn replace(
        &self,
        name: &'static str,
        operation: Operation,
        mut parts: Vec<Part>,
    ) -> Result<Replaced> {
        let mut lost = 0;
        for _ in 0..ATTEMPTS {
            let (position, _, table) = self.current(name)?;
            let operation = operation.clone();
            let given = parts.clone();
            let at = table.clone();
            let prepared =
                match aside("preparing a table change", prepare(at, operation.clone(), given)).await {
                    Ok(prepared) => prepared,
                    Err(error) => {
                        discard_parts(&table, &parts).await;
                        return Err(error);
                    }
                };
            telemetry::fail_point!("table.after_replace_manifests");
            discard_parts(&table, &prepared.lost).await;
            lost += prepared.lost.len();
            parts.clone_from(&prepared.parts);
            if parts.is_empty() {
                return Ok(Replaced { done: parts, lost });
            }
            match self.swap_in(position, operation, &prepared).await {
                Outcome::Done => return Ok(Replaced { done: parts, lost }),
                Outcome::Stale => forget(&table, &prepared).await,
                Outcome::Failed(error) => {
                    forget(&table, &prepared).await;
                    discard_parts(&table, &parts).await;
                    return Err(error);
                }
                Outcome::Unclear(error) => return Err(error),
            }
        }
        let (_, _, table) = self.current(name)?;
        discard_parts(&table, &parts).await;
        Err(Error::new(Kind::Conflict, format!("table {name} kept changing; the change gave way")))
    }

    /// Waits while another program has its turn, unless the process ends.
    async fn give_way(&self) {
        while self.others_until().is_some() && !self.stopped.load(Ordering::Acquire) {
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// The part under the lock.
    async fn swap_in(&self, position: usize, operation: Operation, prepared: &Prepared) -> Outcome {
        self.give_way().await;
        let _only = self.committing.clone().lock_owned().await;
        if let Err(error) = self.reconcile(false).await {
            return Outcome::Failed(error);
        }
        let (_, table) = self.at(position);
        let ident = table.identifier();
        let failed = |error: iceberg::Error| {
            let text = format!("change table {ident}: {}", error.message());
            Error::new(kind_of(&error), text).from_source(error)
        };
        let (location, snapshot) = match stage(&table, operation, prepared).await {
            Ok(Some(staged)) => staged,
            Ok(None) => return Outcome::Stale,
            Err(error) => return Outcome::Failed(error),
        };
        telemetry::fail_point!("table.after_replace_list");
        let retention = SnapshotRetention::branch(None, None, None);
        let reference = SnapshotReference::new(prepared.id, retention);
        let updates = vec![
            TableUpdate::AddSnapshot { snapshot },
            TableUpdate::SetSnapshotRef { ref_name: MAIN_BRANCH.to_owned(), reference },
        ];
        let parent = table.metadata().current_snapshot_id();
        let requirements = [
            TableRequirement::UuidMatch { uuid: table.metadata().uuid() },
            TableRequirement::RefSnapshotIdMatch { r#ref: MAIN_BRANCH.to_owned(), snapshot_id: parent },
        ];
        let error = match self.catalog.commit(ident, &requirements, updates).await {
            Ok(now) => {
                telemetry::fail_point!("table.after_replace_swap");
                self.adopt(position, now);
                return Outcome::Done;
            }
            Err(error) => error,
        };
        // Whatever the answer was, the catalog is asked what happened.
        match self.catalog.load_table(ident).await {
            Ok(now) if now.metadata().snapshot_by_id(prepared.id).is_some() => {
                match self.reconcile(true).await {
                    Ok(()) => Outcome::Done,
                    Err(error) => Outcome::Unclear(error),
                }
            }
            Ok(_) if is_unclear(&error) => Outcome::Unclear(failed(error)),
            Ok(now) => {
                let _ = table.file_io().delete(&location).await;
                if now.metadata().current_snapshot_id() == parent {
                    return Outcome::Failed(failed(error));
                }
                match self.reconcile(true).await {
                    Ok(()) => Outcome::Stale,
                    Err(error) => Outcome::Failed(error),
                }
            }
            Err(_) => Outcome::Unclear(failed(error)),
        }
    }
}

/// Writes the list and makes the snapshot; none when the manifests do not fit the table any more.
pub(super) async fn stage(
    table: &Table,
    operation: Operation,
    prepared: &Prepared,
) -> Result<Option<(String, Snapshot)>> {
    let manifests = current_manifests(table).await?;
    let present: HashSet<&str> = manifests.iter().map(|manifest| manifest.manifest_path.as_str()).collect();
    if !prepared.left_out.iter().all(|path| present.contains(path.as_str())) {
        return Ok(None);
    }
    // What is appended takes nothing back, whatever others have taken back.
    if operation != Operation::Append {
        refuse_deletes(table, &manifests)?;
    }
    let kept = manifests.into_iter().filter(|manifest| !prepared.left_out.contains(&manifest.manifest_path));
    let manifests: Vec<ManifestFile> = kept.chain(prepared.written.iter().cloned()).collect();
    let summary = summary(table, operation, prepared, &manifests);
    let metadata = table.metadata();
    let location = write_list(table, prepared.id, manifests).await;
    let location = location.context(Kind::Unavailable, || format!("change table {}", table.identifier()))?;
    let snapshot = Snapshot::builder()
        .with_manifest_list(location.clone())
        .with_snapshot_id(prepared.id)
        .with_parent_snapshot_id(metadata.current_snapshot_id())
        .with_sequence_number(metadata.next_sequence_number())
        .with_summary(summary)
        .with_schema_id(metadata.current_schema_id())
        .with_timestamp_ms(clock::now_ms().max(metadata.last_updated_ms()))
        .build();
    Ok(Some((location, snapshot)))
}

/// Totals are those of the list itself, so that they are right whatever earlier snapshots said.
fn summary(table: &Table, operation: Operation, prepared: &Prepared, manifests: &[ManifestFile]) -> Summary {
    let (mut files, mut rows) = (0_u64, 0_u64);
    for manifest in manifests.iter().filter(|manifest| manifest.content == ManifestContentType::Data) {
        let count = |number: Option<u32>| u64::from(number.unwrap_or(0));
        files += count(manifest.added_files_count) + count(manifest.existing_files_count);
        rows += manifest.added_rows_count.unwrap_or(0) + manifest.existing_rows_count.unwrap_or(0);
    }
    let metadata = table.metadata();
    let before = metadata.current_snapshot().map(|snapshot| &snapshot.summary().additional_properties);
    let before = before.and_then(|known| known.get("total-files-size")?.parse::<i64>().ok());
    let mut said = prepared.summary.clone();
    said.insert("total-data-files".to_owned(), files.to_string());
    said.insert("total-records".to_owned(), rows.to_string());
    if let Some(before) = before {
        said.insert("total-files-size".to_owned(), (before + prepared.grown).max(0).to_string());
    }
    for none in ["total-delete-files", "total-position-deletes", "total-equality-deletes"] {
        said.insert(none.to_owned(), "0".to_owned());
    }
    // An append says how far it reaches itself.
    for (key, offset) in warehouse::said(&committed_reach(metadata)) {
        said.entry(key).or_insert(offset);
    }
    if matches!(operation, Operation::Delete | Operation::Overwrite) {
        said.insert(PURGE_PROPERTY.to_owned(), "true".to_owned());
    }
    Summary { operation, additional_properties: said }
}

pub(super) async fn prepare(table: Table, operation: Operation, parts: Vec<Part>) -> Result<Prepared> {
    let metadata = table.metadata();
    if metadata.format_version() != FormatVersion::V2 {
        let text = format!("table {} has a format version this program cannot change", table.identifier());
        return Err(Error::new(Kind::Invalid, text));
    }
    let manifests = current_manifests(&table).await?;
    refuse_deletes(&table, &manifests)?;
    let mut loaded: Vec<(ManifestFile, Vec<ManifestEntryRef>)> = Vec::with_capacity(manifests.len());
    for manifest in manifests {
        let entries = if has_live(&manifest) { entries(&table, &manifest).await? } else { Vec::new() };
        loaded.push((manifest, entries));
    }
    let live: HashSet<&str> =
        loaded.iter().flat_map(|(_, found)| found).map(|entry| entry.file_path()).collect();
    let there = |part: &Part| part.removed.iter().all(|path| live.contains(path.as_str()));
    let (parts, lost): (Vec<Part>, Vec<Part>) = parts.into_iter().partition(there);
    let removed: HashSet<&str> = parts.iter().flat_map(|part| &part.removed).map(String::as_str).collect();

    let id = clock::fresh_snapshot_id();
    let mut counted = SnapshotSummaryCollector::default();
    let (schema, spec) = (metadata.current_schema(), metadata.default_partition_spec());
    let (mut left_out, mut grown) = (HashSet::new(), 0_i64);
    let mut lines: BTreeMap<i32, Vec<Line>> = BTreeMap::new();
    for (manifest, entries) in &loaded {
        let touched = entries.iter().any(|entry| removed.contains(entry.file_path()));
        if !touched && manifest.manifest_length >= SMALL_MANIFEST && has_live(manifest) {
            continue;
        }
        left_out.insert(manifest.manifest_path.clone());
        let lines = lines.entry(manifest.partition_spec_id).or_default();
        for entry in entries {
            if !removed.contains(entry.file_path()) {
                lines.push(Line::Existing(Arc::clone(entry)));
                continue;
            }
            counted.remove_file(entry.data_file(), schema.clone(), spec.clone());
            grown -= entry.file_size_in_bytes() as i64;
            lines.push(Line::Removed(Arc::clone(entry)));
        }
    }
    for file in parts.iter().flat_map(|part| &part.added) {
        counted.add_file(file, schema.clone(), spec.clone());
        grown += file.file_size_in_bytes() as i64;
        lines.entry(spec.spec_id()).or_default().push(Line::Added(Box::new(file.clone())));
    }
    let mut prepared =
        Prepared { id, lost, left_out, written: Vec::new(), summary: counted.build(), grown, parts };
    tracing::debug!(?operation, parts = prepared.parts.len(), "table change prepared");
    if prepared.parts.is_empty() {
        return Ok(prepared);
    }
    for (spec_id, lines) in lines {
        let spec = metadata.partition_spec_by_id(spec_id).unwrap_or(spec);
        // Those that only name removed files come apart, so that planning does not have to look at them.
        let (gone, rest): (Vec<Line>, Vec<Line>) =
            lines.into_iter().partition(|line| matches!(line, Line::Removed(_)));
        for lines in [rest, gone] {
            match write(&table, id, spec, lines).await {
                Ok(written) => prepared.written.extend(written),
                Err(error) => {
                    forget(&table, &prepared).await;
                    return Err(error);
                }
            }
        }
    }
    Ok(prepared)
}

/// Files that come in beside what is there, up to a log offset: manifests of their own, whatever the table holds.
pub(super) async fn prepare_append(table: &Table, files: Vec<DataFile>, reach: &Reach) -> Result<Prepared> {
    let metadata = table.metadata();
    if metadata.format_version() != FormatVersion::V2 {
        let text = format!("table {} has a format version this program cannot change", table.identifier());
        return Err(Error::new(Kind::Invalid, text));
    }
    let (schema, spec) = (metadata.current_schema(), metadata.default_partition_spec());
    let mut counted = SnapshotSummaryCollector::default();
    for file in &files {
        counted.add_file(file, schema.clone(), spec.clone());
    }
    let grown = files.iter().map(|file| file.file_size_in_bytes() as i64).sum();
    let id = clock::fresh_snapshot_id();
    let lines = files.into_iter().map(|file| Line::Added(Box::new(file))).collect();
    let written = write(table, id, spec, lines).await?;
    let mut summary = counted.build();
    summary.extend(warehouse::said(reach));
    Ok(Prepared {
        id,
        parts: Vec::new(),
        lost: Vec::new(),
        left_out: HashSet::new(),
        written,
        summary,
        grown,
    })
}

/// Removes manifests nothing refers to. Those that cannot be removed stay as orphans.
pub(super) async fn forget(table: &Table, prepared: &Prepared) {
    for manifest in &prepared.written {
        if let Err(error) = table.file_io().delete(&manifest.manifest_path).await {
            tracing::warn!(%error, path = manifest.manifest_path, "cannot remove a manifest nothing refers to");
        }
    }
}

async fn discard_parts(table: &Table, parts: &[Part]) {
    for part in parts {
        discard(table, &part.added).await;
    }
}
