//! One test of one property, compiled from a filter.

use crate::date::{self, Moment};
use crate::number::{number, range};
use crate::text::{contains, is_boolean, is_true, text};
use crate::version;
use fancy_regex::{Regex, RegexBuilder};
use jiff::Zoned;
use jiff::tz::TimeZone;
use semver::{Version, VersionReq};
use serde_json::Value;
use std::cmp::Ordering;

/// Steps a pattern may go back before it counts as not matching.
const BACKTRACK_LIMIT: usize = 10_000;

/// A test that a property passes or not.
#[derive(Debug)]
pub(crate) struct Test {
    rule: Rule,
    is_negated: bool,
    /// The answer when there is no such property.
    when_missing: bool,
}

#[derive(Debug)]
enum Rule {
    /// The filter cannot be evaluated: no value passes, not even negated.
    Invalid,
    Present,
    Truth(bool),
    /// In lower case, one of which is equal.
    Equal(Vec<String>),
    /// In lower case, one of which is contained.
    Contains(Vec<String>),
    StartsWith(String),
    EndsWith(String),
    Pattern(Box<Regex>),
    Order(f64, Orders),
    Between(f64, f64),
    Date(Moment, Orders),
    Version(Version, Orders),
    Range(VersionReq),
}

/// Which outcomes of a comparison pass.
#[derive(Clone, Copy, Debug)]
struct Orders {
    less: bool,
    equal: bool,
    greater: bool,
}

const LESS: Orders = Orders { less: true, equal: false, greater: false };
const AT_MOST: Orders = Orders { less: true, equal: true, greater: false };
const EQUAL: Orders = Orders { less: false, equal: true, greater: false };
const OTHER: Orders = Orders { less: true, equal: false, greater: true };
const AT_LEAST: Orders = Orders { less: false, equal: true, greater: true };
const GREATER: Orders = Orders { less: false, equal: false, greater: true };

impl Orders {
    fn accept(self, order: Ordering) -> bool {
        match order {
            Ordering::Less => self.less,
            Ordering::Equal => self.equal,
            Ordering::Greater => self.greater,
        }
    }
}

/// What a test is compiled with.
pub(crate) struct Terms<'a> {
    /// Where dates without an offset are.
    pub(crate) zone: &'a TimeZone,
    /// Whether `exact` compares truth where a filter says true or false.
    pub(crate) compares_truth: bool,
}

impl Test {
    /// Compiles a filter; an operator that nobody knows gives a test that nothing passes.
    pub(crate) fn compile(operator: &str, value: &Value, terms: &Terms<'_>) -> Self {
        let (name, is_negated) = match operator {
            "is_not" => ("exact", true),
            "is_not_set" => ("is_set", true),
            _ => match operator.strip_prefix("not_") {
                Some(
                    name @ ("icontains" | "icontains_multi" | "starts_with" | "ends_with" | "regex"
                    | "between"),
                ) => (name, true),
                _ => (operator, false),
            },
        };
        let rule = Rule::compile(name, value, terms).unwrap_or(Rule::Invalid);
        Self { rule, is_negated, when_missing: is_negated }
    }

    /// Whether a property passes, or its absence.
    pub(crate) fn passes(&self, value: Option<&Value>, now: &Zoned) -> bool {
        let Some(value) = value else { return self.when_missing };
        self.rule.holds(value, now).is_some_and(|holds| holds != self.is_negated)
    }
}

