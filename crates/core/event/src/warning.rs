//! Something about an event that its sender should know: stored in `ingestion_warnings`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One ingestion warning, before it is given a project and a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// The type, as PostHog names it (`cannot_merge_already_identified`, ...).
    pub kind: String,
    /// What a person needs to find the sender.
    pub details: Map<String, Value>,
}

impl Warning {
    /// A warning of `kind` with no details yet.
    pub fn new(kind: &str) -> Self {
        Self { kind: kind.to_owned(), details: Map::new() }
    }

    /// Adds one detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }
}
