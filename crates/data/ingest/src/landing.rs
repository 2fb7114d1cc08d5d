//! From a log record back to what it said: the same functions as at the door, so that the two cannot disagree.

use crate::bodies;
use crate::error::{Error, Kind};
use crate::record;
use event::normalize::{self, Context};
use event::{CapturedEvent, RawEvent, Received, Rejection, Resource, Route};
use wire::v1::Accepted;

/// Decompressed bytes a record may hold: more than any setting lets through the door.
const BUDGET: usize = 1 << 30;

/// Memory of an event and its row beside the properties.
const AROUND: usize = 1024;

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

/// The events of a capture request, parsed and not yet built.
pub struct Reading<'a> {
    received: &'a Received,
    events: Events<'a>,
}

/// What is left of them.
enum Events<'a> {
    V0(std::vec::IntoIter<RawEvent<'a>>, Context),
    V1(Accepted<'a>),
}

/// Parses a capture request.
///
/// # Errors
/// The rejection that the door would have answered; it did not, so the record goes to the dead letters.
pub fn read(opened: &Opened) -> Result<Reading<'_>, Rejection> {
    let received = &opened.received;
    if received.route.is_v1() {
        let limits = received.limits.unwrap_or_default();
        let accepted = wire::v1::accepted(&opened.json, received, &limits)
            .map_err(|error| Rejection::Parsing(error.to_string()))?;
        return Ok(Reading { received, events: Events::V1(accepted) });
    }
    let request = wire::capture::parse(received.route, &opened.json)?;
    let context = Context { sent_at: request.sent_at, historical: request.historical_migration, index: 0 };
    Ok(Reading { received, events: Events::V0(request.events.into_iter(), context) })
}

impl Reading<'_> {
    /// Builds the next events, until their properties take about `bytes`; none when there are no more. Those whose
    /// quota was used up on arrival are left out.
    ///
    /// # Errors
    /// As [`read`]. The door builds events with the same functions before it answers, so that it does not happen to
    /// what it took.
    pub fn piece(&mut self, bytes: usize) -> Result<Vec<CapturedEvent>, Rejection> {
        let mut events = Vec::new();
        let mut taken = 0;
        while taken < bytes {
            let Some(mut event) = self.event()? else { break };
            self.place(&mut event);
            taken += event.properties.bytes() + AROUND;
            events.push(event);
        }
        Ok(events)
    }

    /// The next event that is to be folded.
    fn event(&mut self) -> Result<Option<CapturedEvent>, Rejection> {
        match &mut self.events {
            Events::V0(events, context) => {
                for raw in events {
                    let at = *context;
                    context.index += 1;
                    if normalize::is_discarded(&raw) {
                        telemetry::pump::dropped("performance_event", 1);
                        continue;
                    }
                    let event = normalize::capture(&raw, self.received, at)?;
                    match quota(&event, &self.received.limited) {
                        Some(resource) => telemetry::capture::quota_exceeded(resource.tag(), 1),
                        None => return Ok(Some(event)),
                    }
                }
                Ok(None)
            }
            Events::V1(accepted) => Ok(accepted.next()),
        }
    }

    /// Adds where the request came from.
    fn place(&self, event: &mut CapturedEvent) {
        event::enrich::ip(&mut event.properties, event.ip.as_deref());
        // Of a visitor without cookies nothing is kept that was learned from the address.
        if let Some(place) = self.received.place.as_ref().filter(|_| !identity::cookieless::applies(event)) {
            event::enrich::place(&mut event.properties, place, event.ip.as_deref());
        }
    }
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
