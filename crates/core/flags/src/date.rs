//! Moments in properties and filters: dates in the ways people write them, and "so long ago".

use crate::number::number;
use chrono::{FixedOffset, NaiveTime, Utc};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, Zoned};
use serde_json::Value;

/// As PostHog: a larger count is not a time ago.
const LARGEST: i64 = 10_000;

/// A date of a filter.
#[derive(Clone, Debug)]
pub(crate) enum Moment {
    /// Always the same.
    Fixed(Timestamp),
    /// So long before the evaluation.
    Ago(Ago),
}

/// A length of time before now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ago {
    count: i64,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Moment {
    /// Reads the value of a filter, which must be text.
    pub(crate) fn of_filter(value: &Value, zone: &TimeZone) -> Option<Self> {
        let text = value.as_str()?;
        match Ago::parse(text) {
            Some(ago) => Some(Self::Ago(ago)),
            None => absolute(text, zone).map(Self::Fixed),
        }
    }

    /// When it is.
    pub(crate) fn at(&self, now: &Zoned) -> Option<Timestamp> {
        match self {
            Self::Fixed(moment) => Some(*moment),
            Self::Ago(ago) => ago.before(now),
        }
    }
}

/// Reads a property: text, or seconds since 1970.
pub(crate) fn of_property(value: &Value, now: &Zoned) -> Option<Timestamp> {
    if let Value::Number(_) = value {
        return seconds(number(value)?);
    }
    let text = value.as_str()?;
    match Ago::parse(text) {
        Some(ago) => ago.before(now),
        None => absolute(text, now.time_zone()),
    }
}

impl Ago {
    fn parse(text: &str) -> Option<Self> {
        // The sign does not matter, as PostHog: it is always the past.
        let text = text.strip_prefix('-').unwrap_or(text);
        let unit = match text.as_bytes().last()? {
            b'h' => Unit::Hour,
            b'd' => Unit::Day,
            b'w' => Unit::Week,
            b'm' => Unit::Month,
            b'y' => Unit::Year,
            _ => return None,
        };
        let digits = &text[..text.len() - 1];
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let count = digits.parse().ok().filter(|count| *count < LARGEST)?;
        Some(Self { count, unit })
    }

    fn before(self, now: &Zoned) -> Option<Timestamp> {
        let hours = |hours: i64| now.timestamp().checked_sub(SignedDuration::from_hours(hours)).ok();
        match self.unit {
            Unit::Hour => hours(self.count),
            Unit::Day => hours(self.count * 24),
            Unit::Week => hours(self.count * 24 * 7),
            Unit::Year => Some(now.checked_sub(Span::new().years(self.count)).ok()?.timestamp()),
            Unit::Month => {
                // Month by month, as PostHog: from the 31st over February one arrives at the 28th.
                let mut wall = now.datetime();
                for _ in 0..self.count {
                    wall = wall.checked_sub(Span::new().months(1)).ok()?;
                }
                Some(wall.to_zoned(now.time_zone().clone()).ok()?.timestamp())
            }
        }
    }
}

fn absolute(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<f64>() {
        return seconds(number);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if let Some(wall) = wall(text) {
        return in_zone(wall, zone);
    }
    lenient(text, zone)
}

/// `2022-05-01`, `2022-05-01 10:30`, `2022-05-01T10:30:00.5`, and nothing after it.
fn wall(text: &str) -> Option<DateTime> {
    if text.len() == 10 {
        return text.parse::<Date>().ok().map(DateTime::from);
    }
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-:. T".contains(&byte));
    // Anything behind the date that holds a minus is an offset.
    if !is_plain || text.get(10..)?.contains('-') {
        return None;
    }
    text.parse().ok()
}

fn in_zone(wall: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    Some(wall.to_zoned(zone.clone()).ok()?.timestamp())
}

fn seconds(number: f64) -> Option<Timestamp> {
    let whole = number.floor();
    if !whole.is_finite() || whole.abs() > 1e12 {
        return None;
    }
    Timestamp::new(whole as i64, ((number - whole) * 1e9) as i32).ok()
}

/// Whatever else people write, read by the crate that PostHog reads it with.
///
/// It cannot tell whether a text names its offset, so it is asked twice, in two zones: the same answer means it does.
fn lenient(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let midnight = NaiveTime::MIN;
    let at_zero = dateparser::parse_with(text, &Utc, midnight).ok()?;
    let away = dateparser::parse_with(text, &FixedOffset::east_opt(3600)?, midnight).ok()?;
    let moment = Timestamp::new(at_zero.timestamp(), 0).ok()?;
    if at_zero == away {
        return Some(moment);
    }
    in_zone(moment.to_zoned(TimeZone::UTC).datetime(), zone)
}
