//! When an event happened: every way senders write a time, and the correction of their clocks.

use crate::{distinct_id, limit};
use jiff::civil::{Date, DateTime};
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::value::RawValue;

/// What a sender's clock is measured against.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Server time of arrival.
    pub received_at: Timestamp,
    /// When the sender says it sent the request; `None` also when the event asked to ignore it.
    pub sent_at: Option<Timestamp>,
    /// Skew in milliseconds that is tolerated and not corrected: [`limit::SKEW_DEADBAND_MS`], except
    /// where the whole skew is to be taken off (0).
    pub deadband_ms: i64,
}

impl Clock {
    /// When the event happened.
    ///
    /// `offset_ms` ("this long before arrival") beats `written`; `written` is corrected by how far the
    /// sender's clock is off; without either it happened on arrival. Nothing lies more than
    /// [`limit::FUTURE_MS`] ahead of arrival; what no calendar year 0-9999 holds becomes 1970.
    ///
    /// # Compat
    /// PostHog `rust/common/types/src/timestamp.rs`, with the deadband of its newest version.
    pub fn resolve(&self, written: Option<Timestamp>, offset_ms: Option<i64>) -> Timestamp {
        let now = self.received_at.as_nanosecond();
        let millis = |ms: i64| i128::from(ms) * 1_000_000;
        let at = match (offset_ms, written) {
            (Some(offset), _) => now - millis(offset),
            (None, Some(written)) => written.as_nanosecond() - self.correction(),
            (None, None) => now,
        };
        if at - now > millis(limit::FUTURE_MS) {
            return self.received_at;
        }
        match Timestamp::from_nanosecond(at) {
            Ok(at) if at >= year_zero() => at,
            _ => Timestamp::UNIX_EPOCH,
        }
    }

    /// Nanoseconds to take off a written time: the skew, less the tolerated part.
    fn correction(&self) -> i128 {
        let Some(sent_at) = self.sent_at else { return 0 };
        let skew = sent_at.as_nanosecond() - self.received_at.as_nanosecond();
        let beyond = (skew.abs() - i128::from(self.deadband_ms) * 1_000_000).max(0);
        beyond * skew.signum()
    }
}

/// 0000-01-01T00:00:00Z.
fn year_zero() -> Timestamp {
    const SECONDS: i64 = -62_167_219_200;
    Timestamp::from_second(SECONDS).expect("year zero is a valid time")
}

/// Reads a time from JSON: text in any form of [`parse`], or an epoch number.
pub fn from_json(raw: &RawValue) -> Option<Timestamp> {
    let json = raw.get();
    if json.starts_with('"') {
        return parse(&distinct_id::text(raw)?);
    }
    json.parse::<f64>().ok().and_then(|number| from_number(number, json))
}

/// Reads a number of milliseconds from JSON: a number or a string, its fraction cut off.
pub fn millis_from_json(raw: &RawValue) -> Option<i64> {
    let text = distinct_id::text(raw)?;
    let text = text.trim();
    text.parse::<i64>().ok().or_else(|| {
        let number = text.parse::<f64>().ok().filter(|number| number.abs() < 9e18)?;
        Some(number as i64)
    })
}

/// Reads the query parameter `_` or `sent_at`: whole milliseconds since 1970.
///
/// Anything before 2021 is ignored, which is how a number of seconds shows itself.
pub fn from_query(text: &str) -> Option<Timestamp> {
    const START_OF_2021_MS: i64 = 1_609_459_200_000;
    let millis = text.trim().parse::<i64>().ok().filter(|millis| *millis >= START_OF_2021_MS)?;
    Timestamp::from_millisecond(millis).ok()
}

/// Reads a time the way senders write it.
///
/// In this order: RFC 3339 (the offset may lack its minutes; a space may stand for the `T`); an epoch
/// number of seconds, milliseconds, microseconds or nanoseconds by its size; a date alone (midnight
/// UTC); slash dates (`2026/11/20`, month first in `11/20/2026`); RFC 2822; and date and time without
/// a zone, taken as UTC because some SDKs send that.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if !(6..=64).contains(&text.len()) || !text.is_ascii() {
        return None;
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    if let Some(number) = epoch_text(text) {
        return from_number(number, text);
    }
    if text.contains('/') {
        return slash_date(text);
    }
    civil(text)
        .or_else(|| named_zone(text))
        .or_else(|| rfc2822::DateTimeParser::new().parse_timestamp(text).ok())
}

