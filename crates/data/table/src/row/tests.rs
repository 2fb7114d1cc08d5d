use super::*;
use crate::schema::{EVENTS, TABLES};
use arrow::array::{Array, AsArray};
use event::Properties;
use identity::PersonMode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

pub(crate) fn event(number: u64) -> EventRow {
    let at = Timestamp::from_microsecond(1_763_600_000_000_000 + number as i64).unwrap();
    EventRow {
        uuid: Uuid::from_u128(number as u128 + 1),
        event: "$pageview".into(),
        distinct_id: format!("user-{}", number % 10),
        timestamp: at,
        created_at: at,
        properties: object(json!({"$browser": "Chrome", "n": number})).into(),
        context: None,
        elements_chain: String::new(),
        person_id: Uuid::from_u128(7),
        person_created_at: at,
        person_properties: Arc::default(),
        person_mode: PersonMode::Full,
        groups: [Some("acme".into()), None, None, None, None],
        group_properties: Properties::new(),
        api_key: "phc_test".into(),
        extra: Map::new(),
    }
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

fn encode_one(table: &str, row: &impl Encode) -> arrow::record_batch::RecordBatch {
    let bound = crate::schema::table(table).unwrap().bound().unwrap();
    let mut encoder = Encoder::new(bound.arrow);
    let at = Timestamp::from_second(1_763_600_000).unwrap();
    row.encode(Origin { project: ProjectId(3), at, spot: 12.into() }, &mut encoder);
    encoder.finish().unwrap()
}

fn text<'a>(batch: &'a arrow::record_batch::RecordBatch, column: &str) -> Option<&'a str> {
    let array = batch.column_by_name(column).unwrap().as_string::<i32>();
    if array.is_null(0) { None } else { Some(array.value(0)) }
}

#[test]
fn promoted_columns_answer_as_the_json_read_as_text() {
    let cases = [
        (json!("Chrome"), Some("Chrome")),
        (json!("with \"quotes\" and \u{e9}"), Some("with \"quotes\" and \u{e9}")),
        (json!(""), Some("")),
        (json!(131), Some("131")),
        (json!(1.5), Some("1.5")),
        (json!(1e300), Some("1e+300")),
        (json!(true), Some("true")),
        (json!(false), Some("false")),
        (json!(null), None),
        (json!(["a", 1]), Some("[\"a\",1]")),
        (json!({"a": null}), Some("{\"a\":null}")),
    ];
    for (value, expected) in cases {
        let mut row = event(1);
        row.properties.insert("$browser", &value);
        assert_eq!(text(&encode_one("events", &row), "p_browser"), expected, "{value}");
    }
    let mut row = event(1);
    row.properties = Properties::new();
    let batch = encode_one("events", &row);
    for column in EVENTS.columns.iter().filter(|column| column.promoted_from.is_some()) {
        assert_eq!(text(&batch, column.name), None, "{}", column.name);
    }
}

#[test]
fn event_columns_hold_what_their_names_say() {
    let mut row = event(5);
    row.extra = object(json!({"z": 1, "a": [true]}));
    row.group_properties = object(json!({"company": {"name": "Acme"}})).into();
    row.context = Some("{\"x\":1}".into());
    let batch = encode_one("events", &row);
    let expected = [
        ("uuid", Some("00000000-0000-0000-0000-000000000006")),
        ("event", Some("$pageview")),
        ("distinct_id", Some("user-5")),
        ("properties", Some("{\"$browser\":\"Chrome\",\"n\":5}")),
        ("context", Some("{\"x\":1}")),
        ("elements_chain", Some("")),
        ("person_id", Some("00000000-0000-0000-0000-000000000007")),
        ("person_properties", Some("{}")),
        ("person_mode", Some("full")),
        ("group_0", Some("acme")),
        ("group_1", None),
        ("group_properties", Some("{\"company\":{\"name\":\"Acme\"}}")),
        ("source", Some("posthog")),
        ("api_key", Some("phc_test")),
        ("extra", Some("{\"z\":1,\"a\":[true]}")),
    ];
    for (column, value) in expected {
        assert_eq!(text(&batch, column), value, "{column}");
    }
    assert_eq!(text(&encode_one("events", &event(1)), "extra"), None);
    assert_eq!(text(&encode_one("events", &event(1)), "group_properties"), None);
    let time = batch.column_by_name("timestamp").unwrap();
    let time = time.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    assert_eq!(time.value(0), row.timestamp.as_microsecond());
}

