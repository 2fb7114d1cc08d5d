//! Which changes of our tables another program may make: it is the result that is judged, whatever the updates were.
//!
//! Columns, partitions, order, place and identity stay as they are. The properties that this program and its library
//! read stay. `main` only moves forward, so that no committed row is taken back unseen and the log offset the table
//! covers is never older than its rows.

use super::{Fault, Reason};
use crate::schema::{Fit, NAMESPACE, TableDef};
use iceberg::spec::{FormatVersion, TableMetadata};
use std::collections::HashSet;
use std::sync::Arc;

/// Beginnings of properties that decide where files lie, how commits are made, and what this program has covered.
const OURS: [&str; 8] = [
    "tenrec.",
    "commit.",
    "encryption.",
    "gc.",
    "write.data.path",
    "write.folder-storage.",
    "write.metadata.",
    "write.object-storage.",
];

/// Judges the change from `before` to `after`.
///
/// # Errors
/// `Refused` with what would break; `Conflict` when it was built on a snapshot that is no longer current.
pub(super) fn check(
    def: &'static TableDef,
    before: &TableMetadata,
    after: &TableMetadata,
) -> Result<(), Fault> {
    let name = def.name;
    let refuse = |why: &str| Err(Fault::refused(format!("{NAMESPACE}.{name} is Tenrec's: {why}")));
    if (before.uuid(), before.location()) != (after.uuid(), after.location()) {
        return refuse("its identity and its folder stay as they are.");
    }
    if before.format_version() != after.format_version() || after.format_version() != FormatVersion::V2 {
        return refuse("its format version stays 2.");
    }
    let schemas = same(before.schemas_iter(), after.schemas_iter());
    if !schemas || before.current_schema_id() != after.current_schema_id() {
        return refuse(
            "its columns are declared by the program that writes them. Put other columns into a table of your own, in \
             another namespace, with the uuid to join by.",
        );
    }
    let specs = same(before.partition_specs_iter(), after.partition_specs_iter());
    if !specs || before.default_partition_spec_id() != after.default_partition_spec_id() {
        return refuse("its partition spec stays as it is: files are written for it.");
    }
    let orders = same(before.sort_orders_iter(), after.sort_orders_iter());
    if !orders || before.default_sort_order_id() != after.default_sort_order_id() {
        return refuse("its sort order stays as it is: files are written in it.");
    }
    if after.encryption_keys_iter().len() > 0 {
        return refuse("it is not encrypted: keys cannot be added.");
    }
    if let Some(key) = changed_property(before, after) {
        return refuse(&format!("property {key} stays as it is."));
    }
    if !matches!(def.fit(after), Ok(Fit::Bound(_))) {
        return refuse("it would not hold the columns that are written any more.");
    }
    check_main(name, before, after)
}

/// Whether two sets hold the same.
fn same<'a, T: PartialEq + 'a>(
    before: impl Iterator<Item = &'a Arc<T>>,
    after: impl Iterator<Item = &'a Arc<T>>,
) -> bool {
    let (before, after): (Vec<_>, Vec<_>) = (before.collect(), after.collect());
    before.len() == after.len() && after.iter().all(|one| before.contains(one))
}

/// A property of ours that would be different.
fn changed_property(before: &TableMetadata, after: &TableMetadata) -> Option<String> {
    let (old, new) = (before.properties(), after.properties());
    let keys: HashSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    changed.filter(|key| OURS.iter().any(|ours| key.starts_with(ours))).min().cloned()
}

/// Checks that the current snapshot is that of before, or a descendant of it.
fn check_main(name: &str, before: &TableMetadata, after: &TableMetadata) -> Result<(), Fault> {
    let Some(old) = before.current_snapshot_id() else { return Ok(()) };
    let mut next = after.current_snapshot();
    let mut newest_is_new = false;
    while let Some(snapshot) = next {
        if snapshot.snapshot_id() == old {
            return Ok(());
        }
        newest_is_new |= before.snapshot_by_id(snapshot.snapshot_id()).is_none();
        next = snapshot.parent_snapshot_id().and_then(|parent| after.snapshot_by_id(parent));
    }
    if newest_is_new {
        let text =
            format!("{NAMESPACE}.{name} has moved on to snapshot {old}: load it and make the change again.");
        return Err(Fault::new(Reason::Conflict, text));
    }
    Err(Fault::refused(format!(
        "{NAMESPACE}.{name} is Tenrec's: `main` only moves forward, because rows committed since an older snapshot would \
         be gone for good. Delete the rows that should go, or make a branch or a tag for the older snapshot."
    )))
}
