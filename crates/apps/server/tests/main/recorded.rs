//! What a case left in the tables, and whether that is what it expects.

use crate::case::{Case, bind_value};
use crate::world::World;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};

const COLUMNS: &str = "uuid, event, distinct_id, timestamp, properties, context, extra, person_mode";

/// One row of `events`.
#[derive(Debug)]
pub struct Row {
    pub uuid: String,
    event: Value,
    distinct_id: Value,
    timestamp: Timestamp,
    properties: Map<String, Value>,
    context: Value,
    extra: Map<String, Value>,
    person_mode: Value,
}

/// The events of a project that are not in `known`.
pub fn events(world: &World, project: i64, known: &mut HashSet<String>) -> Vec<Row> {
    let rows = world.ask(project, &format!("SELECT {COLUMNS} FROM events ORDER BY timestamp LIMIT 50000"));
    rows.into_iter().map(row).filter(|row| known.insert(row.uuid.clone())).collect()
}

fn row(cells: Vec<Value>) -> Row {
    let [uuid, event, distinct_id, timestamp, properties, context, extra, person_mode] =
        <[Value; 8]>::try_from(cells).expect("eight columns");
    Row {
        uuid: uuid.as_str().expect("text").to_owned(),
        timestamp: timestamp.as_str().expect("text").parse().expect("a time"),
        properties: object(&properties),
        extra: object(&extra),
        event,
        distinct_id,
        context,
        person_mode,
    }
}

/// A JSON column, which SQL gives as text.
pub fn object(cell: &Value) -> Map<String, Value> {
    cell.as_str().map_or_else(Map::new, |text| serde_json::from_str(text).expect("a JSON object"))
}

/// What is wrong with the events of a case.
pub fn check_events(case: &Case, token: &str, mut found: Vec<Row>) -> Result<(), String> {
    let Some(expected) = &case.expect.events else { return Ok(()) };
    if expected.len() != found.len() {
        return Err(format!("{} events instead of {}: {found:?}", found.len(), expected.len()));
    }
    for wanted in expected {
        let reasons: Vec<Option<String>> = found.iter().map(|row| row.differs(wanted, token)).collect();
        let Some(at) = reasons.iter().position(Option::is_none) else {
            return Err(reasons.into_iter().flatten().collect::<Vec<_>>().join("; "));
        };
        found.remove(at);
    }
    Ok(())
}

impl Row {
    fn differs(&self, wanted: &Map<String, Value>, token: &str) -> Option<String> {
        for (key, value) in wanted {
            let value = &bind_value(value, token);
            if !self.has(key, value) {
                return Some(format!("{key} should be {value} in {self:?}"));
            }
        }
        None
    }

    fn has(&self, key: &str, value: &Value) -> bool {
        let subset = |part: &Map<String, Value>| {
            let wanted = value.as_object().expect("an object");
            wanted.iter().all(|(key, value)| part.get(key) == Some(value))
        };
        let absent = |part: &Map<String, Value>| {
            let keys = value.as_array().expect("a list");
            keys.iter().all(|key| !part.contains_key(key.as_str().expect("text")))
        };
        match key {
            "event" => *value == self.event,
            "distinct_id" => *value == self.distinct_id,
            "uuid" => value.as_str() == Some(&self.uuid),
            "timestamp" => micros(time(value)) == micros(self.timestamp),
            "uuid_v7_at" => {
                let id: uuid::Uuid = self.uuid.parse().expect("a uuid");
                id.get_version_num() == 7 && (id.as_u128() >> 80) as i64 == time(value).as_millisecond()
            }
            "properties" => subset(&self.properties),
            "properties_absent" => absent(&self.properties),
            "extra" => subset(&self.extra),
            "extra_absent" => absent(&self.extra),
            "force_personless" => (*value == true) == (self.person_mode == "propertyless"),
            "ip" => self.properties.get("$ip") == Some(value),
            "context" => *value == self.context,
            // A row does not say how it is marked; `warnings` has a table of its own.
            "historical" | "warnings" => true,
            other => panic!("no such expectation: {other}"),
        }
    }
}

