//! Person properties: what an event changes, whether that is worth a new version, and writing it.

use crate::fold::{Fold, Folded};
use crate::js;
use crate::row::PersonRow;
use crate::rules::Rules;
use crate::size;
use crate::state::Person;
use event::json::ToJson;
use event::name::{event as name, property};
use event::{CapturedEvent, Json, Properties, Warning};
use jiff::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;
use uuid::Uuid;

/// The event whose being shown is remembered on the person.
const SURVEY_SHOWN: &str = "survey shown";
const SURVEY_LAST_SEEN: &str = "$survey_last_seen_date";

/// What an event changes in a person's properties.
struct Plan<'a> {
    /// Names and values, as JSON text.
    set: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    unset: Vec<Cow<'a, str>>,
    /// Whether it is worth a new version of the person.
    persists: bool,
}

/// Makes the plan of `event` for a person whose properties are `before`.
fn plan<'a>(event: &'a CapturedEvent, before: &Properties, rules: &Rules) -> Plan<'a> {
    let mut plan = Plan { set: Vec::new(), unset: Vec::new(), persists: false };
    for (key, value) in fields(event, property::SET_ONCE) {
        if !before.contains_key(&key) {
            plan.persists |= !is_noisy(&key);
            plan.set.push((key, Cow::Borrowed(value.text())));
        }
    }
    for (key, value) in to_set(event) {
        let old = before.get(&key);
        if old.is_none_or(|old| !js::same_text(old, Json::canonical(&value))) {
            plan.persists |= old.is_none() || !is_noisy(&key);
            plan.set.push((key, value));
        }
    }
    plan.unset = unset_keys(event);
    plan.unset.retain(|key| before.contains_key(key));
    plan.persists |= !plan.unset.is_empty();
    let changes = !plan.set.is_empty() || !plan.unset.is_empty();
    plan.persists |= changes && (is_person_event(&event.event) || rules.update_all_person_properties);
    plan
}

impl Plan<'_> {
    /// Changes properties that others may hold too: they keep what they have.
    fn apply(&self, properties: &mut Arc<Properties>) {
        if self.set.is_empty() && self.unset.is_empty() {
            return;
        }
        let properties = Arc::make_mut(properties);
        for (key, value) in &self.set {
            properties.insert(key, Json::canonical(value));
        }
        for key in &self.unset {
            properties.remove(key);
        }
    }

    fn bytes(&self) -> usize {
        self.set.iter().map(|(key, value)| key.len() + 4 + size::of_json(Json::canonical(value))).sum()
    }
}

fn fields<'a>(event: &'a CapturedEvent, key: &str) -> impl Iterator<Item = (Cow<'a, str>, Json<'a>)> {
    event.properties.get(key).map(Json::fields).into_iter().flatten()
}

/// What the event sets, as JSON text: its `$set`, and what being shown a survey means.
fn to_set(event: &CapturedEvent) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let shown =
        event.event == SURVEY_SHOWN && fields(event, property::SET).all(|(key, _)| key != SURVEY_LAST_SEEN);
    let shown = shown.then(|| {
        let mut text = String::new();
        event.timestamp.to_string().as_str().push_to(&mut text);
        (Cow::Borrowed(SURVEY_LAST_SEEN), Cow::Owned(text))
    });
    fields(event, property::SET).map(|(key, value)| (key, Cow::Borrowed(value.text()))).chain(shown)
}

fn unset_keys(event: &CapturedEvent) -> Vec<Cow<'_, str>> {
    let Some(keys) = event.properties.get(property::UNSET) else { return Vec::new() };
    if keys.is_object() {
        return keys.fields().map(|(key, _)| key).collect();
    }
    let serde_json::Value::Array(keys) = keys.value() else { return Vec::new() };
    keys.iter().filter_map(|key| Some(Cow::Owned(key.as_str()?.to_owned()))).collect()
}

