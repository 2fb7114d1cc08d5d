//! Counting visitors without storing anything on their device: the id is a salted hash that nobody can
//! compute once the salt of the day is thrown away.
//!
//! Only the stateless form exists here: one session per visitor and day, and no `$identify`. The caller
//! draws a random salt per day, keeps it while events of that day may come, then forgets it.

use crate::js;
use crate::validate;
use crate::verdict::Drop;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use event::name::property;
use event::{CapturedEvent, ProjectId, Warning};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::borrow::Cow;
use std::hash::Hasher;
use uuid::Builder;

/// The distinct id an SDK sends when it keeps none.
pub const SENTINEL: &str = "$posthog_cookieless";

/// The time zone furthest behind, the one furthest ahead, and how long salts are kept.
const BEHIND: SignedDuration = SignedDuration::from_hours(12);
const AHEAD: SignedDuration = SignedDuration::from_hours(14);
const KEPT: SignedDuration = SignedDuration::from_hours(72);

/// A refused event: why it is dropped, and what to tell its sender.
pub type Refused = (Drop, Warning);

/// The calendar day of a visit where it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The date: which salt hashes the visitor.
    pub date: Date,
    /// When that day began there: the time in the session's id.
    pub start: Timestamp,
}

/// Whether an event has to be given an id by [`rewrite`] before it is folded.
pub fn applies(event: &CapturedEvent) -> bool {
    event.distinct_id == SENTINEL && event.properties.is_truthy(property::COOKIELESS_MODE)
}

/// The calendar day of an event. `home` is the project's time zone, for events that do not say a known one.
///
/// # Errors
/// A day that is so far from the time of arrival that it has no salt any more, or none yet.
pub fn day_of(event: &CapturedEvent, home: &str) -> Result<Day, Refused> {
    let sent = event.properties.text_of("$timezone").unwrap_or_default();
    let zone = [&*sent, home].into_iter().find_map(|name| TimeZone::get(name).ok());
    let zone = zone.unwrap_or(TimeZone::UTC);
    let date = event.timestamp.to_zoned(zone.clone()).date();
    let refused = || refuse(event, Drop::CookielessTimestampOutOfRange);
    // The salt is one for the whole world, so its life is counted in UTC.
    let utc = start_of(date, TimeZone::UTC).ok_or_else(refused)?;
    let ended = event.received_at.duration_since(utc) >= KEPT + BEHIND + SignedDuration::from_hours(24);
    if ended || utc.duration_since(event.received_at) > AHEAD {
        return Err(refused());
    }
    Ok(Day { date, start: start_of(date, zone).unwrap_or(utc) })
}

fn start_of(date: Date, zone: TimeZone) -> Option<Timestamp> {
    date.to_zoned(zone).ok().map(|zoned| zoned.timestamp())
}

/// Replaces the distinct id by the visitor's id of `day`, sets the session and device, and takes out what
/// the id was made of.
///
/// # Errors
/// An event that lacks what identifies a visitor, or that merges ids.
pub fn rewrite(
    event: &mut CapturedEvent,
    project: ProjectId,
    day: Day,
    salt: &[u8; 16],
) -> Result<(), Refused> {
    if validate::is_merge(&event.event) {
        return Err(refuse(event, Drop::CookielessUnsupportedEvent));
    }
    let field = |key: &str| event.properties.text_of(key).filter(|text| !text.is_empty());
    let agent = field("$raw_user_agent").ok_or_else(|| refuse(event, Drop::CookielessMissingUserAgent))?;
    let ip = field(property::IP).or(event.ip.as_deref().map(Cow::Borrowed)).filter(|ip| !ip.is_empty());
    let ip = ip.ok_or_else(|| refuse(event, Drop::CookielessMissingIp))?;
    let host = field("$host").ok_or_else(|| refuse(event, Drop::CookielessMissingHost))?;
    let extra = field("$cookieless_extra").unwrap_or_default();
    let extra = js::cut(&extra, 100);
    let mut hasher = SipHasher24::new_with_key(salt);
    // No identify happens without state: the count of them is always 0.
    hasher.write(format!("{project}-{ip}-{}-{agent}-0-{extra}", root_domain(&host)).as_bytes());
    let hash = hasher.finish128().as_bytes();

    let id = format!("cookieless_{}", STANDARD_NO_PAD.encode(hash));
    let start = u64::try_from(day.start.as_millisecond()).unwrap_or(0);
    let mut random = [0; 10];
    random.copy_from_slice(&hash[..10]);
    let session = Builder::from_unix_timestamp_millis(start, &random).into_uuid().to_string();

    event.ip = None;
    for key in [property::IP, "$raw_user_agent", "$cookieless_extra"] {
        event.properties.remove(key);
    }
    for (map, key) in [(property::SET, "$raw_user_agent"), (property::SET_ONCE, "$initial_raw_user_agent")] {
        if let Some(mut inner) = event.properties.object(map) {
            inner.remove(key);
            event.properties.insert(map, &inner);
        }
    }
    event.properties.insert(property::SESSION_ID, session.as_str());
    event.properties.insert("$device_id", id.as_str());
    event.distinct_id = id;
    Ok(())
}

fn refuse(event: &CapturedEvent, drop: Drop) -> Refused {
    let warning = Warning::new(drop.tag())
        .with("eventUuid", event.uuid.to_string())
        .with("event", js::cut(&event.event, 200))
        .with("eventTimestamp", event.timestamp.to_string());
    (drop, warning)
}

