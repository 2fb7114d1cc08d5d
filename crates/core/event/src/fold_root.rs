//! Fields that senders write at the root of an event, folded into its properties.

use crate::distinct_id;
use crate::name::property;
use crate::peek::Peek;
use crate::{Properties, RawEvent, Route, Warning};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// The properties of an event, and the root fields that found no place there.
pub(crate) struct Folded {
    pub properties: Properties,
    pub extra: Map<String, Value>,
}

/// Merges root `$set`, `$set_once` and `$unset` into the properties, where the root wins; removes `token`;
/// on the routes of Hogflare's bodies also folds `alias`, `group_type` and `group_key`.
pub(crate) fn fold(
    raw: &RawEvent<'_>,
    mut properties: Properties,
    route: Route,
    warnings: &mut Vec<Warning>,
) -> Folded {
    properties.remove("token");
    let mut extra = Map::new();
    for (key, value) in &raw.extra {
        extra.insert(key.clone().into_owned(), lenient(key, value, warnings));
    }
    match route {
        Route::Alias | Route::Identify => fold_alias(&mut properties, &mut extra),
        Route::Groups => fold_group(&mut properties, &mut extra),
        _ => {}
    }
    merge(&mut properties, property::SET, raw.set, warnings);
    merge(&mut properties, property::SET_ONCE, raw.set_once, warnings);
    if let Some(unset) = raw.unset {
        let unset = lenient(property::UNSET, unset, warnings);
        join_unset(&mut properties, unset);
    }
    Folded { properties, extra }
}

/// The distinct id of a group body that names none: `$<type>_<key>`, as posthog-node writes it.
pub(crate) fn group_distinct_id(raw: &RawEvent<'_>) -> Option<String> {
    let text = |name: &str| -> Option<Cow<'_, str>> {
        let (_, value) = raw.extra.iter().rev().find(|(key, _)| key == name)?;
        distinct_id::text(value).filter(|text| !text.is_empty())
    };
    let id = format!("${}_{}", text("group_type")?, text("group_key")?);
    let end = distinct_id::cut_chars(&id, crate::limit::DISTINCT_ID_CHARS).unwrap_or(id.len());
    Some(id[..end].replace('\0', "\u{fffd}"))
}

/// Reads the properties of an event, and what [`Peek`] finds in them on the way.
pub(crate) fn read<'a>(raw: &RawEvent<'a>, warnings: &mut Vec<Warning>) -> (Properties, Peek<'a>) {
    let mut peek = Peek::default();
    let unreadable = |key: &str| warnings.push(unreadable(key));
    let look = |name, value| peek.look(name, value);
    match raw.properties.and_then(|raw| Properties::read_and_look(raw, unreadable, look)) {
        Some(properties) => (properties, peek),
        None => (Properties::new(), Peek::of(raw.properties)),
    }
}

/// Reads an object; a value in it that JSON allows but no value holds (1e999) is kept as its text.
fn object(raw: &RawValue, warnings: &mut Vec<Warning>) -> Option<Properties> {
    Properties::read(raw, |key| warnings.push(unreadable(key)))
}

fn unreadable(key: &str) -> Warning {
    Warning::new("unreadable_property").with("property", key)
}

fn lenient(key: &str, raw: &RawValue, warnings: &mut Vec<Warning>) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| {
        warnings.push(unreadable(key));
        Value::String(raw.get().to_owned())
    })
}

fn merge(properties: &mut Properties, key: &str, root: Option<&RawValue>, warnings: &mut Vec<Warning>) {
    let Some(root) = root else { return };
    let Some(root) = object(root, warnings) else {
        warnings.push(Warning::new("invalid_person_properties").with("property", key));
        return;
    };
    match properties.object(key) {
        Some(mut inner) => {
            inner.extend(&root);
            properties.insert(key, &inner);
        }
        None => properties.insert(key, &root),
    }
}

/// Joins both lists of names to remove, each once; a single list is kept as it was written.
fn join_unset(properties: &mut Properties, root: Value) {
    let joined = match properties.take(property::UNSET) {
        None | Some(Value::Null) => root,
        Some(inner) => {
            let mut seen = HashSet::new();
            let both = unset_names(inner).into_iter().chain(unset_names(root));
            Value::Array(both.filter(|name| seen.insert(name.clone())).collect())
        }
    };
    properties.insert(property::UNSET, joined);
}

fn unset_names(value: Value) -> Vec<Value> {
    match value {
        Value::Array(names) => names,
        Value::Object(map) => map.into_iter().map(|(name, _)| Value::String(name)).collect(),
        name @ Value::String(_) => vec![name],
        _ => Vec::new(),
    }
}

fn fold_alias(properties: &mut Properties, extra: &mut Map<String, Value>) {
    if let Some(alias) = extra.shift_remove("alias") {
        properties.or_insert(property::ALIAS, alias);
    }
}

/// A body `{group_type, group_key, properties}`: the properties are those of the group.
fn fold_group(properties: &mut Properties, extra: &mut Map<String, Value>) {
    let group_type = extra.shift_remove("group_type");
    let group_key = extra.shift_remove("group_key");
    if group_type.is_none() && group_key.is_none() {
        return;
    }
    if !properties.contains_key(property::GROUP_SET) && !properties.contains_key(property::GROUP_TYPE) {
        let set = std::mem::take(properties);
        properties.insert(property::GROUP_SET, &set);
    }
    for (key, value) in [(property::GROUP_TYPE, group_type), (property::GROUP_KEY, group_key)] {
        if let Some(value) = value {
            properties.or_insert(key, value);
        }
    }
}
