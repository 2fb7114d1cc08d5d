//! `persons`, `person_distinct_ids`, `groups`: append-only versions, the greatest version is current.

use super::{Column, Kind, Partition, TableDef};

pub(super) const PERSONS: TableDef = TableDef {
    name: "persons",
    doc: "One row per version of a person; the row with the greatest `version` is current.",
    columns: &[
        Column::required(1, "team_id", Kind::Long, "Project."),
        Column::required(2, "id", Kind::Uuid, "Person id."),
        Column::required(3, "created_at", Kind::Timestamp, "Oldest creation time among merged persons."),
        Column::required(4, "properties", Kind::Json, "All properties, an object."),
        Column::required(5, "is_identified", Kind::Bool, "A merge-capable event has identified it."),
        Column::required(6, "is_deleted", Kind::Bool, "Merged away or deleted."),
        Column::required(7, "version", Kind::Long, "Grows with every change."),
        Column::optional(8, "last_seen_at", Kind::Timestamp, "Last event, floored to the hour."),
        Column::required(
            9,
            "updated_at",
            Kind::Timestamp,
            "When the server received what caused this version.",
        ),
    ],
    partition: Partition { day_of: "updated_at" },
    sort: &["id", "version"],
};

pub(super) const PERSON_DISTINCT_IDS: TableDef = TableDef {
    name: "person_distinct_ids",
    doc: "One row per version of the mapping from a distinct id to a person; versions of 1 and more override \
          `events.person_id`.",
    columns: &[
        Column::required(1, "team_id", Kind::Long, "Project."),
        Column::required(2, "distinct_id", Kind::Text, "Distinct id."),
        Column::required(3, "person_id", Kind::Uuid, "Its person."),
        Column::required(
            4,
            "version",
            Kind::Long,
            "0 when events already carry this person; grows with every change.",
        ),
        Column::required(5, "is_deleted", Kind::Bool, "The mapping was removed."),
        Column::required(
            6,
            "updated_at",
            Kind::Timestamp,
            "When the server received what caused this version.",
        ),
    ],
    partition: Partition { day_of: "updated_at" },
    sort: &["distinct_id", "version"],
};

pub(super) const GROUPS: TableDef = TableDef {
    name: "groups",
    doc: "One row per version of a group; the row with the greatest `version` is current.",
    columns: &[
        Column::required(1, "team_id", Kind::Long, "Project."),
        Column::required(
            2,
            "group_type_index",
            Kind::Int,
            "Slot 0-4 of its type, as in `events.group_0` to `group_4`.",
        ),
        Column::required(3, "group_type", Kind::Text, "Type name."),
        Column::required(4, "group_key", Kind::Text, "Key within the type."),
        Column::required(5, "created_at", Kind::Timestamp, "First seen."),
        Column::required(6, "properties", Kind::Json, "All properties, an object."),
        Column::required(7, "version", Kind::Long, "Grows with every change."),
        Column::required(
            8,
            "updated_at",
            Kind::Timestamp,
            "When the server received what caused this version.",
        ),
    ],
    partition: Partition { day_of: "updated_at" },
    sort: &["group_type_index", "group_key", "version"],
};
