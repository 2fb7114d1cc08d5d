//! Which items of a message are kept, and when the whole message is not.

use crate::limit::CLOCK_MS;
use crate::object::{fields, integer, number};
use crate::rrweb::{self, Facts};
use event::Warning;
use jiff::Timestamp;
use serde_json::value::RawValue;

/// One item that has passed the checks.
pub struct Item<'a> {
    /// The browser tab it was recorded in.
    pub window_id: &'a str,
    /// The event as sent.
    pub json: &'a RawValue,
    /// Milliseconds since 1970 on the visitor's clock; positive, may have a fraction.
    pub timestamp_ms: f64,
    pub(crate) facts: Facts<'a>,
}

/// The items of a message that are kept, in the order of arrival.
pub struct Checked<'a> {
    /// At least one.
    pub items: Vec<Item<'a>>,
    /// How many were left out for want of a positive numeric timestamp.
    pub skipped: usize,
    /// Earliest timestamp, milliseconds since 1970.
    pub first_ms: f64,
    /// Latest timestamp, milliseconds since 1970.
    pub last_ms: f64,
}

/// Why nothing of a message is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dropped {
    /// Not one item had a positive numeric timestamp.
    NoValidItems {
        /// How many items there were.
        items: usize,
    },
    /// The first or the last item lies seven days or more from the moment of arrival.
    ClockTooFar {
        /// Earliest timestamp, milliseconds since 1970.
        first_ms: f64,
        /// Latest timestamp, milliseconds since 1970.
        last_ms: f64,
    },
}

impl Dropped {
    /// Stable lower-case name: the type of the ingestion warning and a metric label.
    ///
    /// # Compat
    /// The names of PostHog's warning registry.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::NoValidItems { .. } => "message_contained_no_valid_rrweb_events",
            Self::ClockTooFar { .. } => "message_timestamp_diff_too_large",
        }
    }

    /// The ingestion warning that tells the sender.
    pub fn warning(&self, session_id: &str) -> Warning {
        let warning = Warning::new(self.tag()).with("sessionId", session_id);
        match *self {
            Self::NoValidItems { items } => warning.with("items", items),
            Self::ClockTooFar { first_ms, last_ms } => {
                warning.with("firstTimestamp", first_ms).with("lastTimestamp", last_ms)
            }
        }
    }
}

/// Checks the `(window id, event)` items of one message.
///
/// # Errors
/// [`Dropped`] when nothing may be kept; the message was accepted, so its sender is told by a warning only.
pub fn check<'a>(
    items: &'a [(&'a str, &'a RawValue)],
    received_at: Timestamp,
) -> Result<Checked<'a>, Dropped> {
    let mut kept = Vec::with_capacity(items.len());
    let (mut first_ms, mut last_ms) = (f64::MAX, f64::MIN);
    for (window_id, json) in items {
        let [timestamp, kind, data] = fields(json, ["timestamp", "type", "data"]);
        let Some(timestamp_ms) = timestamp.and_then(number).filter(|ms| *ms > 0.0) else { continue };
        first_ms = first_ms.min(timestamp_ms);
        last_ms = last_ms.max(timestamp_ms);
        let facts = rrweb::read(kind.and_then(integer), data);
        kept.push(Item { window_id, json, timestamp_ms, facts });
    }
    if kept.is_empty() {
        return Err(Dropped::NoValidItems { items: items.len() });
    }
    let now = received_at.as_millisecond() as f64;
    if (first_ms - now).abs() >= CLOCK_MS || (last_ms - now).abs() >= CLOCK_MS {
        return Err(Dropped::ClockTooFar { first_ms, last_ms });
    }
    let skipped = items.len() - kept.len();
    Ok(Checked { items: kept, skipped, first_ms, last_ms })
}
