//! Why a flag could not be evaluated.

/// A failure of one flag, which harms no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It names a cohort that does not exist.
    CohortMissing,
    /// Its cohort is made of itself.
    CohortCycle,
    /// Its cohort cannot be read.
    CohortUnreadable,
    /// Its filters cannot be read.
    FlagUnreadable,
    /// What is stored of the person or the group is not known, and the answer depends on it.
    Store,
    /// The id that this person keeps across logins is not known.
    HashKey,
}

impl Fault {
    /// The code SDKs see as the reason.
    pub fn code(self) -> &'static str {
        match self {
            Self::CohortMissing => "dependency_not_found_cohort",
            Self::CohortCycle => "dependency_cycle_cohort",
            Self::CohortUnreadable => "cohort_filters_parsing_error",
            Self::FlagUnreadable => "flag_filters_parsing_error",
            Self::Store => "database_error",
            Self::HashKey => "hash_key_override_error",
        }
    }

    /// The same in words. Those for a missing cohort are PostHog's, the others ours: nobody reads them by machine.
    pub fn description(self) -> &'static str {
        match self {
            Self::CohortMissing => "Cohort dependency not found",
            Self::CohortCycle => "Cohort dependency cycle",
            Self::CohortUnreadable => "Cohort filters cannot be read",
            Self::FlagUnreadable => "Flag filters cannot be read",
            Self::Store => "Stored properties could not be read",
            Self::HashKey => "The id kept across logins could not be read",
        }
    }
}
