//! What is broken fails by itself, and what is not known never becomes true.

use super::cases::{answer, compile};
use crate::{Groups, Person, Scope, Subject};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

fn now() -> Timestamp {
    "2022-05-01T00:00:00Z".parse().unwrap()
}

fn flags(project: Value) -> Value {
    let request = json!({"query": {}, "headers": {}, "body": {"distinct_id": "u", "person_properties": {}}});
    answer(&json!({"project": project, "request": request}), now())
}

fn everybody(id: i64, key: &str) -> Value {
    json!({"id": id, "key": key, "filters": {"groups": [{"properties": [], "rollout_percentage": 100}]}})
}

fn in_cohort(id: i64, key: &str, cohort: i64) -> Value {
    let filter = json!({"key": "id", "type": "cohort", "value": cohort});
    json!({"id": id, "key": key, "filters": {"groups": [{"properties": [filter]}]}})
}

fn made_of(id: i64, part: i64) -> Value {
    let leaf = json!({"key": "id", "type": "cohort", "value": part});
    json!({"id": id, "filters": {"properties": {"type": "OR", "values": [{"type": "AND", "values": [leaf]}]}}})
}

#[test]
fn a_flag_that_cannot_be_read_harms_no_other() {
    let broken = json!({"id": 1, "key": "broken", "filters": {"groups": "everybody"}});
    let found = flags(json!({"flags": [broken, everybody(2, "whole")]}));
    assert_eq!(found["errorsWhileComputingFlags"], true);
    assert_eq!(found["flags"]["broken"]["failed"], true);
    assert_eq!(found["flags"]["broken"]["enabled"], false);
    assert_eq!(found["flags"]["whole"]["enabled"], true);
}

#[test]
fn cohorts_that_are_missing_or_go_in_a_circle_fail_their_flag() {
    let found = flags(json!({
        "flags": [in_cohort(1, "circle", 1), in_cohort(2, "missing", 9), in_cohort(3, "inner", 3)],
        "cohorts": [made_of(1, 2), made_of(2, 1), made_of(3, 8)],
    }));
    let code = |key: &str| found["flags"][key]["reason"]["code"].clone();
    assert_eq!(code("circle"), "dependency_cycle_cohort");
    assert_eq!(code("missing"), "dependency_not_found_cohort");
    assert_eq!(code("inner"), "dependency_not_found_cohort");
    assert_eq!(found["errorsWhileComputingFlags"], true);
}

#[test]
fn flags_in_a_circle_are_off_and_so_is_what_depends_on_them() {
    let on = |id: i64, key: &str, other: &str| {
        let filter = json!({"key": other, "type": "flag", "operator": "flag_evaluates_to", "value": true});
        json!({"id": id, "key": key, "filters": {"groups": [{"properties": [filter]}]}})
    };
    let found =
        flags(json!({"flags": [on(1, "a", "2"), on(2, "b", "1"), on(3, "c", "1"), on(4, "d", "77")]}));
    for key in ["a", "b", "c", "d"] {
        assert_eq!(found["flags"][key]["reason"]["code"], "missing_dependency", "{key}");
        assert_eq!(found["flags"][key]["enabled"], false);
    }
    assert_eq!(found["errorsWhileComputingFlags"], false);
}

#[test]
fn when_the_store_is_away_only_what_does_not_need_it_is_answered() {
    let by = |id: i64, key: &str, name: &str, operator: &str| {
        let filter = json!({"key": name, "type": "person", "operator": operator, "value": "x"});
        json!({"id": id, "key": key, "filters": {"groups": [{"properties": [filter]}]}})
    };
    let set = compile(&json!({
        "flags": [everybody(1, "all"), by(2, "said", "plan", "exact"), by(3, "stored", "email", "is_not"),
            in_cohort(4, "listed", 7)],
        "cohorts": [{"id": 7, "is_static": true}],
    }));
    let (empty, none) = (Map::new(), BTreeMap::new());
    let overrides = json!({"plan": "x"});
    let subject = Subject {
        distinct_id: "u",
        anon_distinct_id: None,
        device_id: None,
        overrides: overrides.as_object().unwrap(),
        place: &empty,
        person: Person::Failed,
        group_keys: &BTreeMap::new(),
        group_overrides: &none,
        groups: Groups::Failed,
        hash_keys: None,
        id_value: &json!("u"),
    };
    let decisions = set.evaluate(&subject, &Scope::ALL, now());
    let found: Vec<(&str, bool, &str)> =
        decisions.iter().map(|one| (one.flag.key.as_str(), one.is_enabled, one.reason.code())).collect();
    assert_eq!(
        found,
        [
            ("all", true, "condition_match"),
            ("said", true, "condition_match"),
            ("stored", false, "database_error"),
            ("listed", false, "database_error"),
        ]
    );
}

#[test]
fn a_cohort_of_nobody_has_nobody_and_an_empty_group_has_everybody() {
    let found = flags(json!({
        "flags": [in_cohort(1, "nobody", 1), in_cohort(2, "everybody", 2)],
        "cohorts": [{"id": 1}, {"id": 2, "filters": {"properties": {}}}],
    }));
    assert_eq!(found["flags"]["nobody"]["enabled"], false);
    assert_eq!(found["flags"]["everybody"]["enabled"], true);
}
