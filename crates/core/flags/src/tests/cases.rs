//! Every recorded case, and every recorded hash.

use crate::answer::{Answer, Shape};
use crate::property::group_key;
use crate::{
    Cohort, Flag, FlagSet, Groups, Mapping, Matching, Person, Project, Runtime, Scope, Subject, hash,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const CASES: &str = include_str!("../../../../../fixtures/flags/cases.json");
const HASHES: &str = include_str!("../../../../../fixtures/flags/hashes.json");

#[test]
fn hashes_are_those_of_posthog_to_the_last_bit() {
    let vectors: Vec<Value> = serde_json::from_str(HASHES).unwrap();
    assert!(vectors.len() > 20);
    for vector in vectors {
        let part = |name: &str| vector[name].as_str().unwrap();
        let parts = [part("prefix"), part("id"), part("salt")];
        assert_eq!(hash::bits(parts).to_string(), part("n"), "{vector}");
        let bits = u64::from_str_radix(part("bits"), 16).unwrap();
        assert_eq!(hash::share(parts).to_bits(), bits, "{vector}");
    }
}

#[test]
fn every_case_gives_the_recorded_answer() {
    let cases: Value = serde_json::from_str(CASES).unwrap();
    let now: Timestamp = cases["now"].as_str().unwrap().parse().unwrap();
    let cases = cases["cases"].as_array().unwrap();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for case in cases {
        let found = answer(case, now);
        let wanted = &case["expect"]["response_v2"];
        let same = ["flags", "errorsWhileComputingFlags"].iter().all(|key| found[key] == wanted[key]);
        if !same {
            wrong.push(format!("{}\n  {}\n  {}", case["id"], found["flags"], wanted["flags"]));
        }
    }
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Answers a request as the server would, with a project in place of its store.
pub(super) fn answer(case: &Value, now: Timestamp) -> Value {
    let (project, body) = (&case["project"], &case["request"]["body"]);
    let set = compile(project);
    let text =
        |names: &[&str]| names.iter().find_map(|name| body[name].as_str()).filter(|text| !text.is_empty());
    let id: String = match &body["distinct_id"] {
        Value::String(text) => text.chars().take(200).collect(),
        other => other.to_string(),
    };
    let empty = Map::new();
    let object = |name: &str| body[name].as_object().unwrap_or(&empty);
    let group_keys = set.group_keys(object("groups"));
    let group_overrides = set.group_overrides(object("group_properties"));
    let stored = stored_groups(project, &group_keys);
    let person = &project["persons"][&id];
    let listed: Vec<i64> =
        person["cohort_ids"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
    let hash_keys = BTreeMap::new();
    let subject = Subject {
        distinct_id: &id,
        anon_distinct_id: text(&["$anon_distinct_id"]),
        device_id: text(&["$device_id", "device_id"]).or(body["person_properties"]["$device_id"].as_str()),
        overrides: object("person_properties"),
        place: &empty,
        person: person["properties"]
            .as_object()
            .map_or(Person::Unknown, |known| Person::Known(known, &listed)),
        group_keys: &group_keys,
        group_overrides: &group_overrides,
        groups: Groups::Known(&stored),
        hash_keys: Some(&hash_keys),
        id_value: &json!(id),
    };
    let list = |name: &str| -> Option<Vec<String>> { serde_json::from_value(body[name].clone()).ok() };
    let keys = list("flag_keys").or(list("flag_keys_to_evaluate"));
    let contexts = list("evaluation_contexts").or(list("evaluation_environments")).unwrap_or_default();
    let headers = &case["request"]["headers"];
    let is_browser = headers.get("origin").is_some() || headers.get("referer").is_some();
    let scope = Scope {
        is_survey_only: case["request"]["query"]["only_evaluate_survey_feature_flags"] == "true",
        runtime: Runtime::detect(
            body["evaluation_runtime"].as_str(),
            headers["user-agent"].as_str(),
            is_browser,
        ),
        contexts: &contexts,
        keys: keys.as_deref(),
    };
    let decisions = set.evaluate(&subject, &scope, now);
    let answer = Answer {
        shape: Shape::Records,
        decisions: &decisions,
        request_id: "",
        evaluated_at: 0,
        quota_limited: &[],
        has_minimal_events: false,
        config: None,
    };
    serde_json::to_value(answer).unwrap()
}

pub(super) fn compile(project: &Value) -> FlagSet {
    let flags: Vec<Flag> = serde_json::from_value(project["flags"].clone()).unwrap();
    let cohorts: Vec<Cohort> = serde_json::from_value(project["cohorts"].clone()).unwrap_or_default();
    let mapping: Mapping = serde_json::from_value(project["group_type_mapping"].clone()).unwrap_or_default();
    let zone = project["timezone"].as_str().map_or(TimeZone::UTC, |name| TimeZone::get(name).unwrap());
    FlagSet::compile(Project { flags, cohorts, mapping, zone, matching: Matching::Truth })
}

fn stored_groups(project: &Value, keys: &BTreeMap<i32, String>) -> BTreeMap<i32, Map<String, Value>> {
    let find = |(index, key): (&i32, &String)| {
        let name = project["group_type_mapping"][index.to_string()].as_str()?;
        Some((*index, project["groups"][name][key].as_object()?.clone()))
    };
    keys.iter().filter_map(find).collect()
}

#[test]
fn a_number_names_a_group_and_nothing_else_but_text_does() {
    assert_eq!(group_key(Some(&json!(7))), Some("7".to_owned()));
    for other in [json!(""), json!(true), json!(null), json!([1]), json!({})] {
        assert_eq!(group_key(Some(&other)), None, "{other}");
    }
}