#[test]
fn every_row_kind_fits_its_table() {
    let at = Timestamp::from_second(1_763_600_000).unwrap();
    let rows = one_of_each(at);
    let batches = [
        encode_one("persons", &rows.persons[0]),
        encode_one("person_distinct_ids", &rows.mappings[0]),
        encode_one("groups", &rows.groups[0]),
        encode_one("heatmaps", &rows.heatmaps[0]),
        encode_one("ingestion_warnings", &rows.warnings[0]),
        encode_one("dead_letter", &rows.dead_letters[0]),
        encode_one("session_replay_blocks", &rows.replay_blocks[0]),
        encode_one("events", &rows.events[0]),
    ];
    for (batch, def) in batches.iter().zip(TABLES) {
        assert_eq!(batch.num_rows(), 1, "{}", def.name);
    }
    assert_eq!(text(&batches[1], "distinct_id"), Some("ann"));
    assert_eq!(text(&batches[4], "details"), Some("{\"id\":\"x\"}"));
    assert_eq!(text(&batches[5], "step"), Some("fold"));
    assert_eq!(text(&batches[6], "urls"), Some("[\"https://a/\"]"));
}

pub(crate) fn one_of_each(at: Timestamp) -> Rows {
    let mut rows = Rows::new(ProjectId(3), at);
    let id = Uuid::from_u128(9);
    rows.events.push(event(0));
    rows.persons.push(PersonRow {
        id,
        created_at: at,
        properties: Arc::new(object(json!({"plan": "pro"})).into()),
        is_identified: true,
        is_deleted: false,
        version: 4,
        last_seen_at: None,
    });
    rows.mappings.push(MappingRow {
        distinct_id: "ann".into(),
        person_id: id,
        version: 1,
        is_deleted: false,
    });
    rows.groups.push(GroupRow {
        group_type_index: 2,
        group_type: "company".into(),
        group_key: "acme".into(),
        created_at: at,
        properties: Arc::default(),
        version: 1,
    });
    rows.heatmaps.push(HeatmapRow {
        kind: "click".into(),
        x: 1,
        y: 2,
        pointer_target_fixed: true,
        viewport_height: 50,
        viewport_width: 80,
        current_url: "https://a/".into(),
        session_id: None,
        scale_factor: 16,
        timestamp: at,
        distinct_id: "ann".into(),
    });
    rows.warnings.push(Warning::new("invalid_heatmap_data").with("id", "x"));
    rows.dead_letters.push(DeadLetterRow {
        reason: "merge_limit".into(),
        step: "fold".into(),
        payload: "{}".into(),
        event_uuid: Some(id),
        event: None,
        distinct_id: None,
    });
    rows.replay_blocks.push(block("s", "ann", "file:///b?range=bytes=0-9"));
    rows
}

#[test]
fn nulls_stand_where_they_were_given_in_every_batch() {
    let bound = EVENTS.bound().unwrap();
    let mut encoder = Encoder::new(bound.arrow);
    let at = Timestamp::from_second(1_763_600_000).unwrap();
    // The second batch has the room of the first, the third needs more.
    for count in [40_u64, 7, 300] {
        for number in 0..count {
            let mut row = event(number);
            row.groups[1] = (number % 5 == 3).then(|| format!("group {number}"));
            row.properties = match number % 3 {
                0 => object(json!({"$os": format!("os {number}")})).into(),
                _ => Properties::new(),
            };
            row.encode(Origin { project: ProjectId(3), at, spot: 12.into() }, &mut encoder);
        }
        let batch = encoder.finish().unwrap();
        assert_eq!(batch.num_rows(), count as usize);
        let column = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let (groups, systems, none) = (column("group_1"), column("p_os"), column("p_gclid"));
        assert_eq!(none.null_count(), none.len());
        for number in 0..count {
            let at = number as usize;
            let group = (number % 5 == 3).then(|| format!("group {number}"));
            let system = (number % 3 == 0).then(|| format!("os {number}"));
            assert_eq!(groups.is_valid(at).then(|| groups.value(at)), group.as_deref());
            assert_eq!(systems.is_valid(at).then(|| systems.value(at)), system.as_deref());
        }
    }
}

/// A block of a recording.
pub(crate) fn block(session: &str, distinct_id: &str, url: &str) -> ReplayBlockRow {
    let at = Timestamp::from_second(1_763_600_000).unwrap();
    ReplayBlockRow {
        session_id: session.into(),
        distinct_id: distinct_id.into(),
        first_timestamp: at,
        last_timestamp: at,
        block_url: Some(url.into()),
        first_url: None,
        urls: vec!["https://a/".into()],
        click_count: 1,
        keypress_count: 2,
        mouse_activity_count: 3,
        active_milliseconds: 4,
        console_log_count: 5,
        console_warn_count: 6,
        console_error_count: 7,
        size: 8,
        event_count: 9,
        message_count: 10,
        snapshot_source: "web".into(),
        snapshot_library: Some("posthog-js".into()),
        retention_period_days: Some(30),
        batch_id: Uuid::from_u128(0x1f),
        is_deleted: false,
    }
}
