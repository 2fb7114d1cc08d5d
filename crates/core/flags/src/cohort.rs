//! Cohorts: who is in them is said by properties, by other cohorts, or by a list.

use crate::Fault;
use crate::definition::{Property, or_false};
use crate::filter::{cohort_id, test};
use crate::operator::{Terms, Test};
use crate::property::PersonKey;
use crate::subject::Subject;
use jiff::Zoned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A cohort that is nested deeper than this cannot be read.
const DEPTH: usize = 32;

/// A cohort as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cohort {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: Option<String>,
    /// Who is in it.
    pub filters: Value,
    /// Whether it is gone.
    #[serde(deserialize_with = "or_false")]
    pub deleted: bool,
    /// Whether its members are a list.
    #[serde(deserialize_with = "or_false")]
    pub is_static: bool,
}

/// Cohorts of a project, compiled.
#[derive(Debug, Default)]
pub(crate) struct Cohorts(BTreeMap<i64, Result<Members, Fault>>);

/// Who is in a cohort.
#[derive(Debug)]
enum Members {
    /// Those on the list, which is kept with the person: of static cohorts and of those that look at behaviour.
    Listed,
    /// Those with whom it holds.
    Matching(Node),
}

#[derive(Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Person { key: PersonKey, test: Test, is_negated: bool },
    Cohort { id: i64, is_member: bool },
}

impl Cohort {
    /// The group of conditions inside `filters`.
    pub(crate) fn group(&self) -> Option<&Value> {
        self.filters.get("properties")
    }

    /// Whether its members are computed elsewhere and listed with each person.
    pub fn is_listed(&self) -> bool {
        self.is_static || self.group().is_some_and(|group| looks_at_behaviour(group, DEPTH))
    }

    /// The cohorts it is made of.
    pub(crate) fn parts(&self) -> BTreeSet<i64> {
        let mut parts = BTreeSet::new();
        if let Some(group) = self.group().filter(|_| !self.is_static) {
            collect(group, DEPTH, &mut parts);
        }
        parts
    }
}

fn looks_at_behaviour(node: &Value, depth: usize) -> bool {
    let is_leaf = node.get("type").and_then(Value::as_str) == Some("behavioral");
    is_leaf || depth > 0 && values(node).iter().any(|inner| looks_at_behaviour(inner, depth - 1))
}

fn collect(node: &Value, depth: usize, parts: &mut BTreeSet<i64>) {
    if node.get("type").and_then(Value::as_str) == Some("cohort") {
        parts.extend(node.get("value").and_then(cohort_id));
    } else if depth > 0 {
        values(node).iter().for_each(|inner| collect(inner, depth - 1, parts));
    }
}

fn values(node: &Value) -> &[Value] {
    node.get("values").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl Cohorts {
    pub(crate) fn compile(cohorts: &[Cohort], terms: &Terms<'_>) -> Self {
        let living = || cohorts.iter().filter(|cohort| !cohort.deleted);
        let parts: BTreeMap<i64, BTreeSet<i64>> = living()
            .map(|cohort| (cohort.id, if cohort.is_listed() { BTreeSet::new() } else { cohort.parts() }))
            .collect();
        let compiled = living().map(|cohort| {
            let members = match fault(cohort.id, &parts, &mut Vec::new()) {
                Some(fault) => Err(fault),
                None => Members::compile(cohort, terms),
            };
            (cohort.id, members)
        });
        Self(compiled.collect())
    }

    /// Whether the subject is in a cohort.
    pub(crate) fn has(&self, id: i64, subject: &Subject<'_>, now: &Zoned) -> Result<bool, Fault> {
        match self.0.get(&id).ok_or(Fault::CohortMissing)?.as_ref().map_err(|fault| *fault)? {
            Members::Listed => subject.is_listed_in(id),
            Members::Matching(node) => self.matches(node, subject, now),
        }
    }

    fn matches(&self, node: &Node, subject: &Subject<'_>, now: &Zoned) -> Result<bool, Fault> {
        match node {
            Node::All(nodes) => {
                for node in nodes {
                    if !self.matches(node, subject, now)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Any(nodes) => {
                for node in nodes {
                    if self.matches(node, subject, now)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Person { key, test, is_negated } => {
                Ok(test.passes(subject.person_property(key)?, now) != *is_negated)
            }
            Node::Cohort { id, is_member } => Ok(self.has(*id, subject, now)? == *is_member),
        }
    }
}

/// What is wrong with the cohorts that a cohort is made of.
fn fault(id: i64, parts: &BTreeMap<i64, BTreeSet<i64>>, above: &mut Vec<i64>) -> Option<Fault> {
    if above.contains(&id) {
        return Some(Fault::CohortCycle);
    }
    if above.len() >= DEPTH {
        return Some(Fault::CohortUnreadable);
    }
    let Some(inner) = parts.get(&id) else { return Some(Fault::CohortMissing) };
    above.push(id);
    let found = inner.iter().find_map(|part| fault(*part, parts, above));
    above.pop();
    found
}

impl Members {
    fn compile(cohort: &Cohort, terms: &Terms<'_>) -> Result<Self, Fault> {
        if cohort.is_listed() {
            return Ok(Self::Listed);
        }
        match cohort.group() {
            Some(group) => Ok(Self::Matching(Node::compile(group, DEPTH, terms)?)),
            // Nobody said who: an empty list, never everybody.
            None => Ok(Self::Matching(Node::Any(Vec::new()))),
        }
    }
}

impl Node {
    fn compile(node: &Value, depth: usize, terms: &Terms<'_>) -> Result<Self, Fault> {
        if depth == 0 {
            return Err(Fault::CohortUnreadable);
        }
        if node.as_object().is_some_and(serde_json::Map::is_empty) {
            return Ok(Self::All(Vec::new()));
        }
        if node.get("values").is_some() || node.get("key").is_none() {
            let inner = values(node)
                .iter()
                .map(|inner| Self::compile(inner, depth - 1, terms))
                .collect::<Result<_, _>>()?;
            return match node.get("type").and_then(Value::as_str) {
                Some("AND" | "property") => Ok(Self::All(inner)),
                Some("OR") => Ok(Self::Any(inner)),
                _ => Err(Fault::CohortUnreadable),
            };
        }
        Self::leaf(node, terms)
    }

    fn leaf(node: &Value, terms: &Terms<'_>) -> Result<Self, Fault> {
        let property = Property::deserialize(node).map_err(|_| Fault::CohortUnreadable)?;
        let is_negated = property.negation == Some(true);
        match property.kind.as_deref().unwrap_or("person") {
            "cohort" => {
                let id = cohort_id(&property.value).ok_or(Fault::CohortUnreadable)?;
                let is_member = property.operator.as_deref() != Some("not_in");
                Ok(Self::Cohort { id, is_member: is_member != is_negated })
            }
            "person" => {
                let key = PersonKey::new(&property.key);
                Ok(Self::Person { key, test: test(&property, terms), is_negated })
            }
            "person_metadata" => {
                let key = PersonKey::metadata(&property.key).ok_or(Fault::CohortUnreadable)?;
                Ok(Self::Person { key, test: test(&property, terms), is_negated })
            }
            _ => Err(Fault::CohortUnreadable),
        }
    }
}
