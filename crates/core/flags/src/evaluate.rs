//! One evaluation: every flag for one subject, dependencies first.

use crate::condition::{Condition, Enrolment, Rules};
use crate::filter::{Filter, Wanted};
use crate::text::text;
use crate::{Decision, Fault, Flag, FlagSet, Reason, Scope, Subject, hash};
use jiff::{Timestamp, Zoned};
use serde_json::Value;
use std::collections::BTreeSet;

/// The state of an evaluation.
pub(crate) struct Evaluation<'a, 's> {
    set: &'a FlagSet,
    subject: &'s Subject<'s>,
    now: Zoned,
    /// What the flags evaluated so far are, by place; nothing for those that failed.
    values: Vec<Option<Outcome<'a>>>,
}

/// The value of a flag, for those that depend on it.
#[derive(Clone, Copy)]
enum Outcome<'a> {
    Off,
    On,
    Variant(&'a str),
}

/// Whether the filters of a condition hold, and if not, why.
enum Verdict {
    Match,
    Miss(Reason),
}

/// The reason that tells most so far.
struct Best {
    reason: Reason,
    index: Option<usize>,
}

impl Best {
    fn offer(&mut self, reason: Reason, index: usize) {
        // Of two that tell as much the later one counts, as PostHog.
        if self.reason.score() <= reason.score() {
            *self = Self { reason, index: Some(index) };
        }
    }
}

impl<'a, 's> Evaluation<'a, 's> {
    pub(crate) fn new(set: &'a FlagSet, subject: &'s Subject<'s>, now: Timestamp) -> Self {
        Self { set, subject, now: now.to_zoned(set.zone.clone()), values: vec![None; set.flags.len()] }
    }

    pub(crate) fn run(mut self, scope: &Scope<'_>) -> Vec<Decision<'a>> {
        let set = self.set;
        let asked: Option<BTreeSet<usize>> = scope.keys.map(|keys| {
            let named = (0..set.flags.len()).filter(|at| keys.contains(&set.flags[*at].key));
            set.order.closure(named)
        });
        let is_asked = |at: usize| asked.as_ref().is_none_or(|asked| asked.contains(&at));
        let mut decisions: Vec<Option<Decision<'a>>> = Vec::new();
        decisions.resize_with(set.flags.len(), || None);
        for at in set.order.places.iter().copied().filter(|at| is_asked(*at)) {
            let flag = &set.flags[at];
            if !scope.accepts(flag) {
                self.values[at] = Some(Outcome::Off);
                continue;
            }
            let decision = self.decide(at).unwrap_or_else(|fault| Decision::off(flag, Reason::Failed(fault)));
            self.values[at] = Outcome::of(&decision);
            decisions[at] = Some(decision);
        }
        for (at, flag) in set.flags.iter().enumerate() {
            if set.order.is_broken[at] && is_asked(at) && scope.accepts(flag) {
                decisions[at] = Some(Decision::off(flag, Reason::MissingDependency));
            }
        }
        decisions.into_iter().flatten().collect()
    }

    fn decide(&self, at: usize) -> Result<Decision<'a>, Fault> {
        let flag = &self.set.flags[at];
        let rules = self.set.rules[at].as_ref().ok_or(Fault::FlagUnreadable)?;
        if let Some(decision) = self.enrolled(flag, rules)? {
            return Ok(decision);
        }
        if let Some(holdout) = &rules.holdout
            && hash::is_held_out(self.identifier(flag, rules.aggregation)?, holdout.percentage)
        {
            return Ok(Decision {
                is_enabled: true,
                variant: Some(&holdout.variant),
                payload: rules.payload(&holdout.variant),
                ..Decision::off(flag, Reason::HoldoutConditionValue)
            });
        }
        self.by_conditions(flag, rules)
    }