impl Rule {
    fn compile(operator: &str, value: &Value, terms: &Terms<'_>) -> Option<Self> {
        let lower = || text(value).to_ascii_lowercase();
        let order = |orders| number(value).map(|bound| Self::Order(bound, orders));
        let date = |orders| Moment::of_filter(value, terms.zone).map(|moment| Self::Date(moment, orders));
        let version = |orders| version::version(value).map(|version| Self::Version(version, orders));
        Some(match operator {
            "exact" => Self::exact(value, terms),
            "is_set" => Self::Present,
            "icontains" => Self::Contains(vec![lower()]),
            "icontains_multi" => Self::Contains(elements(value, |text| text.to_ascii_lowercase())),
            "starts_with" => Self::StartsWith(lower()),
            "ends_with" => Self::EndsWith(lower()),
            "regex" => Self::Pattern(Box::new(pattern(&text(value))?)),
            "gt" => order(GREATER)?,
            "gte" => order(AT_LEAST)?,
            "lt" => order(LESS)?,
            "lte" => order(AT_MOST)?,
            "between" => range(value).map(|(low, high)| Self::Between(low, high))?,
            "is_date_exact" => date(EQUAL)?,
            "is_date_before" => date(LESS)?,
            "is_date_after" => date(GREATER)?,
            "semver_eq" => version(EQUAL)?,
            "semver_neq" => version(OTHER)?,
            "semver_gt" => version(GREATER)?,
            "semver_gte" => version(AT_LEAST)?,
            "semver_lt" => version(LESS)?,
            "semver_lte" => version(AT_MOST)?,
            "semver_tilde" => Self::Range(version::range('~', value)?),
            "semver_caret" => Self::Range(version::range('^', value)?),
            "semver_wildcard" => Self::Range(version::wildcard(value)?),
            _ => return None,
        })
    }

    fn exact(value: &Value, terms: &Terms<'_>) -> Self {
        let is_empty = value.as_array().is_some_and(Vec::is_empty);
        if is_empty || terms.compares_truth && is_boolean(value) {
            return Self::Truth(is_true(value));
        }
        Self::Equal(elements(value, |text| text.to_lowercase()))
    }

    /// Nothing when it cannot be said.
    fn holds(&self, value: &Value, now: &Zoned) -> Option<bool> {
        match self {
            Self::Invalid => None,
            Self::Present => Some(true),
            Self::Truth(truth) => Some(is_true(value) == *truth),
            Self::Equal(wanted) => {
                let found = text(value);
                Some(wanted.iter().any(|wanted| equals(&found, wanted)))
            }
            Self::Contains(parts) => {
                let text = text(value);
                Some(parts.iter().any(|part| contains(&text, part)))
            }
            Self::StartsWith(head) => {
                let text = text(value);
                let start = text.as_bytes().get(..head.len());
                Some(start.is_some_and(|start| start.eq_ignore_ascii_case(head.as_bytes())))
            }
            Self::EndsWith(tail) => {
                let text = text(value);
                let start = text.len().checked_sub(tail.len());
                let end = start.map(|start| &text.as_bytes()[start..]);
                Some(end.is_some_and(|end| end.eq_ignore_ascii_case(tail.as_bytes())))
            }
            Self::Pattern(pattern) => pattern.is_match(&text(value)).ok(),
            Self::Order(bound, orders) => Some(orders.accept(number(value)?.partial_cmp(bound)?)),
            Self::Between(low, high) => {
                let number = number(value).filter(|number| !number.is_nan())?;
                Some(*low <= number && number <= *high)
            }
            Self::Date(moment, orders) => {
                let found = date::of_property(value, now)?;
                Some(orders.accept(found.cmp(&moment.at(now)?)))
            }
            Self::Version(wanted, orders) => Some(orders.accept(version::version(value)?.cmp(wanted))),
            Self::Range(range) => Some(range.matches(&version::version(value)?)),
        }
    }
}

fn pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).backtrack_limit(BACKTRACK_LIMIT).build().ok()
}

fn elements(value: &Value, fold: impl Fn(&str) -> String) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(|item| fold(&text(item))).collect(),
        single => vec![fold(&text(single))],
    }
}

/// Equal but for case; `wanted` is in lower case. Most text is ASCII, for which nothing is allocated.
fn equals(found: &str, wanted: &str) -> bool {
    if found.is_ascii() { found.eq_ignore_ascii_case(wanted) } else { found.to_lowercase() == wanted }
}
