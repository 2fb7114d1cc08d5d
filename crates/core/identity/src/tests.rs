//! The fold against recorded cases, the rules one by one, and laws that hold for any log.

mod cases;
mod laws;
mod scenario;
mod store;

use crate::{Folded, MappingRow, PersonRow, Rules};
use event::CapturedEvent;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use store::Bench;
use uuid::Uuid;

/// 2026-01-01T00:00:00Z, from which tests count minutes.
const EPOCH: i64 = 1_767_225_600;

/// The time `minute` minutes into the test.
pub(crate) fn minute(minute: i64) -> Timestamp {
    Timestamp::from_second(EPOCH + minute * 60).expect("a time within range")
}

/// An event as capture gives it, with a uuid made of name, id and time.
pub(crate) fn captured(name: &str, distinct_id: &str, at: Timestamp, properties: Value) -> CapturedEvent {
    let properties = serde_json::from_value(properties).expect("properties are an object");
    let seed = format!("{name}/{distinct_id}/{at}");
    CapturedEvent {
        uuid: Uuid::new_v5(&Uuid::NAMESPACE_OID, seed.as_bytes()),
        event: name.to_owned(),
        distinct_id: distinct_id.to_owned(),
        timestamp: at,
        received_at: at,
        sent_at: None,
        ip: None,
        properties,
        context: None,
        extra: Map::new(),
        api_key: "phc_test".to_owned(),
        force_personless: false,
        historical: false,
        content: 0,
        warnings: Vec::new(),
    }
}

/// A personful event without properties.
fn seen(distinct_id: &str, at: i64) -> CapturedEvent {
    captured("seen", distinct_id, minute(at), json!({}))
}

/// A personless event.
fn personless(distinct_id: &str, at: i64) -> CapturedEvent {
    captured("seen", distinct_id, minute(at), json!({"$process_person_profile": false}))
}

/// `$identify` of `distinct_id` that names `anon`.
fn identify(distinct_id: &str, anon: &str, at: i64) -> CapturedEvent {
    captured("$identify", distinct_id, minute(at), json!({"$anon_distinct_id": anon}))
}

/// What readers of the tables see after some folds.
#[derive(Default)]
struct Tables {
    folded: Vec<Folded>,
}

impl Tables {
    fn person_rows(&self) -> impl Iterator<Item = &PersonRow> {
        self.folded.iter().flat_map(|folded| &folded.persons)
    }

    fn mapping_rows(&self) -> impl Iterator<Item = &MappingRow> {
        self.folded.iter().flat_map(|folded| &folded.mappings)
    }

    /// The greatest version of every person, tombstones included.
    fn persons(&self) -> BTreeMap<Uuid, &PersonRow> {
        let mut latest: BTreeMap<Uuid, &PersonRow> = BTreeMap::new();
        for row in self.person_rows() {
            if latest.get(&row.id).is_none_or(|old| old.version < row.version) {
                latest.insert(row.id, row);
            }
        }
        latest
    }

    fn living(&self) -> Vec<&PersonRow> {
        self.persons().into_values().filter(|row| !row.is_deleted).collect()
    }

    fn tombstones(&self) -> Vec<Uuid> {
        self.persons().into_values().filter(|row| row.is_deleted).map(|row| row.id).collect()
    }

    /// The greatest version of every mapping.
    fn mappings(&self) -> BTreeMap<&str, &MappingRow> {
        let mut latest: BTreeMap<&str, &MappingRow> = BTreeMap::new();
        for row in self.mapping_rows() {
            if latest.get(row.distinct_id.as_str()).is_none_or(|old| old.version < row.version) {
                latest.insert(&row.distinct_id, row);
            }
        }
        latest
    }

    /// The person an event belongs to once history is re-attributed.
    fn resolved(&self, distinct_id: &str, at_write: Uuid) -> Uuid {
        match self.mappings().get(distinct_id) {
            Some(row) if row.version > 0 => row.person_id,
            _ => at_write,
        }
    }
}

/// Folds `events` in order into a fresh project.
fn fold_all(events: impl IntoIterator<Item = CapturedEvent>, rules: Rules) -> (Bench, Tables) {
    let mut bench = Bench::new(rules);
    let mut tables = Tables::default();
    for event in events {
        tables.folded.push(bench.fold(event));
    }
    (bench, tables)
}