    fn by_conditions(&self, flag: &'a Flag, rules: &'a Rules) -> Result<Decision<'a>, Fault> {
        let mut best = Best { reason: Reason::NoGroupType, index: None };
        let mut has_skipped = false;
        for (index, condition) in rules.conditions.iter().enumerate() {
            match self.check(flag, rules, condition)? {
                Verdict::Match => {
                    let variant = self.variant(flag, rules, condition)?;
                    return Ok(Decision {
                        is_enabled: true,
                        variant,
                        condition_index: Some(index),
                        payload: rules.payload(variant.unwrap_or("true")),
                        ..Decision::off(flag, Reason::ConditionMatch)
                    });
                }
                Verdict::Miss(reason) => {
                    has_skipped |= reason == Reason::NoGroupType;
                    best.offer(reason, index);
                    let is_device = condition.aggregation.is_none() && self.lacks_device(flag);
                    if reason == Reason::OutOfRolloutBound && rules.exits_early && !is_device {
                        break;
                    }
                }
            }
        }
        let reason = match best.reason {
            Reason::NoConditionMatch if has_skipped => Reason::NoConditionMatchNoGroup,
            other => other,
        };
        Ok(Decision { condition_index: best.index, ..Decision::off(flag, reason) })
    }

    fn check(&self, flag: &Flag, rules: &Rules, condition: &Condition) -> Result<Verdict, Fault> {
        match condition.aggregation {
            None if self.lacks_device(flag) => return Ok(Verdict::Miss(Reason::OutOfRolloutBound)),
            Some(index) if !self.subject.group_keys.contains_key(&index) => {
                return Ok(Verdict::Miss(Reason::NoGroupType));
            }
            _ => {}
        }
        for filter in &condition.filters {
            if !self.passes(filter)? {
                return Ok(Verdict::Miss(Reason::NoConditionMatch));
            }
        }
        // Most conditions are for everybody who matches: nobody is hashed then.
        let is_within = condition.percentage == 100.0 || {
            let id = self.identifier(flag, condition.aggregation)?;
            hash::is_within(&rules.prefix, id, condition.percentage)
        };
        Ok(if is_within { Verdict::Match } else { Verdict::Miss(Reason::OutOfRolloutBound) })
    }

    fn lacks_device(&self, flag: &Flag) -> bool {
        flag.is_by_device() && self.subject.device_id.is_none()
    }

    fn passes(&self, filter: &Filter) -> Result<bool, Fault> {
        match filter {
            Filter::Never => Ok(false),
            Filter::Person(key, test) => Ok(test.passes(self.subject.person_property(key)?, &self.now)),
            Filter::Group(index, name, test) => {
                let mut key = Value::Null;
                Ok(test.passes(self.subject.group_property(*index, name, &mut key)?, &self.now))
            }
            Filter::Cohort { id, is_member } => {
                Ok(self.set.cohorts.has(*id, self.subject, &self.now)? == *is_member)
            }
            Filter::Flag { at, wanted } => Ok(self.values[*at].is_some_and(|value| value.is(wanted))),
        }
    }

    fn variant(
        &self,
        flag: &Flag,
        rules: &'a Rules,
        condition: &Condition,
    ) -> Result<Option<&'a str>, Fault> {
        if let Some(at) = condition.variant {
            return Ok(Some(&rules.variants[at].key));
        }
        if rules.variants.is_empty() {
            return Ok(None);
        }
        let place = hash::place(&rules.prefix, self.identifier(flag, condition.aggregation)?, "variant");
        let mut end = 0.0;
        for variant in &rules.variants {
            end += variant.rollout_percentage / 100.0;
            if place < end {
                return Ok(Some(&variant.key));
            }
        }
        Ok(None)
    }

    /// Whether the person opted in or out, where that counts before anything else.
    fn enrolled(&self, flag: &'a Flag, rules: &'a Rules) -> Result<Option<Decision<'a>>, Fault> {
        let is_enabled = match &rules.enrolment {
            Enrolment::None => return Ok(None),
            Enrolment::Property(key) => match self.subject.person_property(key)? {
                None => return Ok(None),
                Some(said) => text(said) == "true",
            },
            Enrolment::Condition(filters, percentage) => {
                if !self.has_any(filters)? {
                    return Ok(None);
                }
                let mut is_match = true;
                for filter in filters {
                    is_match = is_match && self.passes(filter)?;
                }
                is_match && hash::is_within(&rules.prefix, self.identifier(flag, None)?, *percentage)
            }
        };
        Ok(Some(Decision {
            is_enabled,
            condition_index: Some(0),
            payload: rules.payload("true"),
            ..Decision::off(flag, Reason::SuperConditionValue)
        }))
    }

    fn has_any(&self, filters: &[Filter]) -> Result<bool, Fault> {
        for filter in filters {
            if let Filter::Person(key, _) = filter
                && self.subject.person_property(key)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// By which text a flag buckets the subject.
    fn identifier(&self, flag: &Flag, aggregation: Option<i32>) -> Result<&'s str, Fault> {
        let subject = self.subject;
        if let Some(index) = aggregation {
            return Ok(subject.group_keys.get(&index).map_or("", String::as_str));
        }
        if let Some(device) = subject.device_id.filter(|_| flag.is_by_device()) {
            return Ok(device);
        }
        if !flag.is_continuous() {
            return Ok(subject.distinct_id);
        }
        let kept = subject.hash_keys.ok_or(Fault::HashKey)?.get(&flag.key);
        Ok(kept.map(String::as_str).or(subject.anon_distinct_id).unwrap_or(subject.distinct_id))
    }
}

impl<'a> Outcome<'a> {
    fn of(decision: &Decision<'a>) -> Option<Self> {
        match (decision.is_failed(), decision.variant, decision.is_enabled) {
            (true, ..) => None,
            (_, Some(variant), _) => Some(Self::Variant(variant)),
            (_, None, true) => Some(Self::On),
            (_, None, false) => Some(Self::Off),
        }
    }

    fn is(self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::On => !matches!(self, Self::Off),
            Wanted::Off => matches!(self, Self::Off),
            Wanted::Variant(key) => matches!(self, Self::Variant(variant) if variant == key),
            Wanted::Nothing => false,
        }
    }
}

impl Enrolment {
    pub(crate) fn reads_person(&self) -> bool {
        !matches!(self, Self::None)
    }
}
