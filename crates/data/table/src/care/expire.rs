//! Old snapshots go, and with them the files only they know.
//!
//! A snapshot may go when another has taken its place for longer than the grace period: until then a reader may still
//! be at its files. First the table forgets the snapshots, then files that no other snapshot reaches are unlinked. A
//! crash in between leaves files nothing refers to, for [`super::orphan`].

use super::live::{entries, has_live, manifests};
use super::{aside, clock};
use crate::error::kind_of;
use crate::warehouse::Warehouse;
use crate::{Error, Result};
use iceberg::spec::{MAIN_BRANCH, ManifestFile, Operation, SnapshotRef, TableMetadata};
use iceberg::table::Table;
use iceberg::{TableRequirement, TableUpdate};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// In the summary of a snapshot that took rows out for good (retention, erasure): older snapshots still have them, so
/// they expire however few there are.
pub(super) const PURGE_PROPERTY: &str = "tenrec.purge";

/// What must stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Snapshots kept for time travel, the current one included; at least 1. Those older than the last retention or
    /// erasure are not kept.
    pub keep: usize,
    /// A snapshot stays for as long after another took its place: longer than any query runs.
    pub grace: Duration,
}

impl Default for Expiry {
    fn default() -> Self {
        Self { keep: 20, grace: Duration::from_secs(600) }
    }
}

/// What an expiry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Snapshots gone.
    pub snapshots: usize,
    /// Data files unlinked.
    pub data_files: usize,
    /// Manifests and manifest lists unlinked.
    pub metadata_files: usize,
    /// Bytes of the data files.
    pub bytes: u64,
    /// Snapshots with rows that retention or an erasure took out, which stay because a branch or a tag names them.
    pub held: usize,
}

/// Snapshots of the main branch that may go: beyond the newest `keep`, or older than one that took rows out for good
/// ([`PURGE_PROPERTY`]); in both cases out of date since before `cutoff_ms`.
pub(crate) fn old_snapshots(metadata: &TableMetadata, keep: usize, cutoff_ms: i64) -> Vec<i64> {
    look_back(metadata, keep, cutoff_ms).0
}

/// What [`old_snapshots`] gives, and how many snapshots with rows that were taken out a branch or a tag still holds.
fn look_back(metadata: &TableMetadata, keep: usize, cutoff_ms: i64) -> (Vec<i64>, usize) {
    let Some(mut newer) = metadata.current_snapshot() else { return (Vec::new(), 0) };
    let named = named(metadata);
    let (mut number, mut old, mut held, mut purged) = (1, Vec::new(), 0, false);
    while let Some(next) = newer.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id)) {
        purged |= newer.summary().additional_properties.contains_key(PURGE_PROPERTY);
        if named.contains(&next.snapshot_id()) {
            held += usize::from(purged);
        } else if (purged || number >= keep.max(1)) && newer.timestamp_ms() < cutoff_ms {
            old.push(next.snapshot_id());
        }
        number += 1;
        newer = next;
    }
    (old, held)
}

/// Snapshots that a branch or a tag names. The library does not list them, the metadata file does.
fn named(metadata: &TableMetadata) -> HashSet<i64> {
    let json = serde_json::to_value(metadata).unwrap_or_default();
    let refs = json.get("refs").and_then(|refs| refs.as_object());
    let id = |reference: &serde_json::Value| reference.get("snapshot-id").and_then(serde_json::Value::as_i64);
    refs.map_or_else(HashSet::new, |refs| refs.values().filter_map(id).collect())
}

