//! Rules that the cases do not reach.

use super::cases::answer;
use crate::text::is_true;
use jiff::Timestamp;
use serde_json::{Value, json};

fn one(filter: Value, properties: Value) -> bool {
    let case = json!({
        "project": {"flags": [{"id": 1, "key": "f", "filters": {"groups": [{"properties": [filter]}]}}]},
        "request": {"query": {}, "headers": {}, "body": {"distinct_id": "u", "person_properties": properties}},
    });
    let now: Timestamp = "2022-05-01T00:00:00Z".parse().unwrap();
    answer(&case, now)["flags"]["f"]["enabled"] == true
}

fn passes(operator: &str, value: Value, property: Value) -> bool {
    one(json!({"key": "k", "type": "person", "operator": operator, "value": value}), json!({"k": property}))
}

fn table() -> Vec<(&'static str, Value, Option<Value>, bool)> {
    let csv = include_str!("operators.txt");
    let row = |line: &'static str| {
        let mut cells = line.split(" | ");
        let mut cell = || cells.next().unwrap_or_else(|| panic!("too few cells: {line}")).trim();
        let operator = cell();
        let value = serde_json::from_str(cell()).unwrap();
        let property = match cell() {
            "(missing)" => None,
            text => Some(serde_json::from_str(text).unwrap()),
        };
        (operator, value, property, cell() == "true")
    };
    csv.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(row).collect()
}

#[test]
fn operators_pass_what_the_table_says() {
    for (operator, value, property, wanted) in table() {
        let filter = json!({"key": "k", "type": "person", "operator": operator, "value": value});
        let properties = property.clone().map_or(json!({}), |property| json!({"k": property}));
        assert_eq!(one(filter, properties), wanted, "{operator} {value} {property:?}");
    }
}

#[test]
fn a_list_is_true_when_all_of_it_is() {
    assert!(is_true(&json!([])));
    assert!(is_true(&json!(["TRUE", true])));
    assert!(!is_true(&json!(["true", "no"])));
}

#[test]
fn dates_that_people_write_are_read() {
    assert!(passes("is_date_after", json!("2022-05-01"), json!("May 27, 2022")));
    assert!(passes("is_date_before", json!("2022-05-01"), json!("26 Apr 2022")));
    assert!(passes("is_date_exact", json!("2022-05-01 10:30"), json!("2022-05-01T10:30:00Z")));
    assert!(!passes("is_date_after", json!("2022-05-01"), json!("soon")));
}

#[test]
fn months_ago_are_counted_one_by_one() {
    let case = |property: &str| {
        json!({
            "project": {"flags": [{"id": 1, "key": "f", "filters": {"groups": [{"properties": [
                {"key": "k", "type": "person", "operator": "is_date_exact", "value": "-2m"}
            ]}]}}]},
            "request": {"query": {}, "headers": {}, "body": {"distinct_id": "u", "person_properties": {"k": property}}},
        })
    };
    let now: Timestamp = "2022-03-31T00:00:00Z".parse().unwrap();
    assert_eq!(answer(&case("2022-01-28"), now)["flags"]["f"]["enabled"], true);
    assert_eq!(answer(&case("2022-01-31"), now)["flags"]["f"]["enabled"], false);
}

#[test]
fn a_pattern_that_explodes_matches_nothing() {
    let text = format!("{}b", "a".repeat(40));
    assert!(!passes("regex", json!("^(a+)+(?=c)$"), json!(text)));
    assert!(
        !passes("not_regex", json!("^(a+)+(?=c)$"), json!(text))
            || !passes("regex", json!("^(a+)+(?=c)$"), json!(text))
    );
}

#[test]
fn a_naive_date_is_in_the_zone_of_the_project() {
    let case = |zone: &str| {
        json!({
            "project": {"timezone": zone, "flags": [{"id": 1, "key": "f", "filters": {"groups": [{"properties": [
                {"key": "k", "type": "person", "operator": "is_date_exact", "value": "2022-05-01T00:00:00"}
            ]}]}}]},
            "request": {"query": {}, "headers": {}, "body": {"distinct_id": "u",
                "person_properties": {"k": "2022-04-30T22:00:00Z"}}},
        })
    };
    let now: Timestamp = "2022-05-01T00:00:00Z".parse().unwrap();
    assert_eq!(answer(&case("Europe/Berlin"), now)["flags"]["f"]["enabled"], true);
    assert_eq!(answer(&case("UTC"), now)["flags"]["f"]["enabled"], false);
}
