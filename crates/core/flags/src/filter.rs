//! Filters of a condition, compiled.

use crate::definition::Property;
use crate::operator::{Terms, Test};
use crate::property::PersonKey;
use serde_json::Value;

/// One filter.
#[derive(Debug)]
pub(crate) enum Filter {
    /// Nobody passes.
    Never,
    /// A property of the person.
    Person(PersonKey, Test),
    /// A property of the group of this type.
    Group(i32, String, Test),
    /// Whether the person is in a cohort, or is not.
    Cohort { id: i64, is_member: bool },
    /// What another flag must be; its place in the set.
    Flag { at: usize, wanted: Wanted },
}

/// What a flag must be.
#[derive(Debug)]
pub(crate) enum Wanted {
    On,
    Off,
    Variant(String),
    /// Not something a flag can be.
    Nothing,
}

impl Filter {
    /// Compiles a filter of a flag. `own` is the group type that its condition is for, `find` knows other flags.
    pub(crate) fn compile(
        property: &Property,
        own: Option<i32>,
        terms: &Terms<'_>,
        find: &dyn Fn(&str) -> Option<usize>,
    ) -> Self {
        let operator = property.operator.as_deref();
        match property.kind.as_deref().unwrap_or("person") {
            "cohort" => cohort(property),
            "flag" => match find(&property.key) {
                Some(at) if operator == Some("flag_evaluates_to") => {
                    Self::Flag { at, wanted: Wanted::of(&property.value) }
                }
                _ => Self::Never,
            },
            "group" => match property.group_type_index.or(own) {
                Some(index) => Self::Group(index, property.key.clone(), test(property, terms)),
                None => Self::Never,
            },
            "person_metadata" => match PersonKey::metadata(&property.key) {
                Some(key) => Self::Person(key, test(property, terms)),
                None => Self::Never,
            },
            "person" => Self::Person(PersonKey::new(&property.key), test(property, terms)),
            _ => Self::Never,
        }
    }

    pub(crate) fn is_cohort(&self) -> bool {
        matches!(self, Self::Cohort { .. })
    }
}

impl Wanted {
    fn of(value: &Value) -> Self {
        match value {
            Value::Bool(true) => Self::On,
            Value::Bool(false) => Self::Off,
            Value::String(variant) => Self::Variant(variant.clone()),
            _ => Self::Nothing,
        }
    }
}

/// The test of a filter; no operator means `exact`.
pub(crate) fn test(property: &Property, terms: &Terms<'_>) -> Test {
    Test::compile(property.operator.as_deref().unwrap_or("exact"), &property.value, terms)
}

/// The number of the cohort that a filter names.
pub(crate) fn cohort_id(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn cohort(property: &Property) -> Filter {
    let is_member = match property.operator.as_deref() {
        None | Some("in") => true,
        Some("not_in") => false,
        // As PostHog: SDKs read `exact` as `in`, its service does not.
        Some(_) => return Filter::Never,
    };
    match cohort_id(&property.value) {
        Some(id) => Filter::Cohort { id, is_member },
        None => Filter::Never,
    }
}
