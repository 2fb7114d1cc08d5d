//! The flags of a project, compiled when one of them is written.

use crate::cohort::Cohorts;
use crate::condition::{Rules, indexes};
use crate::dependency::Order;
use crate::evaluate::Evaluation;
use crate::filter::Filter;
use crate::operator::Terms;
use crate::property::group_key;
use crate::{Cohort, Decision, Flag, Mapping, Scope, Subject};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How `exact` compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// Truth where a filter says true or false: the first rule, and the default.
    #[default]
    Truth,
    /// Text always.
    Text,
}

/// What flags of a project are made of.
#[derive(Clone, Debug)]
pub struct Project {
    /// Flags, also those that are off.
    pub flags: Vec<Flag>,
    /// Cohorts.
    pub cohorts: Vec<Cohort>,
    /// Group types.
    pub mapping: Mapping,
    /// Where the project is.
    pub zone: TimeZone,
    /// How `exact` compares.
    pub matching: Matching,
}

/// What has to be known before flags are evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Whether stored properties or lists of the person can matter.
    pub person: bool,
    /// Types of the groups whose stored properties can matter.
    pub groups: BTreeSet<i32>,
    /// Whether people keep their values across logins.
    pub hash_keys: bool,
}

/// The flags of a project, ready to be evaluated.
#[derive(Debug)]
pub struct FlagSet {
    pub(crate) flags: Vec<Flag>,
    /// The filters of each; nothing for one that cannot be read.
    pub(crate) rules: Vec<Option<Rules>>,
    pub(crate) order: Order,
    pub(crate) cohorts: Cohorts,
    pub(crate) mapping: Mapping,
    pub(crate) zone: TimeZone,
    needs: Needs,
}

impl FlagSet {
    /// Compiles the flags of a project.
    pub fn compile(project: Project) -> Self {
        let flags: Vec<Flag> = project.flags.into_iter().filter(|flag| !flag.deleted).collect();
        let by_id: BTreeMap<String, usize> =
            flags.iter().enumerate().map(|(at, flag)| (flag.id.to_string(), at)).collect();
        let find = |id: &str| by_id.get(id).copied();
        let dependencies: Vec<Vec<Option<usize>>> =
            flags.iter().map(|flag| Rules::dependencies(flag).iter().map(|id| find(id)).collect()).collect();
        let terms = Terms { zone: &project.zone, compares_truth: project.matching == Matching::Truth };
        let rules: Vec<Option<Rules>> =
            flags.iter().map(|flag| Rules::compile(flag, &terms, &find)).collect();
        let cohorts = Cohorts::compile(&project.cohorts, &terms);
        let needs = Needs::of(&flags, &rules);
        let order = Order::of(&dependencies);
        Self { flags, rules, order, cohorts, mapping: project.mapping, zone: project.zone, needs }
    }

    /// What has to be known.
    pub fn needs(&self) -> &Needs {
        &self.needs
    }

    /// Whether any flag is on: an SDK that hears of none does not ask.
    pub fn has_active(&self) -> bool {
        self.flags.iter().any(|flag| flag.active && !flag.is_secret())
    }

    /// The flag of a key, also one that is off.
    pub fn get(&self, key: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.key == key)
    }

    /// All flags.
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// Keys of the flags by which people keep their values across logins.
    pub fn continuous_keys(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().filter(|flag| flag.active && flag.is_continuous()).map(|flag| flag.key.as_str())
    }

    /// Which groups a request names, by type: those whose type is known and whose key is one.
    pub fn group_keys(&self, named: &Map<String, Value>) -> BTreeMap<i32, String> {
        let indexes = indexes(&self.mapping);
        let known =
            |(name, key): (&String, &Value)| Some((*indexes.get(name.as_str())?, group_key(Some(key))?));
        named.iter().filter_map(known).collect()
    }

    /// Which properties a request gives its groups, by type.
    pub fn group_overrides<'a>(
        &self,
        given: &'a Map<String, Value>,
    ) -> BTreeMap<i32, &'a Map<String, Value>> {
        let indexes = indexes(&self.mapping);
        let known = |(name, properties): (&String, &'a Value)| {
            Some((*indexes.get(name.as_str())?, properties.as_object()?))
        };
        given.iter().filter_map(known).collect()
    }

    /// The value of every flag that a request is about, in stored order.
    pub fn evaluate<'a>(
        &'a self,
        subject: &Subject<'_>,
        scope: &Scope<'_>,
        now: Timestamp,
    ) -> Vec<Decision<'a>> {
        Evaluation::new(self, subject, now).run(scope)
    }
}

impl Needs {
    fn of(flags: &[Flag], rules: &[Option<Rules>]) -> Self {
        let mut needs = Self::default();
        for (flag, rules) in flags.iter().zip(rules).filter(|(flag, _)| flag.active) {
            needs.hash_keys |= flag.is_continuous();
            let Some(rules) = rules else { continue };
            needs.person |= rules.enrolment.reads_person();
            needs.groups.extend(rules.aggregations());
            for filter in rules.filters() {
                match filter {
                    Filter::Person(..) | Filter::Cohort { .. } => needs.person = true,
                    Filter::Group(index, ..) => {
                        needs.groups.insert(*index);
                    }
                    Filter::Never | Filter::Flag { .. } => {}
                }
            }
        }
        needs
    }
}
