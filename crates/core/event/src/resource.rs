//! What a quota counts.

use serde::{Deserialize, Serialize};

/// A billable resource, as PostHog names it in `quota_limited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Every analytics event.
    Events,
    /// Session replay requests on `/s`.
    Recordings,
    /// `$exception` events.
    Exceptions,
    /// `survey sent|shown|dismissed` events that belong to no product tour.
    Surveys,
    /// `$ai_*` events.
    LlmEvents,
}

impl Resource {
    /// The stable lower-case name, used as a metric label and in answers.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Recordings => "recordings",
            Self::Exceptions => "exceptions",
            Self::Surveys => "surveys",
            Self::LlmEvents => "llm_events",
        }
    }
}
