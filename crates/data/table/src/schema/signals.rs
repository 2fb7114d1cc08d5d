//! `heatmaps`, `ingestion_warnings`, `dead_letter`.

use super::{Column, Kind, Partition, TableDef};

pub(super) const HEATMAPS: TableDef = TableDef {
    name: "heatmaps",
    doc: "One row per heatmap point.",
    columns: &[
        Column::required(1, "team_id", Kind::Long, "Project."),
        Column::required(2, "type", Kind::Text, "`click`, `rageclick`, `mousemove`, `scrolldepth`, ..."),
        Column::required(3, "x", Kind::Int, "Horizontal position in steps of `scale_factor` pixels."),
        Column::required(4, "y", Kind::Int, "Vertical position in steps of `scale_factor` pixels."),
        Column::required(
            5,
            "pointer_target_fixed",
            Kind::Bool,
            "The target keeps its place while scrolling.",
        ),
        Column::required(
            6,
            "viewport_height",
            Kind::Int,
            "Viewport height in steps of `scale_factor` pixels.",
        ),
        Column::required(7, "viewport_width", Kind::Int, "Viewport width in steps of `scale_factor` pixels."),
        Column::required(8, "current_url", Kind::Text, "Page address."),
        Column::optional(9, "session_id", Kind::Text, "Session, if any."),
        Column::required(10, "scale_factor", Kind::Int, "Pixels per step."),
        Column::required(11, "timestamp", Kind::Timestamp, "When it happened."),
        Column::required(12, "distinct_id", Kind::Text, "Who."),
    ],
    partition: Partition { day_of: "timestamp" },
    sort: &["current_url", "timestamp"],
};

pub(super) const INGESTION_WARNINGS: TableDef = TableDef {
    name: "ingestion_warnings",
    doc: "One row per thing about an event that its sender should know.",
    columns: &[
        Column::required(1, "team_id", Kind::Long, "Project."),
        Column::required(2, "source", Kind::Text, "What wrote it; always `ingestion`."),
        Column::required(3, "type", Kind::Text, "Warning type, as PostHog names it."),
        Column::required(4, "details", Kind::Json, "What is needed to find the sender, an object."),
        Column::required(5, "timestamp", Kind::Timestamp, "When the server received the event."),
    ],
    partition: Partition { day_of: "timestamp" },
    sort: &["type", "timestamp"],
};

pub(super) const DEAD_LETTER: TableDef = TableDef {
    name: "dead_letter",
    doc: "One row per payload that was accepted but could not become a row.",
    columns: &[
        Column::required(1, "team_id", Kind::Long, "Project."),
        Column::required(2, "reason", Kind::Text, "Why, as a stable tag."),
        Column::required(3, "step", Kind::Text, "Where in the pipeline."),
        Column::required(4, "payload", Kind::Text, "What could not be stored, usually JSON."),
        Column::required(5, "log_offset", Kind::Long, "Offset of the log record it came from."),
        Column::optional(6, "event_uuid", Kind::Uuid, "Event id, when it was known."),
        Column::optional(7, "event", Kind::Text, "Event name, when it was known."),
        Column::optional(8, "distinct_id", Kind::Text, "Distinct id, when it was known."),
        Column::required(9, "timestamp", Kind::Timestamp, "When the server received it."),
    ],
    partition: Partition { day_of: "timestamp" },
    sort: &["reason", "timestamp"],
};
