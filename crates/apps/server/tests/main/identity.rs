//! Every recorded identity case, sent as a batch, and read back with SQL.

use crate::client::Request;
use crate::recorded::object;
use crate::turn::turns;
use crate::world::{Extra, World, block_on, settings};
use event::ProjectId;
use identity::person_id;
use metastore::project;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

const CASES: &str = include_str!("../../../../../fixtures/identity/cases.json");
const CREATOR: &str = "$creator_event_uuid";
/// Warnings that only inform, which the cases leave out.
const INFORMATION: &str = "joined_identified_person";

/// The cases, with what capture adds to their expectations on the way to the fold.
fn cases() -> Vec<Value> {
    let mut all: Vec<Value> = serde_json::from_str(CASES).expect("the cases are JSON");
    for case in &mut all {
        if let Value::Object(changes) = case["over_http"].take() {
            for (field, expected) in changes {
                case["expect"][field] = expected;
            }
        }
    }
    all
}

type Turn = crate::turn::Turn<Value>;

fn switches(case: &Value) -> project::Settings {
    let mut settings = project::Settings::default();
    for (key, value) in case["opts"].as_object().into_iter().flatten() {
        match key.as_str() {
            "update_all" => settings.update_all_person_properties = *value == true,
            other => panic!("unknown option {other}"),
        }
    }
    settings
}

#[test]
fn every_case_reads_the_same_from_memory_and_from_tables() {
    let (cases, elsewhere): (Vec<Value>, Vec<Value>) =
        cases().into_iter().partition(|case| case["not_over_http"].is_null());
    assert_eq!((cases.len(), elsewhere.len()), (93, 2));
    let settings = settings();
    let (folder, turns) = turns(&settings, cases, |case, extra| Extra { settings: switches(case), ..extra });
    let world = folder.start(settings.clone());
    for turn in &turns {
        let body = json!({"api_key": turn.key, "batch": turn.case["events"]});
        let answer = world.send(&Request::json("/batch/", body));
        assert_eq!(answer.status, 200, "{}: {}", turn.case["id"], answer.text());
    }
    world.fence();
    let mut wrong = compare(&world, &turns, "in memory");
    let folder = world.stop();
    for turn in &turns {
        let store = folder.metastore();
        let types = block_on(metastore::group::Store::group_types(&store, ProjectId(turn.project)));
        let types: BTreeMap<String, u8> = types.expect("readable").into_iter().collect();
        if json!(types) != turn.case["expect"]["group_types"] {
            wrong.push(format!("{}: group types {types:?}", turn.case["id"]));
        }
    }
    let world = folder.start(settings);
    wrong.extend(compare(&world, &turns, "in tables"));
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

fn compare(world: &World, turns: &[Turn], place: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for turn in turns {
        let actual = observe(world, turn.project);
        let expect = in_project(&turn.case, turn.project);
        for (field, actual) in actual {
            let mut expected = expect[field].clone();
            if matches!(field, "events" | "warnings" | "heatmaps" | "tombstones") {
                sort(&mut expected);
            }
            if expected != actual {
                let title = format!("{} {} ({place})", turn.case["id"], turn.case["title"]);
                wrong.push(format!("{title}\n  {field} expected {expected}\n  {field} actual   {actual}"));
            }
        }
    }
    wrong
}

/// The expectation with the ids of another project: an id is a function of project and distinct id.
fn in_project(case: &Value, project: i64) -> Value {
    let mut ids = HashMap::new();
    collect(case, &mut |text| {
        let first = person_id::person_id(ProjectId(1), text).to_string();
        ids.insert(first, person_id::person_id(ProjectId(project), text).to_string());
    });
    replace(&case["expect"], &ids)
}

fn collect(value: &Value, note: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => note(text),
        Value::Number(number) => note(&number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, note)),
        Value::Object(map) => map.values().for_each(|item| collect(item, note)),
        _ => {}
    }
}

fn replace(value: &Value, ids: &HashMap<String, String>) -> Value {
    match value {
        Value::String(text) => ids.get(text).unwrap_or(text).clone().into(),
        Value::Array(items) => items.iter().map(|item| replace(item, ids)).collect(),
        Value::Object(map) => map.iter().map(|(key, item)| (key.clone(), replace(item, ids))).collect(),
        other => other.clone(),
    }
}

/// Rows have no order that a query promises. Fields are compared in the order the cases write them.
fn sort(list: &mut Value) {
    if let Value::Array(items) = list {
        items.sort_by_key(Value::to_string);
    }
}

