//! Person properties: what an event changes, whether that is worth a new version, and writing it.

use crate::fold::{Fold, Folded};
use crate::js;
use crate::row::PersonRow;
use crate::rules::Rules;
use crate::size;
use crate::state::Person;
use event::name::{event as name, property};
use event::{CapturedEvent, Warning};
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::borrow::Cow;
use uuid::Uuid;

/// The event whose being shown is remembered on the person.
const SURVEY_SHOWN: &str = "survey shown";
const SURVEY_LAST_SEEN: &str = "$survey_last_seen_date";

/// What an event changes in a person's properties.
struct Plan<'a> {
    set: Vec<(&'a str, Cow<'a, Value>)>,
    unset: Vec<&'a str>,
    /// Whether it is worth a new version of the person.
    persists: bool,
}

/// Makes the plan of `event` for a person whose properties are `before`.
fn plan<'a>(event: &'a CapturedEvent, before: &Map<String, Value>, rules: &Rules) -> Plan<'a> {
    let mut plan = Plan { set: Vec::new(), unset: Vec::new(), persists: false };
    for (key, value) in object(event, property::SET_ONCE).into_iter().flatten() {
        if !before.contains_key(key) {
            plan.persists |= !is_noisy(key);
            plan.set.push((key, Cow::Borrowed(value)));
        }
    }
    for (key, value) in to_set(event) {
        let old = before.get(key);
        if old.is_none_or(|old| !js::same(old, &value)) {
            plan.persists |= old.is_none() || !is_noisy(key);
            plan.set.push((key, value));
        }
    }
    for key in unset_keys(event) {
        if before.contains_key(key) {
            plan.persists = true;
            plan.unset.push(key);
        }
    }
    let changes = !plan.set.is_empty() || !plan.unset.is_empty();
    plan.persists |= changes && (is_person_event(&event.event) || rules.update_all_person_properties);
    plan
}

impl Plan<'_> {
    fn apply(&self, properties: &mut Map<String, Value>) {
        for (key, value) in &self.set {
            properties.insert((*key).to_owned(), value.clone().into_owned());
        }
        for key in &self.unset {
            properties.shift_remove(*key);
        }
    }

    fn bytes(&self) -> usize {
        self.set.iter().map(|(key, value)| key.len() + 4 + size::of_value(value)).sum()
    }
}

fn object<'a>(event: &'a CapturedEvent, key: &str) -> Option<&'a Map<String, Value>> {
    event.properties.get(key).and_then(Value::as_object)
}

/// What the event sets: its `$set`, and what being shown a survey means.
fn to_set(event: &CapturedEvent) -> impl Iterator<Item = (&str, Cow<'_, Value>)> {
    let set = object(event, property::SET);
    let shown = event.event == SURVEY_SHOWN && set.is_none_or(|set| !set.contains_key(SURVEY_LAST_SEEN));
    let shown = shown.then(|| (SURVEY_LAST_SEEN, Cow::Owned(Value::String(event.timestamp.to_string()))));
    set.into_iter().flatten().map(|(key, value)| (key.as_str(), Cow::Borrowed(value))).chain(shown)
}

