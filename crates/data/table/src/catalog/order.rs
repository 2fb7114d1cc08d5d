//! Snapshots in the order of their times, also when the clock was set back: Iceberg refuses a snapshot that is more than
//! a minute older than its table, and a server that waits for the clock to catch up would wait for as long as it jumped.

use iceberg::TableUpdate;
use iceberg::spec::Snapshot;

/// Gives a snapshot that claims to be older than the table the table's own time.
pub(super) fn keep(update: TableUpdate, floor_ms: i64) -> TableUpdate {
    match update {
        TableUpdate::AddSnapshot { snapshot } if snapshot.timestamp_ms() < floor_ms => {
            let moved = Snapshot::builder()
                .with_snapshot_id(snapshot.snapshot_id())
                .with_parent_snapshot_id(snapshot.parent_snapshot_id())
                .with_sequence_number(snapshot.sequence_number())
                .with_timestamp_ms(floor_ms)
                .with_manifest_list(snapshot.manifest_list())
                .with_summary(snapshot.summary().clone())
                .with_schema_id(snapshot.schema_id().unwrap_or_default())
                .build();
            TableUpdate::AddSnapshot { snapshot: moved }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iceberg::spec::{Operation, Summary};
    use std::collections::HashMap;

    fn snapshot(at_ms: i64) -> TableUpdate {
        let summary = Summary { operation: Operation::Append, additional_properties: HashMap::new() };
        let built =
            Snapshot::builder().with_snapshot_id(7).with_parent_snapshot_id(Some(6)).with_sequence_number(3);
        let built =
            built.with_timestamp_ms(at_ms).with_manifest_list("list").with_summary(summary).with_schema_id(2);
        TableUpdate::AddSnapshot { snapshot: built.build() }
    }

    #[test]
    fn a_snapshot_is_not_older_than_its_table() {
        assert_eq!(keep(snapshot(50), 100), snapshot(100));
        assert_eq!(keep(snapshot(150), 100), snapshot(150));
        let other = TableUpdate::RemoveSnapshots { snapshot_ids: vec![1] };
        assert_eq!(keep(other.clone(), 100), other);
    }
}
