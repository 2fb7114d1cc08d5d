//! What a flag is for somebody, and why.

use crate::{Fault, Flag};
use serde_json::Value;

/// Why a flag has its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Conditions match.
    ConditionMatch,
    /// None does.
    NoConditionMatch,
    /// None does, and those for groups could not be looked at.
    NoConditionMatchNoGroup,
    /// Conditions match for fewer people.
    OutOfRolloutBound,
    /// No group to evaluate for, or no conditions at all.
    NoGroupType,
    /// The person opted in or out.
    SuperConditionValue,
    /// The person is held out of experiments.
    HoldoutConditionValue,
    /// It depends on a flag that does not exist, or on itself.
    MissingDependency,
    /// It failed.
    Failed(Fault),
}

impl Reason {
    /// Its name in answers.
    pub fn code(self) -> &'static str {
        match self {
            Self::ConditionMatch => "condition_match",
            Self::NoConditionMatch | Self::NoConditionMatchNoGroup => "no_condition_match",
            Self::OutOfRolloutBound => "out_of_rollout_bound",
            Self::NoGroupType => "no_group_type",
            Self::SuperConditionValue => "super_condition_value",
            Self::HoldoutConditionValue => "holdout_condition_value",
            Self::MissingDependency => "missing_dependency",
            Self::Failed(fault) => fault.code(),
        }
    }

    /// PostHog's words for it; nothing where the index goes between them.
    pub fn description(self) -> Option<&'static str> {
        Some(match self {
            Self::ConditionMatch => return None,
            Self::Failed(fault) => fault.description(),
            Self::NoConditionMatch => "No matching condition set",
            Self::NoConditionMatchNoGroup => {
                "No matching condition set (group conditions were not evaluated because no group type was provided)"
            }
            Self::OutOfRolloutBound => "Out of rollout bound",
            Self::NoGroupType => "No group type",
            Self::SuperConditionValue => "Super condition value",
            Self::HoldoutConditionValue => "Holdout condition value",
            Self::MissingDependency => "Flag cannot be evaluated due to missing dependency",
        })
    }

    /// Which of two conditions tells more about why a flag is off.
    pub(crate) fn score(self) -> u8 {
        match self {
            Self::ConditionMatch => 4,
            Self::OutOfRolloutBound => 3,
            Self::NoConditionMatch => 2,
            Self::NoGroupType => 1,
            _ => 0,
        }
    }
}

/// The value of one flag for one subject.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// The flag.
    pub flag: &'a Flag,
    /// Whether it is on.
    pub is_enabled: bool,
    /// Which of its variants.
    pub variant: Option<&'a str>,
    /// Why.
    pub reason: Reason,
    /// Which of its conditions said so.
    pub condition_index: Option<usize>,
    /// What comes with the value.
    pub payload: Option<&'a Value>,
}

impl<'a> Decision<'a> {
    pub(crate) fn off(flag: &'a Flag, reason: Reason) -> Self {
        Self { flag, is_enabled: false, variant: None, reason, condition_index: None, payload: None }
    }

    /// Whether it could not be evaluated.
    pub fn is_failed(&self) -> bool {
        matches!(self.reason, Reason::Failed(_))
    }

    /// The value: a variant, or whether it is on.
    pub fn value(&self) -> Value {
        match self.variant {
            Some(variant) => Value::from(variant),
            None => Value::from(self.is_enabled),
        }
    }
}