fn time(value: &Value) -> Timestamp {
    value.as_str().expect("text").parse().expect("a time")
}

fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// What is wrong with the warnings of a case that names them.
pub fn check_warnings(case: &Case, world: &World, project: i64) -> Result<(), String> {
    let events = case.expect.events.iter().flatten();
    let lists: Vec<&Vec<Value>> = events.filter_map(|event| event.get("warnings")?.as_array()).collect();
    if lists.is_empty() {
        return Ok(());
    }
    let text = |kind: &Value| kind.as_str().expect("a type").to_owned();
    let mut wanted: Vec<String> = lists.into_iter().flatten().map(text).collect();
    let rows = world.ask(project, "SELECT type FROM ingestion_warnings");
    let mut found: Vec<String> = rows.iter().map(|row| text(&row[0])).collect();
    wanted.sort();
    found.sort();
    if wanted == found { Ok(()) } else { Err(format!("warnings {found:?} instead of {wanted:?}")) }
}

/// One recording as the tables and the blocks they point to have it.
#[derive(Debug)]
struct Recording {
    fields: Map<String, Value>,
}

/// What is wrong with the recordings of a case. Rows hold no `host` and no `lib_version`; the rest must be there.
pub fn check_recordings(case: &Case, token: &str, rows: &[Vec<Value>]) -> Result<(), String> {
    let Some(expected) = &case.expect.recordings else { return Ok(()) };
    let mut found: Vec<Recording> = rows.iter().flat_map(|row| recordings(row)).collect();
    if expected.len() != found.len() {
        return Err(format!("{} recordings instead of {}: {found:?}", found.len(), expected.len()));
    }
    for wanted in expected {
        let fits = |one: &Recording| {
            wanted
                .iter()
                .filter(|(key, _)| !matches!(key.as_str(), "host" | "lib_version"))
                .all(|(key, value)| one.fields.get(key) == Some(&bind_value(value, token)))
        };
        let Some(at) = found.iter().position(fits) else {
            return Err(format!("no recording is {wanted:?} in {found:?}"));
        };
        found.remove(at);
    }
    Ok(())
}

/// Rows of `session_replay_blocks`, whose blocks are on disk only after a commit.
pub fn replay_rows(world: &World, project: i64) -> Vec<Vec<Value>> {
    let columns = "session_id, distinct_id, snapshot_source, snapshot_library, block_url";
    world.ask(project, &format!("SELECT {columns} FROM session_replay_blocks LIMIT 50000"))
}

/// One recording per window of a block.
fn recordings(row: &[Value]) -> Vec<Recording> {
    let url = row[4].as_str().expect("an address");
    let lines = replay::block::decode(&bytes_at(url), 64 << 20).expect("a block");
    let mut windows: Vec<(String, Vec<Value>)> = Vec::new();
    for item in replay::block::items(&lines) {
        let (window, json) = item.expect("an item");
        match windows.iter_mut().find(|(known, _)| *known == window) {
            Some((_, items)) => items.push(json.get().into()),
            None => windows.push((window.into_owned(), vec![json.get().into()])),
        }
    }
    let one = |(window, items): (String, Vec<Value>)| {
        let fields = [
            ("session_id", row[0].clone()),
            ("distinct_id", row[1].clone()),
            ("snapshot_source", row[2].clone()),
            ("lib", row[3].clone()),
            ("window_id", window.into()),
            ("items", Value::Array(items)),
        ];
        Recording { fields: fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect() }
    };
    windows.into_iter().map(one).collect()
}

fn bytes_at(url: &str) -> Vec<u8> {
    let place = replay::Location::parse(url).expect("a location");
    let path = place.object.strip_prefix("file://").expect("a file");
    let mut file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    file.seek(SeekFrom::Start(place.start)).expect("within the file");
    let mut bytes = vec![0; place.length as usize];
    file.read_exact(&mut bytes).expect("whole");
    bytes
}
