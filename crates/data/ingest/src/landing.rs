//! From a log record back to what it said: the same functions as at the door, so that the two cannot disagree.

use crate::bodies;
use crate::error::{Error, Kind};
use crate::record;
use event::normalize::{self, Context};
use event::{CapturedEvent, Received, Rejection, Resource, Route};

/// Decompressed bytes a record may hold: more than any setting lets through the door.
const BUDGET: usize = 1 << 30;

/// A record, unpacked.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What the door knew.
    pub received: Received,
    /// The request as JSON text.
    pub json: String,
}

/// Unpacks a record.
///
/// # Errors
/// `Corrupt` when it is not what the door wrote.
pub fn open(bytes: &[u8]) -> Result<Opened, Error> {
    let record = record::decode(bytes)?;
    let json = bodies::unpack(record.codec, record.body, BUDGET)?;
    let json = wire::json::text(&json).map_err(|e| {
        Error::because(Kind::Corrupt, "a body in the log is not the JSON that was accepted", e)
    })?;
    Ok(Opened { json: json.into_owned(), received: record.received })
}

/// Reads the events of a capture request, leaving out those whose quota was used up on arrival.
///
/// # Errors
/// The rejection that the door would have answered; it did not, so the record goes to the dead letters.
pub fn events(opened: &Opened) -> Result<Vec<CapturedEvent>, Rejection> {
    let received = &opened.received;
    let mut events = if received.route.is_v1() {
        wire::v1::accepted(&opened.json, received, &received.limits.unwrap_or_default())
            .map_err(|error| Rejection::Parsing(error.to_string()))?
    } else {
        v0(opened)?
    };
    for event in &mut events {
        event::enrich::ip(&mut event.properties, event.ip.as_deref());
        // Of a visitor without cookies nothing is kept that was learned from the address.
        if let Some(place) = received.place.as_ref().filter(|_| !identity::cookieless::applies(event)) {
            event::enrich::place(&mut event.properties, place, event.ip.as_deref());
        }
    }
    Ok(events)
}

fn v0(opened: &Opened) -> Result<Vec<CapturedEvent>, Rejection> {
    let received = &opened.received;
    let request = wire::capture::parse(received.route, &opened.json)?;
    let context = Context { sent_at: request.sent_at, historical: request.historical_migration, index: 0 };
    let mut events = Vec::with_capacity(request.events.len());
    for (index, raw) in request.events.iter().enumerate() {
        if normalize::is_discarded(raw) {
            telemetry::pump::dropped("performance_event", 1);
            continue;
        }
        let event = normalize::capture(raw, received, context.at(index))?;
        match quota(&event, &received.limited) {
            Some(resource) => telemetry::capture::quota_exceeded(resource.tag(), 1),
            None => events.push(event),
        }
    }
    Ok(events)
}

/// The used-up quota that covers an event, if any.
///
/// # Compat
/// PostHog `rust/capture/src/quota_limiters.rs`: a scoped resource takes only its own events and saves them from the
/// general one.
pub fn quota(event: &CapturedEvent, limited: &[Resource]) -> Option<Resource> {
    if limited.is_empty() {
        return None;
    }
    let in_tour = || event.properties.get("$product_tour_id").is_some_and(|id| !id.is_null());
    let resource = wire::v1::quota(&event.event, in_tour);
    limited.contains(&resource).then_some(resource)
}

/// Whether a record holds session replay items rather than events.
pub fn is_replay(received: &Received) -> bool {
    received.route == Route::Replay
}