fn sorted(items: impl Iterator<Item = Value>) -> Value {
    let mut list = items.collect();
    sort(&mut list);
    list
}

/// What SQL says of a project, in the form of the cases.
fn observe(world: &World, project: i64) -> Vec<(&'static str, Value)> {
    let mappings = world.ask(
        project,
        "SELECT distinct_id, person_id, version, is_deleted FROM person_distinct_ids ORDER BY version LIMIT 1000",
    );
    let newest: BTreeMap<&str, &Vec<Value>> =
        mappings.iter().map(|row| (row[0].as_str().expect("text"), row)).collect();
    let warnings = world.ask(project, "SELECT type FROM ingestion_warnings LIMIT 1000");
    let warnings = warnings.into_iter().map(|row| row[0].clone()).filter(|kind| kind != INFORMATION);
    let tombstones = world.ask(
        project,
        "SELECT DISTINCT id FROM persons WHERE id NOT IN (SELECT id FROM persons_current) LIMIT 1000",
    );
    let overrides: Map<String, Value> = newest
        .iter()
        .filter(|(_, row)| row[2].as_i64().is_some_and(|version| version > 0))
        .map(|(id, row)| ((*id).to_owned(), json!({"person_id": row[1], "version": row[2]})))
        .collect();
    vec![
        ("persons", persons(world, project, &newest)),
        ("overrides", Value::Object(overrides)),
        ("tombstones", sorted(tombstones.into_iter().map(|row| row[0].clone()))),
        ("events", events(world, project)),
        ("groups", groups(world, project)),
        ("warnings", sorted(warnings)),
        ("heatmaps", heatmaps(world, project)),
    ]
}

fn persons(world: &World, project: i64, mappings: &BTreeMap<&str, &Vec<Value>>) -> Value {
    let rows = world
        .ask(project, "SELECT id, is_identified, created_at, properties FROM persons_current LIMIT 1000");
    let mut persons: Vec<Value> = rows
        .iter()
        .map(|row| {
            let ids: Vec<&str> =
                mappings.iter().filter(|(_, mapping)| mapping[1] == row[0]).map(|(id, _)| *id).collect();
            let created: jiff::Timestamp = row[2].as_str().expect("text").parse().expect("a time");
            json!({"ids": ids, "uuid": row[0], "is_identified": row[1], "created_at": created.to_string(),
                "properties": without(&row[3], &[CREATOR])})
        })
        .collect();
    persons.sort_by(|a, b| a["ids"][0].as_str().cmp(&b["ids"][0].as_str()));
    Value::Array(persons)
}

/// A JSON column less what only a server adds.
fn without(cell: &Value, keys: &[&str]) -> Value {
    let mut map = object(cell);
    for key in keys {
        map.shift_remove(*key);
    }
    Value::Object(map)
}

fn events(world: &World, project: i64) -> Value {
    let rows = world.ask(
        project,
        "SELECT e.event, e.distinct_id, e.person_id, r.person_id, e.person_mode, e.properties, e.person_properties \
         FROM events e JOIN events_resolved r ON e.uuid = r.uuid LIMIT 1000",
    );
    sorted(rows.into_iter().map(|row| {
        json!({"event": row[0], "distinct_id": row[1], "person_id_at_write": row[2], "person_id_resolved": row[3],
            "person_mode": row[4], "person_properties": without(&row[6], &[CREATOR]),
            "properties": without(&row[5], &["$ip"])})
    }))
}

fn groups(world: &World, project: i64) -> Value {
    let rows = world.ask(
        project,
        "SELECT group_type_index, group_key, properties FROM groups ORDER BY version LIMIT 1000",
    );
    let map: Map<String, Value> = rows
        .iter()
        .map(|row| (format!("{}:{}", row[0], row[1].as_str().expect("text")), Value::Object(object(&row[2]))))
        .collect();
    Value::Object(map)
}

fn heatmaps(world: &World, project: i64) -> Value {
    let rows = world.ask(
        project,
        "SELECT type, x, y, current_url, viewport_height, viewport_width, pointer_target_fixed FROM heatmaps LIMIT 1000",
    );
    sorted(rows.into_iter().map(|row| {
        json!({"type": row[0], "x": row[1], "y": row[2], "url": row[3], "vh": row[4], "vw": row[5], "fixed": row[6]})
    }))
}
