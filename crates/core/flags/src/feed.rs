//! The definitions that server SDKs fetch to evaluate flags themselves.

use crate::dependency::Order;
use crate::filter::cohort_id;
use crate::{Cohort, Flag, FlagSet, Matching};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What SDKs need to know beside the flags.
#[derive(Clone, Copy, Debug, Default)]
pub struct About {
    /// How `exact` compares.
    pub matching: Matching,
    /// Whether they may send less with each `$feature_flag_called`.
    pub has_minimal_events: bool,
}

/// The feed: flags with the names of those they depend on, cohorts they can look into, group types.
pub fn write(set: &FlagSet, cohorts: &[Cohort], about: About) -> Value {
    let living: BTreeMap<i64, &Cohort> =
        cohorts.iter().filter(|cohort| !cohort.deleted).map(|cohort| (cohort.id, cohort)).collect();
    let by_id: BTreeMap<String, usize> =
        set.flags.iter().enumerate().map(|(at, flag)| (flag.id.to_string(), at)).collect();
    let sent = || set.flags.iter().filter(|flag| !flag.is_remote_configuration);
    let flags: Vec<Value> = sent().map(|flag| entry(flag, set, &by_id)).collect();
    let mapping: Map<String, Value> =
        set.mapping.iter().map(|(index, name)| (index.to_string(), Value::from(name.as_str()))).collect();
    let mut feed = json!({
        "flags": flags,
        "group_type_mapping": mapping,
        "cohorts": reachable(sent(), &living),
        "property_matching_version": if about.matching == Matching::Text { 2 } else { 1 },
    });
    if about.has_minimal_events {
        feed["minimal_flag_called_events"] = Value::Bool(true);
    }
    feed
}

fn entry(flag: &Flag, set: &FlagSet, by_id: &BTreeMap<String, usize>) -> Value {
    let mut filters = flag.filters.clone();
    for group in filters.get_mut("groups").and_then(Value::as_array_mut).into_iter().flatten() {
        for property in group.get_mut("properties").and_then(Value::as_array_mut).into_iter().flatten() {
            if property.get("type").and_then(Value::as_str) == Some("flag") {
                name_dependency(property, &set.flags, &set.order, by_id);
            }
        }
    }
    json!({
        "id": flag.id,
        "team_id": flag.team_id,
        "name": flag.name,
        "key": flag.key,
        "filters": filters,
        "deleted": flag.deleted,
        "active": flag.active,
        "ensure_experience_continuity": flag.ensure_experience_continuity,
        "has_encrypted_payloads": flag.has_encrypted_payloads,
        "version": flag.version,
        "evaluation_runtime": flag.evaluation_runtime,
        "evaluation_contexts": flag.evaluation_contexts,
        "bucketing_identifier": flag.bucketing_identifier,
        "has_experiment": flag.has_experiment,
    })
}

/// Replaces the number of a flag by its key, and adds what has to be evaluated before: SDKs know flags by key only.
fn name_dependency(property: &mut Value, flags: &[Flag], order: &Order, by_id: &BTreeMap<String, usize>) {
    let id = crate::text::text(&property["key"]).into_owned();
    let chain = by_id.get(&id).map(|at| order.chain(*at)).unwrap_or_default();
    if let Some(at) = by_id.get(&id) {
        property["key"] = Value::from(flags[*at].key.as_str());
    }
    property["dependency_chain"] = chain.iter().map(|at| Value::from(flags[*at].key.as_str())).collect();
}

/// Cohorts that flags look into, and those that these are made of. Lists of members stay here: an SDK that misses a
/// cohort asks.
fn reachable<'a>(flags: impl Iterator<Item = &'a Flag>, living: &BTreeMap<i64, &Cohort>) -> Value {
    let mut open: Vec<i64> = flags.flat_map(|flag| named(&flag.filters)).collect();
    let (mut seen, mut found) = (BTreeSet::new(), Map::new());
    while let Some(id) = open.pop() {
        let Some(cohort) = living.get(&id).filter(|_| seen.insert(id)) else { continue };
        if cohort.is_static {
            continue;
        }
        let group = cohort.group().cloned().unwrap_or_else(|| json!({"type": "OR", "values": []}));
        found.insert(id.to_string(), group);
        open.extend(cohort.parts());
    }
    Value::Object(found)
}

fn named(filters: &Value) -> Vec<i64> {
    let groups = filters.get("groups").and_then(Value::as_array).into_iter().flatten();
    let properties = groups.filter_map(|group| group.get("properties")?.as_array()).flatten();
    let of_cohort = |property: &&Value| property.get("type").and_then(Value::as_str) == Some("cohort");
    properties.filter(of_cohort).filter_map(|property| cohort_id(property.get("value")?)).collect()
}
