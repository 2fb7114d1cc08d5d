//! Bodies of `/flags` and `/decide`, by the version an SDK asks for.

use crate::{Decision, Reason};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;

/// Which body an SDK reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `/decide?v=1`: the keys of the flags that are on.
    Keys,
    /// `/decide?v=2`: the values of those.
    On,
    /// `/flags?v=1`, `/decide?v=3`: all values, and payloads beside them.
    Values,
    /// `/flags?v=2`, `/decide?v=4`: a record for each flag.
    Records,
    /// `/flags?v=3` and later: records with typed values. What the second version has is there, too.
    Typed,
}

impl Shape {
    /// The body of `/flags`.
    pub fn of_flags(version: Option<i64>) -> Self {
        match version {
            Some(2) => Self::Records,
            Some(3..) => Self::Typed,
            _ => Self::Values,
        }
    }

    /// The body of `/decide`.
    pub fn of_decide(version: Option<i64>) -> Self {
        match version {
            Some(2) => Self::On,
            Some(3) => Self::Values,
            Some(4..) => Self::Records,
            _ => Self::Keys,
        }
    }

    fn has_errors(self) -> bool {
        !matches!(self, Self::Keys | Self::On)
    }

    fn has_records(self) -> bool {
        matches!(self, Self::Records | Self::Typed)
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer<'a> {
    /// How it is written.
    pub shape: Shape,
    /// Flags and their values.
    pub decisions: &'a [Decision<'a>],
    /// Names the request.
    pub request_id: &'a str,
    /// When it was answered, in ms since 1970.
    pub evaluated_at: i64,
    /// What is over its quota; empty says nothing.
    pub quota_limited: &'a [&'a str],
    /// Whether SDKs may send less with each `$feature_flag_called`.
    pub has_minimal_events: bool,
    /// What else the SDK wants to know.
    pub config: Option<&'a serde_json::Map<String, Value>>,
}

impl Serialize for Answer<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if let Some(config) = self.config {
            for (key, value) in config.iter().filter(|(key, _)| !self.writes(key)) {
                map.serialize_entry(key, value)?;
            }
        }
        if self.shape.has_errors() {
            let has_failed = self.decisions.iter().any(Decision::is_failed);
            map.serialize_entry("errorsWhileComputingFlags", &has_failed)?;
        }
        match self.shape {
            Shape::Keys => map.serialize_entry("featureFlags", &Keys(self.decisions))?,
            Shape::On => {
                map.serialize_entry("featureFlags", &Values { decisions: self.decisions, is_all: false })?
            }
            Shape::Values => {
                map.serialize_entry("featureFlags", &Values { decisions: self.decisions, is_all: true })?;
                map.serialize_entry("featureFlagPayloads", &Payloads(self.decisions))?;
            }
            Shape::Records | Shape::Typed => {
                let is_typed = self.shape == Shape::Typed;
                map.serialize_entry("flags", &Records { decisions: self.decisions, is_typed })?;
            }
        }
        if !self.quota_limited.is_empty() {
            map.serialize_entry("quotaLimited", self.quota_limited)?;
        }
        map.serialize_entry("requestId", self.request_id)?;
        map.serialize_entry("evaluatedAt", &self.evaluated_at)?;
        if self.has_minimal_events && self.shape.has_records() {
            map.serialize_entry("minimalFlagCalledEvents", &true)?;
        }
        map.end()
    }
}

impl Answer<'_> {
    /// Whether a key of the configuration is written by the answer itself.
    fn writes(&self, key: &str) -> bool {
        match key {
            "quotaLimited" => !self.quota_limited.is_empty(),
            "requestId" | "evaluatedAt" => true,
            "errorsWhileComputingFlags" => self.shape.has_errors(),
            "flags" => self.shape.has_records(),
            "featureFlags" | "featureFlagPayloads" => !self.shape.has_records(),
            _ => false,
        }
    }
}

struct Keys<'a>(&'a [Decision<'a>]);

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().filter(|one| one.is_enabled).map(|one| one.flag.key.as_str()))
    }
}

struct Values<'a> {
    decisions: &'a [Decision<'a>],
    is_all: bool,
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let wanted = self.decisions.iter().filter(|one| self.is_all || one.is_enabled);
        to.collect_map(
            wanted.map(|one| (one.flag.key.as_str(), Worth { variant: one.variant, on: one.is_enabled })),
        )
    }
}

struct Payloads<'a>(&'a [Decision<'a>]);

impl Serialize for Payloads<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().filter_map(|one| Some((one.flag.key.as_str(), one.payload?))))
    }
}

struct Records<'a> {
    decisions: &'a [Decision<'a>],
    is_typed: bool,
}

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(
            self.decisions.iter().map(|one| (one.flag.key.as_str(), Record::of(one, self.is_typed))),
        )
    }
}

/// A variant, or whether the flag is on.
#[derive(Clone, Copy)]
struct Worth<'a> {
    variant: Option<&'a str>,
    on: bool,
}

impl Serialize for Worth<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.variant {
            Some(variant) => to.serialize_str(variant),
            None => to.serialize_bool(self.on),
        }
    }
}

#[derive(Serialize)]
struct Record<'a> {
    key: &'a str,
    /// Nothing is written before version 3; null means that it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Option<Worth<'a>>>,
    enabled: bool,
    variant: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    failed: bool,
    reason: Why<'a>,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Why<'a> {
    code: &'static str,
    condition_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    id: i64,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    config_version: Option<u8>,
    /// SDKs of today expect it and get nothing, as from PostHog: what a flag is for is not for those it is shown to.
    description: Option<&'a str>,
    payload: Option<&'a Value>,
    has_experiment: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant_key: Option<&'a str>,
}

impl<'a> Record<'a> {
    fn of(one: &Decision<'a>, is_typed: bool) -> Self {
        let worth = Worth { variant: one.variant, on: one.is_enabled };
        Self {
            key: &one.flag.key,
            value: is_typed.then(|| (!one.is_failed()).then_some(worth)),
            enabled: one.is_enabled,
            variant: one.variant,
            failed: one.is_failed(),
            reason: Why {
                code: one.reason.code(),
                condition_index: one.condition_index,
                description: describe(one),
            },
            metadata: Metadata {
                id: one.flag.id,
                version: one.flag.version.unwrap_or(0),
                config_version: is_typed.then_some(1),
                description: None,
                payload: one.payload,
                has_experiment: one.flag.has_experiment,
                variant_key: one.variant.filter(|_| is_typed),
            },
        }
    }
}

/// The words that go with a reason.
pub fn describe<'a>(one: &Decision<'_>) -> Option<Cow<'a, str>> {
    match (one.reason, one.condition_index) {
        (Reason::ConditionMatch, Some(index)) => {
            Some(Cow::Owned(format!("Matched condition set {}", index + 1)))
        }
        (reason, _) => reason.description().map(Cow::Borrowed),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
