//! Rows that the cases write.

use event::ProjectId;
use identity::{Changes, Mapping, Needs, Person};
use jiff::Timestamp;
use metastore::Checkpoint;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// The project of most cases.
pub const ONE: ProjectId = ProjectId(1);

/// Seconds after 2026-01-01.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).expect("in range")
}

/// A uuid that is a function of its number.
pub fn uuid(number: u64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes())
}

/// A person like a web visitor's.
pub fn person(number: u64, version: i64) -> Person {
    let properties = json!({
        "email": format!("user{number}@example.com"),
        "$browser": "Firefox",
        "$initial_utm_source": null,
        "plan": {"name": "free", "seats": number},
        "score": 0.1,
    });
    Person {
        uuid: uuid(number),
        created_at: at(0),
        properties: Arc::new(serde_json::from_value(properties).expect("an object")),
        is_identified: number.is_multiple_of(2),
        version,
        last_seen_at: number.is_multiple_of(3).then(|| at(3600)),
    }
}

/// A mapping to the person with this number.
pub fn mapping(number: u64, version: i64) -> Mapping {
    Mapping { person: uuid(number), version }
}

/// Needs of distinct ids only.
pub fn ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> Needs {
    Needs { distinct_ids: ids.into_iter().map(str::to_owned).collect(), ..Needs::default() }
}

/// A checkpoint with changes of the first project.
pub fn checkpoint(offset: u64, changes: Changes) -> Arc<Checkpoint> {
    Arc::new(Checkpoint { reach: offset.into(), projects: vec![(ONE, changes)], definitions: Vec::new() })
}
