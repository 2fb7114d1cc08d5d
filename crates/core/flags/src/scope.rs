//! Which flags a request is about.

use crate::{Flag, Runtime};

/// Flags whose key begins so belong to a survey.
pub const SURVEY_PREFIX: &str = "survey-targeting-";

/// What a request narrows the flags to.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Only those of surveys.
    pub is_survey_only: bool,
    /// Where the SDK runs.
    pub runtime: Runtime,
    /// Where in the product; empty means anywhere.
    pub contexts: &'a [String],
    /// Only these and what they depend on; nothing means all.
    pub keys: Option<&'a [String]>,
}

impl Scope<'_> {
    /// Everything.
    pub const ALL: Scope<'static> =
        Scope { is_survey_only: false, runtime: Runtime::All, contexts: &[], keys: None };

    /// Whether a flag is in an answer at all. One that is not counts as off for those that depend on it.
    pub(crate) fn accepts(&self, flag: &Flag) -> bool {
        let is_in_context = || {
            self.contexts.is_empty()
                || flag.evaluation_contexts.is_empty()
                || flag.evaluation_contexts.iter().any(|context| self.contexts.contains(context))
        };
        flag.active
            && !flag.is_secret()
            && (!self.is_survey_only || flag.key.starts_with(SURVEY_PREFIX))
            && self.runtime.accepts(flag.evaluation_runtime.as_deref())
            && is_in_context()
    }
}
