//! One row struct into the columns of its table, in column order.

use super::{DeadLetterRow, Encoder, ReplayBlockRow};
use crate::schema::EVENTS;
use event::{ProjectId, Spot, Warning};
use identity::{EventRow, GroupRow, HeatmapRow, MappingRow, PersonRow};
use jiff::Timestamp;
use std::sync::LazyLock;

/// Properties with a column of their own, in the order of these columns, and their hashes.
static PROMOTED: LazyLock<Vec<(&str, u64)>> = LazyLock::new(|| {
    let promoted = EVENTS.columns.iter().filter_map(|column| column.promoted_from);
    promoted.map(|property| (property, event::properties::hash(property))).collect()
});

/// Where rows come from.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    /// Project of the log record.
    pub(crate) project: ProjectId,
    /// Arrival of the log record.
    pub(crate) at: Timestamp,
    /// Place of the log record.
    pub(crate) spot: Spot,
}

/// A row of one table.
pub(crate) trait Encode {
    /// Gives every column in order and closes the row.
    fn encode(&self, origin: Origin, out: &mut Encoder);
}

impl Encode for EventRow {
    fn encode(&self, origin: Origin, out: &mut Encoder) {
        out.uuid(self.uuid);
        out.long(origin.project.0);
        out.text(self.event.as_str());
        out.text(self.distinct_id.as_str());
        out.time(self.timestamp);
        out.time(self.created_at);
        out.properties(&self.properties);
        out.text(self.context.as_deref());
        out.text(self.elements_chain.as_str());
        out.uuid(self.person_id);
        out.time(self.person_created_at);
        out.properties(&self.person_properties);
        out.text(self.person_mode.text());
        for group in &self.groups {
            out.text(group.as_deref());
        }
        match self.group_properties.is_empty() {
            true => out.text(None),
            false => out.properties(&self.group_properties),
        }
        out.text("posthog");
        out.text(self.api_key.as_str());
        match self.extra.is_empty() {
            true => out.text(None),
            false => out.json(&self.extra),
        }
        for (property, hash) in PROMOTED.iter() {
            out.property(self.properties.find_hashed(property, *hash));
        }
        out.end_row();
    }
}

impl Encode for PersonRow {
    fn encode(&self, origin: Origin, out: &mut Encoder) {
        out.long(origin.project.0);
        out.uuid(self.id);
        out.time(self.created_at);
        out.properties(&self.properties);
        out.bool(self.is_identified);
        out.bool(self.is_deleted);
        out.long(self.version);
        out.time(self.last_seen_at);
        out.time(origin.at);
        out.end_row();
    }
}

impl Encode for MappingRow {
    fn encode(&self, origin: Origin, out: &mut Encoder) {
        out.long(origin.project.0);
        out.text(self.distinct_id.as_str());
        out.uuid(self.person_id);
        out.long(self.version);
        out.bool(self.is_deleted);
        out.time(origin.at);
        out.end_row();
    }
}

impl Encode for GroupRow {
    fn encode(&self, origin: Origin, out: &mut Encoder) {
        out.long(origin.project.0);
        out.int(i32::from(self.group_type_index));
        out.text(self.group_type.as_str());
        out.text(self.group_key.as_str());
        out.time(self.created_at);
        out.properties(&self.properties);
        out.long(self.version);
        out.time(origin.at);
        out.end_row();
    }
}

impl Encode for HeatmapRow {
    fn encode(&self, origin: Origin, out: &mut Encoder) {
        out.long(origin.project.0);
        out.text(self.kind.as_str());
        out.int(self.x);
        out.int(self.y);
        out.bool(self.pointer_target_fixed);
        out.int(self.viewport_height);
        out.int(self.viewport_width);
        out.text(self.current_url.as_str());
        out.text(self.session_id.as_deref());
        out.int(self.scale_factor);
        out.time(self.timestamp);
        out.text(self.distinct_id.as_str());
        out.end_row();
    }
}

impl Encode for Warning {
    fn encode(&self, origin: Origin, out: &mut Encoder) {
        out.long(origin.project.0);
        out.text("ingestion");
        out.text(self.kind.as_str());
        out.json(&self.details);
        out.time(origin.at);
        out.end_row();
    }
}

impl Encode for DeadLetterRow {
    fn encode(&self, origin: Origin, out: &mut Encoder) {
        out.long(origin.project.0);
        out.text(self.reason.as_str());
        out.text(self.step.as_str());
        out.text(self.payload.as_str());
        out.long(i64::try_from(origin.spot.offset).unwrap_or(i64::MAX));
        out.uuid(self.event_uuid);
        out.text(self.event.as_deref());
        out.text(self.distinct_id.as_deref());
        out.time(origin.at);
        out.end_row();
    }
}

impl Encode for ReplayBlockRow {
    fn encode(&self, origin: Origin, out: &mut Encoder) {
        out.long(origin.project.0);
        out.text(self.session_id.as_str());
        out.text(self.distinct_id.as_str());
        out.time(self.first_timestamp);
        out.time(self.last_timestamp);
        out.text(self.block_url.as_deref());
        out.text(self.first_url.as_deref());
        out.json(&self.urls);
        for count in [
            self.click_count,
            self.keypress_count,
            self.mouse_activity_count,
            self.active_milliseconds,
            self.console_log_count,
            self.console_warn_count,
            self.console_error_count,
            self.size,
            self.event_count,
            self.message_count,
        ] {
            out.long(count);
        }
        out.text(self.snapshot_source.as_str());
        out.text(self.snapshot_library.as_deref());
        out.int(self.retention_period_days);
        out.uuid(self.batch_id);
        out.bool(self.is_deleted);
        out.end_row();
    }
}
