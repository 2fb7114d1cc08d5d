//! From an accepted v1 event to what the pump folds.

use super::{Batch, Error, Event, Options, Verdict, instant, parse, verdicts};
use crate::object;
use event::event_size::Limits;
use event::json::ToJson;
use event::timestamp::Clock;
use event::{CapturedEvent, Properties, Received, Warning, distinct_id, limit};
use jiff::Timestamp;
use serde_json::Map;
use serde_json::value::RawValue;
use std::iter::Enumerate;
use std::vec::IntoIter;

/// Finds the events of a stored v1 body that were accepted, and builds them in their order, one at a time.
///
/// # Errors
/// Never for a body that the door accepted under the same rules; otherwise as [`parse`].
pub fn accepted<'a>(json: &'a str, received: &'a Received, limits: &Limits) -> Result<Accepted<'a>, Error> {
    let batch = parse(json)?;
    let verdicts = verdicts(&batch, received, limits).into_iter().enumerate();
    Ok(Accepted { batch, received, verdicts })
}

/// Events still to be built; see [`accepted`].
pub struct Accepted<'a> {
    batch: Batch<'a>,
    received: &'a Received,
    verdicts: Enumerate<IntoIter<Verdict>>,
}

impl Iterator for Accepted<'_> {
    type Item = CapturedEvent;

    fn next(&mut self) -> Option<CapturedEvent> {
        let (index, _) = self.verdicts.find(|(_, verdict)| verdict.is_accepted())?;
        Some(capture(&self.batch.events[index], self.received, &self.batch))
    }
}

/// Builds the captured event of an accepted one.
///
/// For an event that [`verdicts`] drops the result is well-formed but means nothing.
pub fn capture(event: &Event<'_>, received: &Received, batch: &Batch<'_>) -> CapturedEvent {
    let options = Options::read(event.options).unwrap_or_default();
    let mut warnings = Vec::new();
    let mut properties = read_properties(event, &mut warnings);
    inject(&mut properties, event, &options, received);
    let distinct_id = event.distinct_id.replace('\0', "\u{fffd}");
    CapturedEvent {
        uuid: event.uuid,
        event: event.name.clone().into_owned(),
        timestamp: happened(event, &options, received),
        received_at: received.at,
        sent_at: received.sent_at,
        ip: if batch.capture_internal { Some("127.0.0.1".to_owned()) } else { received.ip.clone() },
        properties,
        context: None,
        extra: Map::new(),
        api_key: received.token.clone(),
        force_personless: distinct_id::is_illegal(&distinct_id),
        distinct_id,
        historical: batch.historical_migration,
        content: content(event),
        warnings,
    }
}

/// The event's own time where skew is not to be corrected, without any clamp; else as in v0.
fn happened(event: &Event<'_>, options: &Options, received: &Received) -> Timestamp {
    let written = instant::rfc3339(&event.timestamp);
    if options.disable_skew_correction == Some(true) {
        return written.unwrap_or(received.at);
    }
    let clock =
        Clock { received_at: received.at, sent_at: received.sent_at, deadband_ms: limit::SKEW_DEADBAND_MS };
    clock.resolve(written, None)
}

/// Reads the properties; a value that no JSON number holds (1e999) is kept as its text.
fn read_properties(event: &Event<'_>, warnings: &mut Vec<Warning>) -> Properties {
    let unreadable = |name: &str| warnings.push(Warning::new("unreadable_property").with("property", name));
    let mut properties =
        event.properties.and_then(|raw| Properties::read(raw, unreadable)).unwrap_or_default();
    // The key of the request is no property, and only this server may speak for its AI gateway.
    properties.remove("token");
    if event.name.starts_with("$ai_") {
        properties.retain(|name| !object::is_gateway(name));
    }
    properties
}

/// Appends what the envelope says, so that it wins over properties of the same name.
fn inject(properties: &mut Properties, event: &Event<'_>, options: &Options, received: &Received) {
    let sdk = received.sdk.as_ref();
    append(properties, "$session_id", event.session_id.as_deref());
    append(properties, "$window_id", event.window_id.as_deref());
    append(properties, "$cookieless_mode", options.cookieless_mode);
    append(properties, "$ignore_sent_at", options.disable_skew_correction);
    append(properties, "$product_tour_id", options.product_tour_id.as_deref());
    append(properties, "$process_person_profile", options.process_person_profile);
    append(properties, "$lib", sdk.map(|(library, _)| library.as_str()));
    append(properties, "$lib_version", sdk.map(|(_, version)| version.as_str()));
}

fn append(properties: &mut Properties, name: &str, value: Option<impl ToJson>) {
    if let Some(value) = value {
        properties.remove(name);
        properties.insert(name, value);
    }
}

/// A hash of what the event says, its time left out; see [`CapturedEvent::content`].
fn content(event: &Event<'_>) -> u64 {
    let values = [event.properties, event.options].map(|value| value.map_or("", RawValue::get));
    let ids = [&event.session_id, &event.window_id].map(|id| id.as_deref().unwrap_or_default());
    event::raw::hash(values.into_iter().chain(ids))
}
