//! What the door knew when a request arrived: everything besides the body that decides how it is read.

use crate::event_size::Limits;
use crate::{Place, ProjectId, Resource};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which contract a body follows. One variant per shape, not per path: aliases share a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `/e`, `/capture`, `/track`, `/i/v0/e`, `/batch`: v0 events.
    Events,
    /// `/engage`: v0 events where a nameless `$set` body becomes `$identify`.
    Engage,
    /// `/identify`: v0, a missing event name becomes `$identify`.
    Identify,
    /// `/alias`: v0, a missing event name becomes `$create_alias`.
    Alias,
    /// `/groups`: v0, a missing event name becomes `$groupidentify`.
    Groups,
    /// `/i/v0/ai/batch`: v0 events, AI names only.
    AiBatch,
    /// `/s`: session replay.
    Replay,
    /// `/i/v1/analytics/events`.
    V1,
    /// `/i/v1/ai/events`: v1, AI names only, others dropped one by one.
    V1Ai,
}

impl Route {
    /// Whether the body follows capture v1 (per-event results).
    pub fn is_v1(self) -> bool {
        matches!(self, Self::V1 | Self::V1Ai)
    }
}

/// The envelope of one accepted request. It is stored in the log beside the body, so that reading
/// the log again gives the same events: nothing about decoding depends on when it happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// The contract the body follows.
    pub route: Route,
    /// The project the key belongs to.
    pub project: ProjectId,
    /// The project key as sent, trimmed.
    pub token: String,
    /// Server time of arrival.
    pub at: Timestamp,
    /// When the client says it sent the request (query `_`/`sent_at`, or the v1 header).
    /// A `sent_at` inside the body takes precedence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Client address, already decided from peer and trusted proxies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// `User-Agent`, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// v1 `PostHog-Sdk-Info`, split into library and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdk: Option<(String, String)>,
    /// Location from the edge, if the request came through one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Quotas that were exhausted on arrival; the events they cover are left out on reading.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limited: Vec<Resource>,
    /// Size limits in force on arrival. Kept for v1, where they decide event by event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Random per request. Generated uuids are a function of it and the event's position.
    pub seed: u64,
}
