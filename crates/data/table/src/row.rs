//! Rows on their way into the tables, and how each becomes columns.

mod encode;
mod encoder;

pub(crate) use encode::{Encode, Origin};
pub(crate) use encoder::Encoder;

use event::{ProjectId, Warning};
use identity::{EventRow, GroupRow, HeatmapRow, MappingRow, PersonRow};
use jiff::Timestamp;
use uuid::Uuid;

/// Everything one log record gives to the tables.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The project of the record: `team_id` of every row.
    pub project: ProjectId,
    /// When the server received the record: the time of rows that have none of their own.
    pub at: Timestamp,
    /// For `events`.
    pub events: Vec<EventRow>,
    /// For `persons`.
    pub persons: Vec<PersonRow>,
    /// For `person_distinct_ids`.
    pub mappings: Vec<MappingRow>,
    /// For `groups`.
    pub groups: Vec<GroupRow>,
    /// For `heatmaps`.
    pub heatmaps: Vec<HeatmapRow>,
    /// For `ingestion_warnings`.
    pub warnings: Vec<Warning>,
    /// For `dead_letter`.
    pub dead_letters: Vec<DeadLetterRow>,
    /// For `session_replay_blocks`.
    pub replay_blocks: Vec<ReplayBlockRow>,
}

impl Rows {
    /// No rows yet.
    pub fn new(project: ProjectId, at: Timestamp) -> Self {
        Self {
            project,
            at,
            events: Vec::new(),
            persons: Vec::new(),
            mappings: Vec::new(),
            groups: Vec::new(),
            heatmaps: Vec::new(),
            warnings: Vec::new(),
            dead_letters: Vec::new(),
            replay_blocks: Vec::new(),
        }
    }

    /// How many rows there are for one table.
    pub(crate) fn count_of(&self, table: &str) -> u64 {
        let rows = match table {
            "events" => self.events.len(),
            "persons" => self.persons.len(),
            "person_distinct_ids" => self.mappings.len(),
            "groups" => self.groups.len(),
            "heatmaps" => self.heatmaps.len(),
            "ingestion_warnings" => self.warnings.len(),
            "dead_letter" => self.dead_letters.len(),
            "session_replay_blocks" => self.replay_blocks.len(),
            _ => 0,
        };
        rows as u64
    }

    /// How many rows there are over all tables.
    pub fn count(&self) -> usize {
        self.events.len()
            + self.persons.len()
            + self.mappings.len()
            + self.groups.len()
            + self.heatmaps.len()
            + self.warnings.len()
            + self.dead_letters.len()
            + self.replay_blocks.len()
    }
}

/// One row of `dead_letter`.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetterRow {
    /// Why, as a stable tag.
    pub reason: String,
    /// Where in the pipeline.
    pub step: String,
    /// What could not be stored, usually JSON.
    pub payload: String,
    /// Event id, when known.
    pub event_uuid: Option<Uuid>,
    /// Event name, when known.
    pub event: Option<String>,
    /// Distinct id, when known.
    pub distinct_id: Option<String>,
}

/// One row of `session_replay_blocks`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayBlockRow {
    /// Session.
    pub session_id: String,
    /// Who, from the first message.
    pub distinct_id: String,
    /// First item.
    pub first_timestamp: Timestamp,
    /// Last item.
    pub last_timestamp: Timestamp,
    /// Object and byte range of the block; `None` when it was not kept.
    pub block_url: Option<String>,
    /// First page seen.
    pub first_url: Option<String>,
    /// Distinct pages seen.
    pub urls: Vec<String>,
    /// Clicks.
    pub click_count: i64,
    /// Key presses.
    pub keypress_count: i64,
    /// Mouse events.
    pub mouse_activity_count: i64,
    /// Time with activity.
    pub active_milliseconds: i64,
    /// Console messages of level info.
    pub console_log_count: i64,
    /// Console messages of level warn.
    pub console_warn_count: i64,
    /// Console messages of level error.
    pub console_error_count: i64,
    /// Uncompressed bytes.
    pub size: i64,
    /// Items.
    pub event_count: i64,
    /// Messages.
    pub message_count: i64,
    /// `web` or `mobile`.
    pub snapshot_source: String,
    /// SDK that recorded it.
    pub snapshot_library: Option<String>,
    /// Days to keep it.
    pub retention_period_days: Option<i32>,
    /// The write that stored it.
    pub batch_id: Uuid,
    /// The recording was deleted.
    pub is_deleted: bool,
}

#[cfg(test)]
pub(crate) mod tests;