/// Creates the person of an id nobody was seen under, and gives it. Its mapping is the caller's to write.
pub fn create(event: &CapturedEvent, uuid: Uuid, is_identified: bool, out: &mut Folded) -> Person {
    let mut properties = event.properties.object(property::SET_ONCE).unwrap_or_default();
    for (key, value) in to_set(event) {
        properties.insert(&key, Json::canonical(&value));
    }
    let mut buffer = Uuid::encode_buffer();
    properties.insert("$creator_event_uuid", &*event.uuid.hyphenated().encode_lower(&mut buffer));
    if size::exceeds(&properties, size::PERSON_BYTES) {
        out.warnings.push(too_large(event, uuid));
        if size::trim(&mut properties).is_none() {
            properties = Properties::new();
        }
    }
    properties.compact();
    let person = Person {
        uuid,
        created_at: event.timestamp,
        properties: Arc::new(properties),
        is_identified,
        version: 0,
        last_seen_at: last_seen(event),
    };
    out.persons.push(row(&person));
    person
}

/// Applies `event` to a living person. Gives the properties as the event shows them: with every change,
/// also those not worth a version. `identify` makes the person identified.
pub fn update(fold: &mut Fold<'_>, id: Uuid, event: &CapturedEvent, identify: bool) -> Arc<Properties> {
    let Fold { state, rules, out } = fold;
    let Some(person) = state.person(id) else { return Arc::default() };
    let plan = plan(event, &person.properties, rules);
    let seen = last_seen(event).filter(|seen| person.last_seen_at.is_none_or(|old| *seen > old));
    let identify = identify && !person.is_identified;
    let mut view = Arc::clone(&person.properties);
    if plan.persists || identify || seen.is_some() {
        let mut person = person.clone();
        if plan.persists {
            write(&mut person, &plan, event, out);
            view = Arc::clone(&person.properties);
        }
        person.is_identified |= identify;
        person.last_seen_at = seen.or(person.last_seen_at);
        person.version = person.version.saturating_add(1);
        out.persons.push(row(&person));
        state.write_person(person);
    }
    if !plan.persists {
        plan.apply(&mut view);
    }
    view
}

/// Merges the properties of `source` under those of the living person `target`, applies `event` on top, and
/// writes the result as one version above both. Gives the properties as the event shows them.
pub fn merge(fold: &mut Fold<'_>, target: Uuid, source: Person, event: &CapturedEvent) -> Arc<Properties> {
    let Fold { state, rules, out } = fold;
    let Some(mut person) = state.person(target).cloned() else { return Arc::default() };
    let own = std::mem::replace(&mut person.properties, source.properties);
    Arc::make_mut(&mut person.properties).extend(&own);
    let plan = plan(event, &person.properties, rules);
    write(&mut person, &plan, event, out);
    person.created_at = person.created_at.min(source.created_at);
    person.is_identified = true;
    person.version = person.version.max(source.version).saturating_add(1);
    person.last_seen_at = person.last_seen_at.max(source.last_seen_at).max(last_seen(event));
    out.persons.push(row(&person));
    let view = Arc::clone(&person.properties);
    state.write_person(person);
    view
}

/// Applies a plan within the size limit; a plan that cannot fit changes nothing.
fn write(person: &mut Person, plan: &Plan<'_>, event: &CapturedEvent, out: &mut Folded) {
    let fits = size::at_most(&person.properties) + 5 * plan.bytes() <= size::PERSON_BYTES
        || size::of(&person.properties) + plan.bytes() <= size::PERSON_BYTES;
    let mut after = Arc::clone(&person.properties);
    plan.apply(&mut after);
    if !fits && size::of(&after) > size::PERSON_BYTES {
        out.warnings.push(too_large(event, person.uuid));
        if size::trim(Arc::make_mut(&mut after)).is_none() {
            return;
        }
    }
    Arc::make_mut(&mut after).compact();
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
        properties: Arc::clone(&person.properties),
        is_identified: person.is_identified,
        is_deleted: false,
        version: person.version,
        last_seen_at: person.last_seen_at,
    }
}

/// The hour of the event, unless it does not count as being seen.
fn last_seen(event: &CapturedEvent) -> Option<Timestamp> {
    if event.properties.get("$update_person_last_seen_at").and_then(Json::as_bool) == Some(false) {
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
