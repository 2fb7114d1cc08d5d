//! What becomes of each event of a batch.

use super::{Batch, Event, Options, instant};
use crate::object;
use event::event_size::Limits;
use event::name::event as names;
use event::{Received, Resource, Route, distinct_id, limit};
use uuid::Uuid;

/// The result of one event.
///
/// PostHog also knows `retry`, for an event that its queue did not take while it took others of the request. Here a
/// request is one record of the log, stored whole or refused whole with 503, so no event has that result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored.
    Ok,
    /// Not stored, and sending it again will not help.
    Drop,
}

impl Outcome {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Drop => "drop",
        }
    }
}

/// One line of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The event.
    pub uuid: Uuid,
    /// What became of it.
    pub outcome: Outcome,
    /// Why; a stable lower-case tag, also a metric label.
    pub details: Option<&'static str>,
}

impl Verdict {
    /// Whether the event is to be stored.
    pub fn is_accepted(&self) -> bool {
        self.outcome == Outcome::Ok
    }
}

/// Why an event over quota is dropped.
pub const BILLING_LIMIT: &str = "billing_limit_exceeded";
/// Stored, but no person is touched, because the distinct id stands for no one.
const PERSON_PROCESSING_DISABLED: &str = "person_processing_disabled";

/// Judges every event of `batch`, in its order.
///
/// A function of the log record and `limits` alone, and `limits` are kept in [`Received::limits`]: whoever
/// reads the log later must use those, or an event that was acknowledged could be left out.
pub fn verdicts(batch: &Batch<'_>, received: &Received, limits: &Limits) -> Vec<Verdict> {
    let judged = |event: &Event<'_>| match judge(event, received, limits) {
        Ok(details) => Verdict { uuid: event.uuid, outcome: Outcome::Ok, details },
        Err(reason) => Verdict { uuid: event.uuid, outcome: Outcome::Drop, details: Some(reason) },
    };
    batch.events.iter().map(judged).collect()
}

/// The quota an event counts against: one of the narrow ones, else [`Resource::Events`].
///
/// An event of a narrow quota is not held back by the wide one. A survey event of a product tour counts
/// as an ordinary event.
pub fn quota(name: &str, in_product_tour: impl Fn() -> bool) -> Resource {
    match name {
        names::EXCEPTION => Resource::Exceptions,
        "survey sent" | "survey shown" | "survey dismissed" if !in_product_tour() => Resource::Surveys,
        name if is_ai(name) => Resource::LlmEvents,
        _ => Resource::Events,
    }
}

/// The details of an accepted event, or the reason for dropping it. The first reason in this order counts.
fn judge(
    event: &Event<'_>,
    received: &Received,
    limits: &Limits,
) -> Result<Option<&'static str>, &'static str> {
    refuse(event.name.is_empty(), "missing_event_name")?;
    refuse(event.name.len() > limit::V1_EVENT_NAME_BYTES, "event_name_too_long")?;
    refuse(event.distinct_id.is_empty(), "missing_distinct_id")?;
    refuse(event.distinct_id.len() > limit::V1_DISTINCT_ID_BYTES, "distinct_id_too_large")?;
    refuse(instant::rfc3339(&event.timestamp).is_none(), "invalid_event_timestamp")?;
    let malformed = event.properties.is_some_and(|raw| !raw.get().starts_with('{'));
    refuse(malformed, "malformed_event_properties")?;
    refuse(event.name == names::PERFORMANCE, "dropped_performance_event")?;
    let options = Options::read(event.options).ok_or("invalid_options")?;
    refuse(received.route == Route::V1Ai && !is_ai(&event.name), "non_ai_event")?;
    let resource = quota(&event.name, || is_in_product_tour(event, &options));
    refuse(received.limited.contains(&resource), BILLING_LIMIT)?;
    if is_ai(&event.name) {
        refuse(event.size() > limits.ai, "ai_event_too_big")?;
    } else {
        refuse(event.size() > limits.analytics, "event_too_big")?;
    }
    Ok(distinct_id::is_illegal(&event.distinct_id).then_some(PERSON_PROCESSING_DISABLED))
}

fn refuse(when: bool, reason: &'static str) -> Result<(), &'static str> {
    if when { Err(reason) } else { Ok(()) }
}

fn is_ai(name: &str) -> bool {
    name.starts_with("$ai_")
}

fn is_in_product_tour(event: &Event<'_>, options: &Options) -> bool {
    let named = |(name, value): &(_, &serde_json::value::RawValue)| {
        let name: &std::borrow::Cow<'_, str> = name;
        name == "$product_tour_id" && value.get() != "null"
    };
    options.product_tour_id.is_some()
        || event.properties.and_then(object::entries).is_some_and(|entries| entries.iter().any(named))
}
