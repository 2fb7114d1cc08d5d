//! `session_replay_blocks`.

use super::{Column, Kind, Partition, TableDef};

pub(super) const SESSION_REPLAY_BLOCKS: TableDef = TableDef {
    name: "session_replay_blocks",
    doc: "One row per stored block of a session recording; a session is the sum of its blocks.",
    columns: &[
        Column::required(1, "team_id", Kind::Long, "Project."),
        Column::required(2, "session_id", Kind::Text, "Session."),
        Column::required(3, "distinct_id", Kind::Text, "Who, from the block's first message."),
        Column::required(4, "first_timestamp", Kind::Timestamp, "First item of the block."),
        Column::required(5, "last_timestamp", Kind::Timestamp, "Last item of the block."),
        Column::optional(
            6,
            "block_url",
            Kind::Text,
            "Object and byte range holding the block; null when it was not kept.",
        ),
        Column::optional(7, "first_url", Kind::Text, "First page seen in the block."),
        Column::required(8, "urls", Kind::Json, "Distinct pages seen, at most 25, an array of strings."),
        Column::required(9, "click_count", Kind::Long, "Clicks."),
        Column::required(10, "keypress_count", Kind::Long, "Key presses."),
        Column::required(11, "mouse_activity_count", Kind::Long, "Mouse events."),
        Column::required(12, "active_milliseconds", Kind::Long, "Time with activity."),
        Column::required(13, "console_log_count", Kind::Long, "Console messages of level info."),
        Column::required(14, "console_warn_count", Kind::Long, "Console messages of level warn."),
        Column::required(15, "console_error_count", Kind::Long, "Console messages of level error."),
        Column::required(16, "size", Kind::Long, "Uncompressed bytes."),
        Column::required(17, "event_count", Kind::Long, "Recorded items."),
        Column::required(18, "message_count", Kind::Long, "Messages that made up the block."),
        Column::required(19, "snapshot_source", Kind::Text, "`web` or `mobile`."),
        Column::optional(20, "snapshot_library", Kind::Text, "SDK that recorded it."),
        Column::optional(
            21,
            "retention_period_days",
            Kind::Int,
            "Days to keep it; null for the project's default.",
        ),
        Column::required(22, "batch_id", Kind::Uuid, "The write that stored the block."),
        Column::required(23, "is_deleted", Kind::Bool, "The recording was deleted."),
    ],
    partition: Partition { day_of: "first_timestamp" },
    sort: &["session_id", "first_timestamp"],
};
