//! Flags as they are stored and sent.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Group types of a project: index in filters to name in requests.
pub type Mapping = BTreeMap<i32, String>;

/// A flag. `filters` stays JSON here: one that cannot be read fails only its own flag, and what we do not know stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flag {
    /// Its number.
    pub id: i64,
    /// The project it belongs to.
    pub team_id: i64,
    /// What it is for, in words.
    pub name: String,
    /// What code asks for.
    pub key: String,
    /// Who gets it and which value.
    pub filters: Value,
    /// Whether it is gone; a deleted flag is only kept for its history.
    pub deleted: bool,
    /// Whether it is on at all.
    #[serde(default = "yes")]
    pub active: bool,
    /// Whether somebody keeps their value when they log in.
    pub ensure_experience_continuity: Option<bool>,
    /// Whether its payloads are kept encrypted.
    #[serde(deserialize_with = "or_false")]
    pub has_encrypted_payloads: bool,
    /// Counts its changes.
    pub version: Option<i64>,
    /// `all`, `client` or `server`.
    pub evaluation_runtime: Option<String>,
    /// Where it is asked for; empty means anywhere.
    #[serde(alias = "evaluation_tags", deserialize_with = "or_empty")]
    pub evaluation_contexts: Vec<String>,
    /// What buckets people: `distinct_id` or `device_id`.
    pub bucketing_identifier: Option<String>,
    /// Whether a running experiment reads it.
    #[serde(deserialize_with = "or_false")]
    pub has_experiment: bool,
    /// Whether it is a value to fetch, not a flag to evaluate.
    #[serde(deserialize_with = "or_false")]
    pub is_remote_configuration: bool,
}

impl Flag {
    /// Whether it is of no use to an SDK: its payload is for those who hold the key to it.
    pub(crate) fn is_secret(&self) -> bool {
        self.is_remote_configuration && self.has_encrypted_payloads
    }

    pub(crate) fn is_continuous(&self) -> bool {
        self.ensure_experience_continuity == Some(true)
    }

    pub(crate) fn is_by_device(&self) -> bool {
        self.bucketing_identifier.as_deref() == Some("device_id")
    }
}

/// What `filters` says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Filters {
    #[serde(deserialize_with = "or_empty")]
    pub(crate) groups: Vec<Group>,
    pub(crate) multivariate: Option<Multivariate>,
    pub(crate) payloads: Option<Map<String, Value>>,
    pub(crate) aggregation_group_type_index: Option<i32>,
    pub(crate) early_exit: Option<bool>,
    pub(crate) feature_enrollment: Option<bool>,
    #[serde(deserialize_with = "or_empty")]
    pub(crate) super_groups: Vec<Group>,
    pub(crate) holdout: Option<Holdout>,
}

/// Conditions that must all hold: "groups" in the stored form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Group {
    #[serde(deserialize_with = "or_empty")]
    pub(crate) properties: Vec<Property>,
    pub(crate) rollout_percentage: Option<f64>,
    pub(crate) variant: Option<String>,
    /// Absent: as the flag. Null: people.
    #[serde(deserialize_with = "present")]
    pub(crate) aggregation_group_type_index: Option<Option<i32>>,
}

/// A filter, of flags and of cohorts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Property {
    #[serde(deserialize_with = "any_key")]
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) operator: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) group_type_index: Option<i32>,
    pub(crate) negation: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Multivariate {
    #[serde(deserialize_with = "or_empty")]
    pub(crate) variants: Vec<Variant>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Variant {
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) rollout_percentage: f64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Holdout {
    pub(crate) id: i64,
    pub(crate) exclusion_percentage: f64,
}

fn yes() -> bool {
    true
}

pub(crate) fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

pub(crate) fn or_false<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<i32>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Keys are text, or the number of a flag.
fn any_key<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(crate::text::text(&Value::deserialize(from)?).into_owned())
}