/// Takes snapshots out of the table's metadata. The caller holds the lock of commits.
pub(crate) async fn drop_snapshots(
    catalog: &dyn crate::catalog::TableCatalog,
    table: &Table,
    ids: Vec<i64>,
) -> iceberg::Result<Table> {
    let current = table.metadata().current_snapshot_id();
    let requirements = [
        TableRequirement::UuidMatch { uuid: table.metadata().uuid() },
        TableRequirement::RefSnapshotIdMatch { r#ref: MAIN_BRANCH.to_owned(), snapshot_id: current },
    ];
    let updates = vec![TableUpdate::RemoveSnapshots { snapshot_ids: ids }];
    catalog.commit(table.identifier(), &requirements, updates).await
}

/// Unlinks what the snapshots of `before` reach and those of `now` do not. A file that cannot be removed is an orphan.
///
/// # Errors
/// `Corrupt` and `Unavailable` when a manifest cannot be read: nothing is unlinked then.
pub(crate) async fn unlink_unreachable(before: Table, now: Table) -> Result<Expired> {
    let mut expired = Expired::default();
    let gone: Vec<&SnapshotRef> = before
        .metadata()
        .snapshots()
        .filter(|snapshot| now.metadata().snapshot_by_id(snapshot.snapshot_id()).is_none())
        .collect();
    expired.snapshots = gone.len();
    let mut superfluous: BTreeMap<String, u64> = BTreeMap::new();
    let mut superfluous_manifests: BTreeMap<String, ManifestFile> = BTreeMap::new();
    // While rows were only appended every manifest and file of an old snapshot is in the current one too.
    let appended = |snapshot: &SnapshotRef| snapshot.summary().operation == Operation::Append;
    if !before.metadata().snapshots().all(appended) {
        for snapshot in &gone {
            let of = manifests(&before, snapshot).await?;
            superfluous_manifests.extend(of.into_iter().map(|m| (m.manifest_path.clone(), m)));
        }
        let mut kept: BTreeMap<String, ManifestFile> = BTreeMap::new();
        for snapshot in now.metadata().snapshots() {
            kept.extend(manifests(&now, snapshot).await?.into_iter().map(|m| (m.manifest_path.clone(), m)));
        }
        superfluous_manifests.retain(|path, _| !kept.contains_key(path));
        for manifest in superfluous_manifests.values().filter(|manifest| has_live(manifest)) {
            for entry in entries(&before, manifest).await? {
                superfluous.insert(entry.file_path().to_owned(), entry.file_size_in_bytes());
            }
        }
        if !superfluous.is_empty() {
            for manifest in kept.values().filter(|manifest| has_live(manifest)) {
                for entry in entries(&now, manifest).await? {
                    superfluous.remove(entry.file_path());
                }
            }
        }
    }
    for (path, bytes) in &superfluous {
        if unlink(&now, path).await {
            expired.data_files += 1;
            expired.bytes += bytes;
        }
        telemetry::fail_point!("table.after_expire_unlink");
    }
    let lists = gone.iter().map(|snapshot| snapshot.manifest_list());
    for path in superfluous_manifests.keys().map(String::as_str).chain(lists) {
        expired.metadata_files += usize::from(unlink(&now, path).await);
    }
    Ok(expired)
}

/// Removes one file; says whether it is gone.
pub(super) async fn unlink(table: &Table, path: &str) -> bool {
    let removed = table.file_io().delete(path).await;
    if let Err(error) = &removed {
        tracing::warn!(%error, path, "cannot remove a file no snapshot needs");
    }
    removed.is_ok()
}

impl Warehouse {
    /// Lets old snapshots of one table go and unlinks the files only they had.
    ///
    /// # Errors
    /// `NotFound` for no such table; `Corrupt`, `Conflict` and `Unavailable` as reading and changing it.
    pub async fn expire(&self, table: &str, policy: &Expiry) -> Result<Expired> {
        let only = self.committing.clone().lock_owned().await;
        // A tag that another program made since our last commit holds its snapshot.
        self.reconcile(true).await?;
        let (position, bound, before) = self.current(table)?;
        let name = bound.def.name;
        let (old, held) = look_back(before.metadata(), policy.keep, clock::ago_ms(policy.grace));
        if old.is_empty() {
            return Ok(Expired { held, ..Expired::default() });
        }
        let now = match drop_snapshots(self.catalog.as_ref(), &before, old).await {
            Ok(now) => now,
            Err(error) => {
                // Committed or not: what the catalog says is what the next expiry begins with.
                self.reconcile(true).await?;
                let text = format!("expire snapshots of {name}: {}", error.message());
                return Err(Error::new(kind_of(&error), text).from_source(error));
            }
        };
        telemetry::fail_point!("table.after_expire_swap");
        self.adopt(position, now.clone());
        drop(only);
        let expired = aside("unlinking old files", unlink_unreachable(before, now)).await?;
        Ok(Expired { held, ..expired })
    }
}