/// `2026-11-20`, `2026-11-20T10:00:00.5`, `2026-11-20 10:00`.
fn civil(text: &str) -> Option<Timestamp> {
    // A day or time of day alone must not be read as something of today.
    if !text.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let at = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(Date::into)).ok()?;
    utc(at)
}

/// `2026-11-20 10:00:00 UTC`, `2026-11-20 10:00:00 +0300`.
fn named_zone(text: &str) -> Option<Timestamp> {
    let (at, zone) = text.rsplit_once(' ')?;
    if zone.eq_ignore_ascii_case("utc") || zone.eq_ignore_ascii_case("gmt") || zone.eq_ignore_ascii_case("z")
    {
        return civil(at);
    }
    if zone.starts_with(['+', '-']) {
        return format!("{at}{zone}").parse().ok();
    }
    None
}

fn slash_date(text: &str) -> Option<Timestamp> {
    const TIMES: [&str; 5] = ["%H:%M:%S%.f", "%H:%M", "%I:%M:%S%.f %p", "%I:%M %p", "%I:%M%p"];
    let (date, time) = text.split_once([' ', 'T']).map_or((text, None), |(date, time)| (date, Some(time)));
    let mut fields = date.split('/').map(str::len);
    let form = match (fields.next()?, fields.next()?, fields.next()?) {
        (4, 1..=2, 1..=2) => "%Y/%m/%d",
        (1..=2, 1..=2, 4) => "%m/%d/%Y",
        (1..=2, 1..=2, 2) => "%m/%d/%y",
        _ => return None,
    };
    let date = strtime::parse(form, date).ok()?.to_date().ok()?;
    let Some(time) = time else { return utc(date.into()) };
    let time = TIMES.iter().find_map(|form| strtime::parse(form, time).ok()?.to_time().ok())?;
    utc(date.to_datetime(time))
}

fn utc(at: DateTime) -> Option<Timestamp> {
    at.to_zoned(TimeZone::UTC).ok().as_ref().map(Zoned::timestamp)
}

/// A number written as text, long enough to be a time and not a year.
fn epoch_text(text: &str) -> Option<f64> {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    if !(9..=19).contains(&whole.len()) || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A time from an epoch number: seconds below 1e11, then milliseconds, microseconds, nanoseconds.
///
/// `text` is the number as written, since a float does not hold nanoseconds.
fn from_number(number: f64, text: &str) -> Option<Timestamp> {
    let nanos_per_unit: i128 = match number.abs() {
        size if size < 1e11 => 1_000_000_000,
        size if size < 1e14 => 1_000_000,
        size if size < 1e17 => 1_000,
        _ => 1,
    };
    let nanos = match text.parse::<i64>() {
        Ok(whole) => i128::from(whole) * nanos_per_unit,
        Err(_) if number.is_finite() => {
            // Microseconds are all that a float of this size holds.
            let micros = number * (nanos_per_unit as f64 / 1_000.0);
            (micros.round() as i128).checked_mul(1_000)?
        }
        Err(_) => return None,
    };
    Timestamp::from_nanosecond(nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Case {
        now: Timestamp,
        timestamp: Option<Box<RawValue>>,
        sent_at: Option<Box<RawValue>>,
        offset: Option<Box<RawValue>>,
        deadband_ms: i64,
        #[serde(default)]
        ignore_sent_at: bool,
        expect: Timestamp,
    }

    #[test]
    fn every_vector_holds() {
        let text = include_str!("../../../../fixtures/capture/timestamps.json");
        let mut wrong = Vec::new();
        for (line, case) in serde_json::from_str::<Vec<Case>>(text).unwrap().into_iter().enumerate() {
            let sent_at = case.sent_at.as_deref().and_then(from_json).filter(|_| !case.ignore_sent_at);
            let clock = Clock { received_at: case.now, sent_at, deadband_ms: case.deadband_ms };
            let written = case.timestamp.as_deref();
            let found =
                clock.resolve(written.and_then(from_json), case.offset.as_deref().and_then(millis_from_json));
            if found != case.expect {
                wrong.push(format!("{}: {written:?} gives {found}, not {}", line + 2, case.expect));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn query_times_are_milliseconds() {
        for (text, expect) in [
            ("1700000000000", Some(1_700_000_000_000)),
            ("1700000000", None),
            ("abc", None),
            ("1609459199999", None),
            ("1609459200000", Some(1_609_459_200_000)),
            ("99999999999999999", None),
        ] {
            assert_eq!(from_query(text).map(|at| at.as_millisecond()), expect, "{text}");
        }
    }
}
