//! For whom flags are evaluated: what the request says and what is stored.

use crate::Fault;
use crate::property::{PersonKey, is_reserved};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Stored about the person.
#[derive(Clone, Copy, Debug)]
pub enum Person<'a> {
    /// Nobody is known by this id.
    Unknown,
    /// Properties, and the cohorts that list the person.
    Known(&'a Map<String, Value>, &'a [i64]),
    /// The store does not answer.
    Failed,
}

/// Stored about groups.
#[derive(Clone, Copy, Debug)]
pub enum Groups<'a> {
    /// Properties by group type.
    Known(&'a BTreeMap<i32, Map<String, Value>>),
    /// The store does not answer.
    Failed,
}

/// Somebody to evaluate flags for.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Who asks.
    pub distinct_id: &'a str,
    /// Who that was before logging in.
    pub anon_distinct_id: Option<&'a str>,
    /// The device.
    pub device_id: Option<&'a str>,
    /// Properties that the request says the person has; they win.
    pub overrides: &'a Map<String, Value>,
    /// Where the request comes from; fills gaps of `overrides`.
    pub place: &'a Map<String, Value>,
    /// What is stored.
    pub person: Person<'a>,
    /// Keys of the groups, by type.
    pub group_keys: &'a BTreeMap<i32, String>,
    /// Properties that the request says the groups have, by type.
    pub group_overrides: &'a BTreeMap<i32, &'a Map<String, Value>>,
    /// What is stored about them.
    pub groups: Groups<'a>,
    /// Which id this person keeps for a flag across logins; nothing when the store did not answer.
    pub hash_keys: Option<&'a BTreeMap<String, String>>,
    /// `distinct_id` as a property.
    pub id_value: &'a Value,
}

impl Subject<'_> {
    pub(crate) fn person_property(&self, key: &PersonKey) -> Result<Option<&Value>, Fault> {
        if key.is_ours {
            return self.stored(&key.name);
        }
        match self.person_value(&key.name)? {
            Some(value) => Ok(Some(value)),
            None => key.stand_in.map_or(Ok(None), |name| self.person_value(name)),
        }
    }

    fn person_value(&self, name: &str) -> Result<Option<&Value>, Fault> {
        if is_reserved(name) {
            return Ok(None);
        }
        let said = self.overrides.get(name);
        if let Some(value) = said.filter(|value| !value.is_null()) {
            return Ok(Some(value));
        }
        if let Some(value) = self.place.get(name).or(said) {
            return Ok(Some(value));
        }
        if name == "distinct_id" {
            return Ok(Some(self.id_value));
        }
        self.stored(name)
    }

    fn stored(&self, name: &str) -> Result<Option<&Value>, Fault> {
        match self.person {
            Person::Unknown => Ok(None),
            Person::Known(properties, _) => Ok(properties.get(name)),
            Person::Failed => Err(Fault::Store),
        }
    }

    pub(crate) fn group_property<'b>(
        &'b self,
        index: i32,
        name: &str,
        key: &'b mut Value,
    ) -> Result<Option<&'b Value>, Fault> {
        let Some(text) = self.group_keys.get(&index) else {
            return Ok(self.group_overrides.get(&index).and_then(|properties| properties.get(name)));
        };
        if name == "$group_key" {
            *key = Value::from(text.as_str());
            return Ok(Some(key));
        }
        if let Some(value) = self.group_overrides.get(&index).and_then(|properties| properties.get(name)) {
            return Ok(Some(value));
        }
        match self.groups {
            Groups::Known(groups) => Ok(groups.get(&index).and_then(|properties| properties.get(name))),
            Groups::Failed => Err(Fault::Store),
        }
    }

    pub(crate) fn is_listed_in(&self, cohort: i64) -> Result<bool, Fault> {
        match self.person {
            Person::Unknown => Ok(false),
            Person::Known(_, listed) => Ok(listed.contains(&cohort)),
            // As PostHog would say "not a member": but then `not_in` would be true for members.
            Person::Failed => Err(Fault::Store),
        }
    }
}