fn unset_keys(event: &CapturedEvent) -> Vec<&str> {
    match event.properties.get(property::UNSET) {
        Some(Value::Array(keys)) => keys.iter().filter_map(Value::as_str).collect(),
        Some(Value::Object(keys)) => keys.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Creates the person of an id nobody was seen under, and gives it. Its mapping is the caller's to write.
pub fn create(event: &CapturedEvent, uuid: Uuid, is_identified: bool, out: &mut Folded) -> Person {
    let mut properties = object(event, property::SET_ONCE).cloned().unwrap_or_default();
    for (key, value) in to_set(event) {
        properties.insert(key.to_owned(), value.into_owned());
    }
    let creator = Value::String(event.uuid.to_string());
    properties.insert("$creator_event_uuid".to_owned(), creator);
    if size::of_map(&properties) > size::PERSON_BYTES {
        out.warnings.push(too_large(event, uuid));
        if size::trim(&mut properties).is_none() {
            properties.clear();
        }
    }
    let person = Person {
        uuid,
        created_at: event.timestamp,
        properties,
        is_identified,
        version: 0,
        last_seen_at: last_seen(event),
    };
    out.persons.push(row(&person));
    person
}

/// Applies `event` to a living person. Gives the properties as the event shows them: with every change,
/// also those not worth a version. `identify` makes the person identified.
pub fn update(fold: &mut Fold<'_>, id: Uuid, event: &CapturedEvent, identify: bool) -> Map<String, Value> {
    let Fold { state, rules, out } = fold;
    let Some(person) = state.person(id) else { return Map::new() };
    let plan = plan(event, &person.properties, rules);
    let seen = last_seen(event).filter(|seen| person.last_seen_at.is_none_or(|old| *seen > old));
    let identify = identify && !person.is_identified;
    if !plan.persists && !identify && seen.is_none() {
        let mut view = person.properties.clone();
        plan.apply(&mut view);
        return view;
    }
    let Some(person) = state.write_person(id) else { return Map::new() };
    if plan.persists {
        write(person, &plan, event, out);
    }
    person.is_identified |= identify;
    person.last_seen_at = seen.or(person.last_seen_at);
    person.version = person.version.saturating_add(1);
    out.persons.push(row(person));
    let mut view = person.properties.clone();
    if !plan.persists {
        plan.apply(&mut view);
    }
    view
}

/// Merges the properties of `source` under those of the living person `target`, applies `event` on top, and
/// writes the result as one version above both. Gives the properties as the event shows them.
pub fn merge(fold: &mut Fold<'_>, target: Uuid, source: Person, event: &CapturedEvent) -> Map<String, Value> {
    let Fold { state, rules, out } = fold;
    let Some(person) = state.write_person(target) else { return Map::new() };
    let own = std::mem::replace(&mut person.properties, source.properties);
    person.properties.extend(own);
    let plan = plan(event, &person.properties, rules);
    write(person, &plan, event, out);
    person.created_at = person.created_at.min(source.created_at);
    person.is_identified = true;
    person.version = person.version.max(source.version).saturating_add(1);
    person.last_seen_at = person.last_seen_at.max(source.last_seen_at).max(last_seen(event));
    out.persons.push(row(person));
    person.properties.clone()
}

/// Applies a plan within the size limit; a plan that cannot fit changes nothing.
fn write(person: &mut Person, plan: &Plan<'_>, event: &CapturedEvent, out: &mut Folded) {
    if size::of_map(&person.properties) + plan.bytes() <= size::PERSON_BYTES {
        plan.apply(&mut person.properties);
        return;
    }
    let mut after = person.properties.clone();
    plan.apply(&mut after);
    if size::of_map(&after) > size::PERSON_BYTES {
        out.warnings.push(too_large(event, person.uuid));
        if size::trim(&mut after).is_none() {
            return;
        }
    }
    person.properties = after;
}

fn too_large(event: &CapturedEvent, person: Uuid) -> Warning {
    Warning::new("person_properties_size_violation")
        .with("eventUuid", event.uuid.to_string())
        .with("distinctId", event.distinct_id.as_str())
        .with("personId", person.to_string())
        .with("limitBytes", size::PERSON_BYTES)
}

/// The row of a person as it is now.
pub fn row(person: &Person) -> PersonRow {
    PersonRow {
        id: person.uuid,
        created_at: person.created_at,
        properties: person.properties.clone(),
        is_identified: person.is_identified,
        is_deleted: false,
        version: person.version,
        last_seen_at: person.last_seen_at,
    }
}

/// The hour of the event, unless it does not count as being seen.
fn last_seen(event: &CapturedEvent) -> Option<Timestamp> {
    if event.properties.get("$update_person_last_seen_at") == Some(&Value::Bool(false)) {
        return None;
    }
    let second = event.timestamp.as_second();
    Timestamp::from_second(second - second.rem_euclid(3600)).ok()
}

/// Events that are about the person: every change they bring is kept.
fn is_person_event(event: &str) -> bool {
    matches!(event, name::IDENTIFY | name::CREATE_ALIAS | name::MERGE_DANGEROUSLY | name::SET)
}

/// Keys that change with every page or device and are not worth a version of the person alone.
fn is_noisy(key: &str) -> bool {
    if let Some(key) = key.strip_prefix("$geoip_") {
        return matches!(
            key,
            "postal_code"
                | "time_zone"
                | "latitude"
                | "longitude"
                | "accuracy_radius"
                | "subdivision_1_code"
                | "subdivision_1_name"
                | "subdivision_2_code"
                | "subdivision_2_name"
                | "subdivision_3_code"
                | "subdivision_3_name"
                | "city_confidence"
                | "country_confidence"
                | "postal_code_confidence"
                | "subdivision_1_confidence"
                | "subdivision_2_confidence"
        );
    }
    matches!(
        key,
        "$current_url"
            | "$pathname"
            | "$referring_domain"
            | "$referrer"
            | "$screen_height"
            | "$screen_width"
            | "$viewport_height"
            | "$viewport_width"
            | "$browser"
            | "$browser_version"
            | "$device_type"
            | "$raw_user_agent"
            | "$os"
            | "$os_name"
            | "$os_version"
    )
}