/// The part of a host that one owner registers: visitors are the same across its subdomains.
///
/// Public suffixes are guessed: a short second level under a country, such as `co.uk`, is taken for one.
fn root_domain(host: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    if host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok() {
        return host;
    }
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name).trim_end_matches('.');
    if name.parse::<std::net::IpAddr>().is_ok() {
        return name.to_owned();
    }
    let labels: Vec<&str> = name.split('.').collect();
    let country = labels.last().is_some_and(|top| top.len() == 2);
    let second = labels.len().checked_sub(2).map(|at| labels[at]);
    let suffixed =
        matches!(second, Some("co" | "com" | "org" | "net" | "ac" | "gov" | "edu" | "or" | "ne" | "go"));
    let kept = if country && suffixed { 3 } else { 2 };
    labels[labels.len().saturating_sub(kept)..].join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{captured, minute};
    use serde_json::json;
    use uuid::Uuid;

    fn visit(at: i64) -> CapturedEvent {
        captured(
            "$pageview",
            SENTINEL,
            minute(at),
            json!({"$cookieless_mode": true, "$raw_user_agent": "UA", "$ip": "1.2.3.4", "$host": "a.x.io",
                "$cookieless_extra": "e", "$timezone": "Europe/Paris", "$set": {"$raw_user_agent": "UA", "k": 1},
                "$set_once": {"$initial_raw_user_agent": "UA"}}),
        )
    }

    fn rewritten(mut event: CapturedEvent, salt: u8) -> CapturedEvent {
        let day = day_of(&event, "UTC").expect("a day");
        rewrite(&mut event, ProjectId(1), day, &[salt; 16]).expect("a rewritten event");
        event
    }

    #[test]
    fn a_visitor_is_one_id_per_day_and_nothing_personal_stays() {
        let event = rewritten(visit(0), 1);
        assert!(applies(&visit(0)) && !applies(&event));
        assert!(event.distinct_id.starts_with("cookieless_") && event.distinct_id.len() == 33);
        for key in ["$ip", "$raw_user_agent", "$cookieless_extra"] {
            assert!(!event.properties.contains_key(key), "{key}");
        }
        let session =
            Uuid::parse_str(&event.properties.text_of("$session_id").expect("text")).expect("a uuid");
        assert_eq!(session.get_version_num(), 7);
        let started = session.get_timestamp().expect("a time").to_unix().0;
        assert_eq!(i64::try_from(started), Ok(minute(-60).as_second()), "midnight in Paris");
        assert_eq!(
            json!([event.properties.get("$set"), event.properties.get("$set_once")]),
            json!([{"k": 1}, {}])
        );
        assert_eq!(rewritten(visit(60), 1).distinct_id, event.distinct_id);
        assert_ne!(rewritten(visit(0), 2).distinct_id, event.distinct_id);
        let mut elsewhere = visit(0);
        elsewhere.properties.insert("$host", "B.x.io:8080");
        assert_eq!(rewritten(elsewhere.clone(), 1).distinct_id, event.distinct_id);
        elsewhere.properties.insert("$ip", "1.2.3.5");
        assert_ne!(rewritten(elsewhere, 1).distinct_id, event.distinct_id);
    }

    #[test]
    fn the_day_is_the_visitors() {
        let mut event = visit(23 * 60 + 30);
        assert_eq!(day_of(&event, "UTC").expect("a day").date.to_string(), "2026-01-02");
        event.properties.insert("$timezone", "nowhere");
        assert_eq!(day_of(&event, "UTC").expect("a day").date.to_string(), "2026-01-01");
        assert_eq!(day_of(&event, "Asia/Tokyo").expect("a day").date.to_string(), "2026-01-02");
        assert_eq!(day_of(&event, "elsewhere").expect("a day").date.to_string(), "2026-01-01");
    }

    #[test]
    fn days_without_a_salt_are_refused() {
        for (hours, fits) in [(0, true), (72, true), (107, true), (108, false), (-10, true), (-24, false)] {
            let mut event = visit(0);
            event.properties.insert("$timezone", "UTC");
            event.received_at = minute(hours * 60);
            assert_eq!(day_of(&event, "UTC").is_ok(), fits, "{hours} hours later");
        }
    }

    #[test]
    fn incomplete_visits_are_refused() {
        for (key, tag) in [
            ("$raw_user_agent", "cookieless_missing_user_agent"),
            ("$ip", "cookieless_missing_ip"),
            ("$host", "cookieless_missing_host"),
        ] {
            let mut event = visit(0);
            event.properties.remove(key);
            let day = day_of(&event, "UTC").expect("a day");
            let (drop, warning) = rewrite(&mut event, ProjectId(1), day, &[1; 16]).expect_err("refused");
            assert_eq!((drop.tag(), warning.kind.as_str()), (tag, tag));
        }
    }

    #[test]
    fn root_domains() {
        for (host, root) in [
            ("www.x.io", "x.io"),
            ("a.b.co.uk:80", "b.co.uk"),
            ("localhost:3000", "localhost"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("t.co", "t.co"),
            ("x.com.", "x.com"),
        ] {
            assert_eq!(root_domain(host), root);
        }
    }
}
