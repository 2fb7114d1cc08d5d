//! The two workloads of every measurement: `pv`, a page view as posthog-js sends it (about 2.2 KB),
//! and `sv`, a server event as posthog-python sends it (about 290 B). Both are functions of (seed, id).

use crate::Numbers;
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::io::Write as _;

/// Which workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// posthog-js page views.
    PageView,
    /// posthog-python server events.
    Server,
}

/// Events of one kind. Times count up from `start`, one millisecond per id.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Which events.
    pub kind: Kind,
    /// What makes this sequence differ from others.
    pub seed: u64,
    /// The time of event 0.
    pub start: Timestamp,
}

const PATHS: &[&str] = &[
    "/",
    "/pricing",
    "/docs/getting-started",
    "/docs/api/capture",
    "/blog/event-pipelines",
    "/account/settings",
];
const AGENTS: &[(&str, &str, &str, &str)] = &[
    (
        "Chrome",
        "Mac OS X",
        "Desktop",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    ("Firefox", "Linux", "Desktop", "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    (
        "Mobile Safari",
        "iOS",
        "Mobile",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1",
    ),
];
const SERVER_EVENTS: &[&str] = &["order placed", "invoice paid", "job finished", "user signed up"];

impl Workload {
    /// The event with this id, without a project key.
    pub fn event(&self, id: u64) -> Value {
        let mut numbers = Numbers::of(self.seed, id);
        let offset = jiff::SignedDuration::from_millis(i64::try_from(id % 86_400_000).unwrap_or(0));
        let at = self.start.checked_add(offset).unwrap_or(self.start).to_string();
        match self.kind {
            Kind::PageView => page_view(&mut numbers, &at),
            Kind::Server => server_event(&mut numbers, &at),
        }
    }

    /// The body of one event sent alone.
    pub fn single(&self, key: &str, id: u64) -> Vec<u8> {
        let mut event = self.event(id);
        event["api_key"] = key.into();
        event.to_string().into_bytes()
    }

    /// The body of `count` events from `first`.
    pub fn batch(&self, key: &str, first: u64, count: u64) -> Vec<u8> {
        let events: Vec<Value> = (first..first + count).map(|id| self.event(id)).collect();
        json!({"api_key": key, "historical_migration": false, "batch": events}).to_string().into_bytes()
    }
}

/// Compresses as SDKs do (gzip, level 6).
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default()
}

fn page_view(numbers: &mut Numbers, at: &str) -> Value {
    let names = ["$pageview", "$pageview", "$pageview", "$pageleave", "$autocapture"];
    let (browser, os, device, agent) = *numbers.pick(AGENTS);
    let path = *numbers.pick(PATHS);
    let (visitor, session) = (numbers.below(100_000), numbers.uuid());
    let url = format!("https://shop.example.com{path}?ref={}&step={}", numbers.hex(12), numbers.below(50));
    let referrer = format!("https://www.search.example/results?q={}", numbers.hex(16));
    let person = json!({
        "$initial_current_url": url, "$initial_referring_domain": "www.search.example",
        "$initial_pathname": path, "$initial_utm_source": "newsletter", "$initial_utm_campaign": "autumn",
    });
    json!({
        "uuid": numbers.uuid(),
        "event": *numbers.pick(&names),
        "properties": {
            "token": "phc_testkit0000000000000000000000000000000000000",
            "distinct_id": format!("visitor-{visitor:06}"),
            "$os": os, "$os_version": "10.15.7", "$browser": browser, "$browser_version": 142,
            "$device_type": device, "$device_id": numbers.uuid(), "$timezone": "Europe/Berlin", "$timezone_offset": -60,
            "$current_url": url, "$host": "shop.example.com", "$pathname": path, "$raw_user_agent": agent,
            "$browser_language": "en-GB", "$browser_language_prefix": "en", "title": "Example shop: everything",
            "$screen_height": 1080, "$screen_width": 1920, "$viewport_height": 937, "$viewport_width": 1903,
            "$lib": "web", "$lib_version": "1.449.2", "$insert_id": numbers.hex(16), "$time": 1_763_640_000.123,
            "$referrer": referrer, "$referring_domain": "www.search.example",
            "utm_source": "newsletter", "utm_medium": "email", "utm_campaign": "autumn", "utm_content": null, "utm_term": null,
            "gclid": null, "fbclid": null, "msclkid": null, "$session_id": session, "$window_id": numbers.uuid(),
            "$pageview_id": numbers.uuid(), "$is_identified": visitor.is_multiple_of(3), "$process_person_profile": visitor.is_multiple_of(3),
            "$autocapture_disabled_server_side": false, "$web_vitals_enabled_server_side": false,
            "$exception_capture_enabled_server_side": false, "$dead_clicks_enabled_server_side": false,
            "$configured_session_timeout_ms": 1_800_000, "$replay_sample_rate": null, "$recording_status": "active",
            "$sdk_debug_replay_internal_buffer_length": numbers.below(200), "$feature_flag_payloads": {},
            "$session_entry_url": url, "$session_entry_pathname": path, "$session_entry_host": "shop.example.com",
            "$lib_rate_limit_remaining_tokens": 99,
        },
        "$set_once": person,
        "timestamp": at,
    })
}

fn server_event(numbers: &mut Numbers, at: &str) -> Value {
    json!({
        "properties": {
            "amount": numbers.below(100_000), "plan": *numbers.pick(&["free", "team", "scale"]),
            "$lib": "posthog-python", "$lib_version": "7.91.1", "$geoip_disable": true,
            "order_id": numbers.hex(24),
        },
        "timestamp": at,
        "distinct_id": format!("user-{:06}", numbers.below(100_000)),
        "event": *numbers.pick(SERVER_EVENTS),
        "uuid": numbers.uuid(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average(kind: Kind) -> usize {
        let workload = Workload { kind, seed: 1, start: Timestamp::UNIX_EPOCH };
        (0..500).map(|id| workload.event(id).to_string().len()).sum::<usize>() / 500
    }

    #[test]
    fn events_have_the_measured_sizes() {
        let (page, server) = (average(Kind::PageView), average(Kind::Server));
        assert!((2100..2350).contains(&page), "{page}");
        assert!((260..320).contains(&server), "{server}");
    }

    #[test]
    fn the_same_id_is_the_same_event() {
        let workload = Workload { kind: Kind::PageView, seed: 9, start: Timestamp::UNIX_EPOCH };
        assert_eq!(workload.event(5), workload.clone().event(5));
        assert_ne!(workload.event(5)["uuid"], workload.event(6)["uuid"]);
    }
}
