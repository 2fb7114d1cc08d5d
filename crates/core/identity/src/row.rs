//! What a fold gives to the tables: one struct per table, in column order.

use event::Properties;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// How an event relates to its person, as PostHog's `person_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonMode {
    /// The event updates and shows its person.
    Full,
    /// No person is touched.
    Propertyless,
    /// Sent personless, but the id already belongs to a real person.
    ForceUpgrade,
}

impl PersonMode {
    /// The text stored in the column.
    pub fn text(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Propertyless => "propertyless",
            Self::ForceUpgrade => "force_upgrade",
        }
    }
}

/// One row of `events`.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// Event uuid.
    pub uuid: Uuid,
    /// Event name.
    pub event: String,
    /// Distinct id.
    pub distinct_id: String,
    /// When it happened.
    pub timestamp: Timestamp,
    /// When the server received it.
    pub created_at: Timestamp,
    /// Final properties.
    pub properties: Properties,
    /// Root `context` of the sender, JSON text.
    pub context: Option<String>,
    /// Autocapture elements in PostHog's text form.
    pub elements_chain: String,
    /// The person at the time of writing.
    pub person_id: Uuid,
    /// When that person was created.
    pub person_created_at: Timestamp,
    /// Person properties as this event saw them; empty unless `person_mode` is full.
    pub person_properties: Arc<Properties>,
    /// See [`PersonMode`].
    pub person_mode: PersonMode,
    /// Group keys by index 0-4.
    pub groups: [Option<String>; 5],
    /// Group properties by group type name, of the groups this event belongs to.
    pub group_properties: Properties,
    /// The project key it came with.
    pub api_key: String,
    /// Unknown root fields.
    pub extra: Map<String, Value>,
}

/// One version of a person.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonRow {
    /// Person uuid.
    pub id: Uuid,
    /// Oldest creation time among merged persons.
    pub created_at: Timestamp,
    /// All properties.
    pub properties: Arc<Properties>,
    /// Whether a merge-capable event has identified it.
    pub is_identified: bool,
    /// A tombstone: merged away or deleted.
    pub is_deleted: bool,
    /// Grows with every change; readers keep the greatest.
    pub version: i64,
    /// Floored to the hour.
    pub last_seen_at: Option<Timestamp>,
}

/// One version of a distinct id's mapping to a person.
#[derive(Clone, Debug, PartialEq)]
pub struct MappingRow {
    /// The distinct id.
    pub distinct_id: String,
    /// Its person.
    pub person_id: Uuid,
    /// 0 when events already carry this person; 1 or more makes it an override of history.
    pub version: i64,
    /// The mapping was removed.
    pub is_deleted: bool,
}

/// One version of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRow {
    /// Slot 0-4 of its type.
    pub group_type_index: u8,
    /// Type name.
    pub group_type: String,
    /// Key within the type.
    pub group_key: String,
    /// First seen.
    pub created_at: Timestamp,
    /// All properties.
    pub properties: Arc<Properties>,
    /// Grows with every change.
    pub version: i64,
}

/// One point of a heatmap.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatmapRow {
    /// `click`, `rageclick`, `mousemove`, `scrolldepth`, ...
    pub kind: String,
    /// Horizontal position, in 16-pixel steps.
    pub x: i32,
    /// Vertical position, in 16-pixel steps.
    pub y: i32,
    /// Whether the target keeps its place while scrolling.
    pub pointer_target_fixed: bool,
    /// Viewport height, in 16-pixel steps.
    pub viewport_height: i32,
    /// Viewport width, in 16-pixel steps.
    pub viewport_width: i32,
    /// Page.
    pub current_url: String,
    /// Session, if any.
    pub session_id: Option<String>,
    /// Pixels per step: 16.
    pub scale_factor: i32,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Who.
    pub distinct_id: String,
}
