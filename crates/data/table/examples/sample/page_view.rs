//! Rows to measure with.

use identity::{EventRow, PersonMode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, json};
use uuid::Uuid;

/// The page view of this number: ids, pages and events in no order, as they come from many visitors.
pub fn page_view(number: u64, start: Timestamp) -> EventRow {
    let at = start + SignedDuration::from_millis(number as i64);
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let browser = ["Chrome", "Firefox", "Safari"][number as usize % 3];
    let properties = json!({
        "$browser": browser, "$browser_version": 130 + number % 4,
        "$os": "Mac OS X", "$os_version": "10.15.7", "$device_type": "Desktop",
        "$current_url": format!("https://shop.example.com/products/{}?ref=home", mixed % 997),
        "$host": "shop.example.com", "$pathname": format!("/products/{}", mixed % 997),
        "$referrer": "https://www.google.com/", "$referring_domain": "www.google.com",
        "$screen_height": 1080, "$screen_width": 1920, "$viewport_height": 900, "$viewport_width": 1440,
        "$lib": "web", "$lib_version": "1.190.0", "$insert_id": format!("{mixed:016x}"), "$time": 1763600000.5,
        "$device_id": format!("0191e8a2-7b7e-7000-8000-{:012x}", mixed % 20000),
        "$session_id": format!("0191e8a2-7b7e-7000-8000-{:012x}", number / 10),
        "$window_id": format!("0191e8a2-7b7e-7000-9000-{:012x}", number / 10),
        "utm_source": "newsletter", "$ip": "203.0.113.9", "$geoip_country_code": "DE", "$is_identified": false,
    });
    EventRow {
        uuid: Uuid::from_u128(u128::from(number) * 0x9e37_79b9_7f4a_7c15_f39c_c060),
        event: ["$pageview", "$autocapture", "$pageleave", "order"][mixed as usize % 4].to_owned(),
        distinct_id: format!("0191e8a2-7b7e-7000-8000-{:012x}", mixed % 20000),
        timestamp: at,
        created_at: at,
        properties: serde_json::from_value(properties).unwrap_or_default(),
        context: None,
        elements_chain: String::new(),
        person_id: Uuid::from_u128(u128::from(mixed % 20000)),
        person_created_at: start,
        person_properties: Default::default(),
        person_mode: PersonMode::Propertyless,
        groups: Default::default(),
        group_properties: Default::default(),
        api_key: "phc_example".to_owned(),
        extra: Map::new(),
    }
}
