//! Which part of the log a table covers, said in and read from the table.

use event::Reach;
use iceberg::spec::TableMetadata;
use std::collections::HashMap;

/// Snapshot summary and table property holding the log offset a table covers: every record below it is in. That of log
/// partition N is `tenrec.log-offset.N`, except for the first, which has no number.
pub(crate) const OFFSET_PROPERTY: &str = "tenrec.log-offset";

/// What a snapshot and its table say about the log.
pub(crate) fn said(reach: &Reach) -> HashMap<String, String> {
    let mut said = HashMap::from([(OFFSET_PROPERTY.to_owned(), reach.of(0).to_string())]);
    for (partition, offset) in reach.offsets().iter().enumerate().skip(1) {
        said.insert(format!("{OFFSET_PROPERTY}.{partition}"), offset.to_string());
    }
    said
}

/// Whether a property or an entry of a summary is about the log.
pub(crate) fn is_ours(key: &str) -> bool {
    key.strip_prefix(OFFSET_PROPERTY).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// How far each log partition is covered by the table.
///
/// Our snapshots say it in their summary. Snapshots of other programs on top of ours do not, so the ancestry
/// is walked; and expiry may have removed ours, so the table property written in the same commit counts too.
pub(crate) fn committed_reach(metadata: &TableMetadata) -> Reach {
    let mut reach = read(metadata.properties());
    let mut next = metadata.current_snapshot();
    while let Some(snapshot) = next {
        let summary = &snapshot.summary().additional_properties;
        if summary.contains_key(OFFSET_PROPERTY) {
            reach.merge(&read(summary));
            break;
        }
        next = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
    }
    reach
}

fn read(said: &HashMap<String, String>) -> Reach {
    let mut reach = Reach::default();
    for (key, offset) in said {
        let Some(rest) = key.strip_prefix(OFFSET_PROPERTY) else { continue };
        let partition =
            if rest.is_empty() { Some(0) } else { rest.strip_prefix('.').and_then(|n| n.parse().ok()) };
        // No log has so many partitions; a number from elsewhere must not become memory.
        if let (Some(partition @ 0..=65_535), Ok(offset)) = (partition, offset.parse()) {
            reach.advance(partition, offset);
        }
    }
    reach
}
