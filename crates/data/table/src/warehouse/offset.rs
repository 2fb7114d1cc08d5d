//! Which part of the log a table covers, read from the table.

use crate::commit::OFFSET_PROPERTY;
use iceberg::spec::TableMetadata;

/// The first log offset not covered by the table.
///
/// Our snapshots say it in their summary. Snapshots of other programs on top of ours do not, so the ancestry
/// is walked; and expiry may have removed ours, so the table property written in the same commit counts too.
pub(crate) fn committed_offset(metadata: &TableMetadata) -> u64 {
    let parse = |text: &String| text.parse::<u64>().ok();
    let mut offset = metadata.properties().get(OFFSET_PROPERTY).and_then(parse).unwrap_or(0);
    let mut next = metadata.current_snapshot();
    while let Some(snapshot) = next {
        if let Some(found) = snapshot.summary().additional_properties.get(OFFSET_PROPERTY).and_then(parse) {
            offset = offset.max(found);
            break;
        }
        next = snapshot.parent_snapshot_id().and_then(|id| metadata.snapshot_by_id(id));
    }
    offset
}
