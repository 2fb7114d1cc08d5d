//! Conditions of a flag, compiled, in their stored order.

use crate::Flag;
use crate::definition::{Filters, Group, Variant};
use crate::filter::Filter;
use crate::operator::Terms;
use crate::property::PersonKey;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a flag's filters say.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Prefix of the hash: the key and a dot.
    pub(crate) prefix: String,
    /// The group type that conditions are for unless they say otherwise; nothing means people.
    pub(crate) aggregation: Option<i32>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) variants: Vec<Variant>,
    pub(crate) payloads: serde_json::Map<String, Value>,
    pub(crate) exits_early: bool,
    pub(crate) enrolment: Enrolment,
    pub(crate) holdout: Option<Holdout>,
}

/// How people opt in.
#[derive(Debug)]
pub(crate) enum Enrolment {
    None,
    /// A property of theirs says so.
    Property(PersonKey),
    /// As it was stored before: a condition of its own, looked at when the person has one of its properties.
    Condition(Vec<Filter>, f64),
}

#[derive(Debug)]
pub(crate) struct Holdout {
    pub(crate) percentage: f64,
    /// The variant of those who are held out.
    pub(crate) variant: String,
}

#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) aggregation: Option<i32>,
    /// Cohorts last: they cost most.
    pub(crate) filters: Vec<Filter>,
    pub(crate) percentage: f64,
    /// Place among the variants of the one that everybody here gets.
    pub(crate) variant: Option<usize>,
}

impl Rules {
    /// Compiles the filters of a flag; nothing when they cannot be read.
    pub(crate) fn compile(
        flag: &Flag,
        terms: &Terms<'_>,
        find: &dyn Fn(&str) -> Option<usize>,
    ) -> Option<Self> {
        let filters = match &flag.filters {
            Value::Null => Filters::default(),
            stored => Filters::deserialize(stored).ok()?,
        };
        let aggregation = filters.aggregation_group_type_index;
        let variants = filters.multivariate.map(|multivariate| multivariate.variants).unwrap_or_default();
        let compile = |group: &Group| Condition::compile(group, aggregation, terms, find);
        let mut conditions: Vec<Condition> = filters.groups.iter().map(compile).collect();
        for (condition, group) in conditions.iter_mut().zip(&filters.groups) {
            let wanted = group.variant.as_deref();
            condition.variant = variants.iter().position(|variant| Some(variant.key.as_str()) == wanted);
        }
        let enrolment = if filters.feature_enrollment == Some(true) {
            Enrolment::Property(PersonKey::new(&format!("$feature_enrollment/{}", flag.key)))
        } else {
            match filters.super_groups.first().filter(|group| !group.properties.is_empty()) {
                Some(group) => {
                    let condition = Condition::compile(group, None, terms, find);
                    Enrolment::Condition(condition.filters, condition.percentage)
                }
                None => Enrolment::None,
            }
        };
        let holdout = filters.holdout.map(|holdout| Holdout {
            percentage: holdout.exclusion_percentage,
            variant: format!("holdout-{}", holdout.id),
        });
        Some(Self {
            prefix: format!("{}.", flag.key),
            aggregation,
            conditions,
            variants,
            payloads: filters.payloads.unwrap_or_default(),
            exits_early: filters.early_exit == Some(true),
            enrolment,
            holdout,
        })
    }

    /// Keys of the flags that these depend on, as their filters name them.
    pub(crate) fn dependencies(flag: &Flag) -> BTreeSet<String> {
        let of_flag = |property: &&Value| property.get("type").and_then(Value::as_str) == Some("flag");
        let groups = flag.filters.get("groups").and_then(Value::as_array).into_iter().flatten();
        let properties = groups.filter_map(|group| group.get("properties")?.as_array()).flatten();
        let keys = properties.filter(of_flag).filter_map(|property| property.get("key"));
        keys.map(|key| crate::text::text(key).into_owned()).collect()
    }

    pub(crate) fn payload(&self, name: &str) -> Option<&Value> {
        self.payloads.get(name)
    }

    /// Every filter, for what it needs to know.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &Filter> {
        let own = match &self.enrolment {
            Enrolment::Condition(filters, _) => filters.as_slice(),
            _ => &[],
        };
        own.iter().chain(self.conditions.iter().flat_map(|condition| &condition.filters))
    }

    /// Group types that its conditions are for.
    pub(crate) fn aggregations(&self) -> impl Iterator<Item = i32> {
        self.conditions.iter().filter_map(|condition| condition.aggregation).chain(self.aggregation)
    }
}

impl Condition {
    fn compile(
        group: &Group,
        flag: Option<i32>,
        terms: &Terms<'_>,
        find: &dyn Fn(&str) -> Option<usize>,
    ) -> Self {
        let aggregation = group.aggregation_group_type_index.unwrap_or(flag);
        let compile = |property| Filter::compile(property, aggregation, terms, find);
        let mut filters: Vec<Filter> = group.properties.iter().map(compile).collect();
        filters.sort_by_key(Filter::is_cohort);
        Self { aggregation, filters, percentage: group.rollout_percentage.unwrap_or(100.0), variant: None }
    }
}

/// Group types by name.
pub(crate) fn indexes(mapping: &crate::Mapping) -> BTreeMap<&str, i32> {
    mapping.iter().map(|(index, name)| (name.as_str(), *index)).collect()
}
