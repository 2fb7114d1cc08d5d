//! Groups: at most five types per project, properties that are only ever set, the columns of an event.

use crate::fold::Fold;
use crate::js;
use crate::row::GroupRow;
use crate::state::{Group, State};
use crate::validate;
use event::name::{event as name, property};
use event::{CapturedEvent, Json, Properties, Warning};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;

/// The event property and column of each slot.
pub const SLOTS: [&str; 5] = ["$group_0", "$group_1", "$group_2", "$group_3", "$group_4"];

/// What an event's groups come to.
#[derive(Default)]
pub struct Membership {
    /// Properties of the groups the event belongs to, by type name.
    pub properties: Properties,
    /// The slot of the group that `$groupidentify` is about.
    pub identified: Option<u8>,
}

/// The groups whose properties an event shows or changes, as (type, key).
pub fn keys(event: &CapturedEvent) -> Vec<(String, String)> {
    let mut keys: Vec<_> =
        memberships(event).map(|(kind, key)| (kind.into_owned(), key.into_owned())).collect();
    if event.event == name::GROUP_IDENTIFY
        && let Some((kind, key)) = identified(event)
    {
        keys.push((kind.into_owned(), key.into_owned()));
    }
    keys
}

fn memberships(event: &CapturedEvent) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let groups = event.properties.get(property::GROUPS).map(Json::fields);
    groups.into_iter().flatten().filter_map(|(kind, value)| Some((kind, key_text(value)?)))
}

/// The key of a group as text; JSON values that are no key give none.
fn key_text(value: Json<'_>) -> Option<Cow<'_, str>> {
    match value.as_str() {
        Some(text) if text.is_empty() => None,
        Some(text) => Some(validate::without_nul(text)),
        None => (value.is_number() || value.as_bool().is_some()).then(|| js::text_of(value)),
    }
}

fn identified(event: &CapturedEvent) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let field = |key| event.properties.get(key).filter(|value| value.is_truthy()).map(js::text_of);
    let key = field(property::GROUP_KEY)?;
    let key = if key.contains('\0') { Cow::Owned(key.replace('\0', "\u{fffd}")) } else { key };
    Some((field(property::GROUP_TYPE)?, key))
}

/// Gives the event its slots, allocating types it is the first to name, and applies `$groupidentify`.
pub fn apply(fold: &mut Fold<'_>, event: &mut CapturedEvent) -> Membership {
    let mut membership = Membership::default();
    allocate(fold.state, event);
    for (kind, key) in memberships(event) {
        let Some(index) = fold.state.group_type(&kind) else { continue };
        fold.state.touch_group(index, &key);
        if let Some(group) = fold.state.group(index, &key) {
            membership.properties.insert(&kind, &*group.properties);
        }
    }
    if event.event == name::GROUP_IDENTIFY {
        membership.identified = identify(fold, event);
    }
    membership
}

fn allocate(state: &mut State, event: &mut CapturedEvent) {
    let Some(groups) = event.properties.object(property::GROUPS) else { return };
    for (kind, key) in groups.iter() {
        let index = state.allocate_group_type(kind).map(usize::from);
        if let Some(slot) = index.and_then(|index| SLOTS.get(index)) {
            event.properties.insert(slot, key);
        }
    }
}

/// Sets group properties. Gives the slot of the type, or `None` when there is nothing to write to.
fn identify(fold: &mut Fold<'_>, event: &CapturedEvent) -> Option<u8> {
    let (kind, key) = identified(event)?;
    let mut set = event.properties.value(property::GROUP_SET);
    js::clear_nul(&mut set);
    let set = match set {
        Value::Null => Properties::new(),
        Value::Object(set) => Properties::from(set),
        other => {
            let warning = Warning::new("invalid_group_set")
                .with("eventUuid", event.uuid.to_string())
                .with("groupType", kind.as_ref())
                .with("groupKey", key.as_ref())
                .with("receivedType", type_name(&other));
            fold.out.warnings.push(warning);
            return None;
        }
    };
    let index = fold.state.allocate_group_type(&kind)?;
    let old = fold.state.group(index, &key);
    let changed = old.is_none_or(|old| {
        set.iter()
            .any(|(key, value)| old.properties.get(key).is_none_or(|known| !js::same_text(known, value)))
    });
    if !changed {
        return Some(index);
    }
    let mut group = match old {
        Some(old) => Group { version: old.version.saturating_add(1), ..old.clone() },
        None => Group { created_at: event.timestamp, properties: Arc::default(), version: 0 },
    };
    group.created_at = group.created_at.min(event.timestamp);
    Arc::make_mut(&mut group.properties).extend(&set);
    fold.out.groups.push(GroupRow {
        group_type_index: index,
        group_type: kind.to_string(),
        group_key: key.to_string(),
        created_at: group.created_at,
        properties: Arc::clone(&group.properties),
        version: group.version,
    });
    fold.state.write_group(index, &key, group);
    Some(index)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The group columns of an event, taken from its properties.
pub fn columns(properties: &Properties) -> [Option<String>; 5] {
    SLOTS.map(|slot| {
        let key = properties.get(slot).filter(|key| !key.is_null())?;
        Some(key.as_str().map_or_else(|| key.text().to_owned(), |text| text.trim_matches('"').to_owned()))
    })
}
