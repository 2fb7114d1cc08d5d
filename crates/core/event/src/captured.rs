//! An event after the door: checked, timed, named; what the pump folds.

use crate::{Properties, Warning};
use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

/// An accepted event. Everything time- or randomness-dependent is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturedEvent {
    /// The client's uuid, or one generated from the request seed and the event's time.
    pub uuid: Uuid,
    /// Event name, at most 200 characters.
    pub event: String,
    /// Distinct id, at most 200 characters, no NUL.
    pub distinct_id: String,
    /// When it happened, after skew correction and clamping.
    pub timestamp: Timestamp,
    /// When this server received it.
    pub received_at: Timestamp,
    /// When the client says it sent it.
    pub sent_at: Option<Timestamp>,
    /// Client address, if known.
    pub ip: Option<String>,
    /// Properties, with root `$set`, `$set_once` and `$unset` folded in and `token` removed.
    pub properties: Properties,
    /// Root `context`, JSON text.
    pub context: Option<String>,
    /// Unknown root fields as a JSON object; empty when there were none.
    pub extra: Map<String, Value>,
    /// The project key it came with.
    pub api_key: String,
    /// Person processing was switched off by the server (illegal distinct id, restriction), whatever
    /// `$process_person_profile` says.
    pub force_personless: bool,
    /// Sent with `historical_migration: true`.
    pub historical: bool,
    /// A hash of what the sender wrote, times left out: the same for a copy that is sent again as it was.
    pub content: u64,
    /// What was altered on the way in.
    pub warnings: Vec<Warning>,
}
