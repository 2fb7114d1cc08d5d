//! The recorded cases of `fixtures/identity/cases.json`: events in, tables out.

use super::store::Bench;
use super::{Tables, captured};
use crate::Rules;
use event::{CapturedEvent, Properties};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const CASES: &str = include_str!("../../../../../fixtures/identity/cases.json");
const CREATOR: &str = "$creator_event_uuid";

#[test]
fn every_case() {
    let cases: Vec<Value> = serde_json::from_str(CASES).expect("the cases are JSON");
    let mut failures = Vec::new();
    for case in &cases {
        for restarts in [false, true] {
            let actual = observe(case, restarts);
            for (key, expected) in case["expect"].as_object().expect("an object") {
                if actual.get(key) != Some(expected) {
                    failures.push(format!(
                        "{} {} (restarts: {restarts})\n  {key} expected {expected}\n  {key} actual   {}",
                        case["id"], case["title"], actual[key]
                    ));
                }
            }
        }
    }
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    assert!(failures.is_empty(), "{} of {} differ\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// Folds a case and tells what the tables say, in the form of its expectation.
fn observe(case: &Value, restarts: bool) -> Map<String, Value> {
    let mut bench = Bench::new(rules(&case["opts"]));
    let mut tables = Tables::default();
    for event in case["events"].as_array().expect("events") {
        let event = decode(event);
        let uuid = event.uuid.to_string();
        let folded = bench.fold(event);
        for row in folded.persons.iter().filter(|row| row.version == 0) {
            assert_eq!(row.properties.value(CREATOR), uuid, "{}", case["id"]);
        }
        tables.folded.push(folded);
        if restarts {
            bench.restart();
        }
    }
    bench.commit();
    let fields = [
        ("persons", persons(&tables)),
        ("overrides", overrides(&tables)),
        ("tombstones", json!(tables.tombstones())),
        ("events", events(&tables)),
        ("groups", groups(&tables)),
        ("group_types", json!(bench.store.group_types)),
        ("warnings", warnings(&tables)),
        ("dropped", tables.folded.iter().filter_map(|f| Some(f.dropped?.tag())).collect()),
        ("heatmaps", heatmaps(&tables)),
    ];
    let map: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    sort_persons(map)
}

fn rules(opts: &Value) -> Rules {
    let mut rules = Rules::default();
    for (key, value) in opts.as_object().into_iter().flatten() {
        let on = value == true;
        match key.as_str() {
            "update_all" => rules.update_all_person_properties = on,
            "anonymize_ips" => rules.anonymize_ips = on,
            "heatmap_strict_drop" => rules.heatmap_strict_drop = on,
            "flag_called_personless" => rules.flag_called_personless = on,
            "opt_out" | "person_processing_opt_out" => rules.person_processing_opt_out = on,
            "drop_events_older_than" => {
                rules.drop_events_older_than = value.as_i64().map(jiff::SignedDuration::from_secs);
            }
            other => panic!("unknown option {other}"),
        }
    }
    rules
}

fn decode(event: &Value) -> CapturedEvent {
    let id = match &event["distinct_id"] {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    };
    let at = event["timestamp"].as_str().expect("text").parse().expect("a time");
    captured(event["event"].as_str().expect("text"), &id, at, event["properties"].clone())
}

fn without_creator(properties: &Properties) -> Properties {
    let mut properties = properties.clone();
    properties.remove(CREATOR);
    properties
}

fn persons(tables: &Tables) -> Value {
    let mut ids: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (id, row) in tables.mappings() {
        ids.entry(row.person_id).or_default().push(id);
    }
    let living = tables.living();
    assert_eq!(ids.len(), living.len(), "every mapping points at a living person");
    living
        .into_iter()
        .map(|row| {
            json!({
                "ids": ids[&row.id], "uuid": row.id, "is_identified": row.is_identified,
                "created_at": row.created_at.to_string(), "properties": without_creator(&row.properties),
            })
        })
        .collect()
}

/// The cases list persons in the order of their first id, like this.
fn sort_persons(mut fields: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(persons)) = fields.get_mut("persons") {
        persons.sort_by(|a, b| a["ids"][0].as_str().cmp(&b["ids"][0].as_str()));
    }
    fields
}

fn overrides(tables: &Tables) -> Value {
    let rows = tables.mappings().into_iter().filter(|(_, row)| row.version > 0);
    let map: Map<String, Value> = rows
        .map(|(id, row)| (id.to_owned(), json!({"person_id": row.person_id, "version": row.version})))
        .collect();
    Value::Object(map)
}

fn events(tables: &Tables) -> Value {
    let rows = tables.folded.iter().filter_map(|folded| folded.event.as_ref());
    rows.map(|row| {
        json!({
            "event": row.event, "distinct_id": row.distinct_id, "person_id_at_write": row.person_id,
            "person_id_resolved": tables.resolved(&row.distinct_id, row.person_id),
            "person_mode": row.person_mode.text(), "properties": row.properties,
            "person_properties": without_creator(&row.person_properties),
        })
    })
    .collect()
}

fn groups(tables: &Tables) -> Value {
    let rows = tables.folded.iter().flat_map(|folded| &folded.groups);
    let map: Map<String, Value> = rows
        .map(|row| (format!("{}:{}", row.group_type_index, row.group_key), json!(*row.properties)))
        .collect();
    Value::Object(map)
}

/// PostHog gives no warning where ours is only information.
fn warnings(tables: &Tables) -> Value {
    let rows = tables.folded.iter().flat_map(|folded| &folded.warnings);
    rows.map(|warning| warning.kind.as_str()).filter(|kind| *kind != "joined_identified_person").collect()
}

fn heatmaps(tables: &Tables) -> Value {
    let rows = tables.folded.iter().flat_map(|folded| &folded.heatmaps);
    rows.map(|row| {
        json!({
            "type": row.kind, "x": row.x, "y": row.y, "url": row.current_url, "vh": row.viewport_height,
            "vw": row.viewport_width, "fixed": row.pointer_target_fixed,
        })
    })
    .collect()
}
