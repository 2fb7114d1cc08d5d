//! Measures append and commit of page views: `commit <folder> <rows> [rows per record]`.

use event::ProjectId;
use identity::{EventRow, PersonMode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, json};
use std::time::Instant;
use table::{Rows, Settings, Warehouse};
use uuid::Uuid;

fn page_view(number: u64, start: Timestamp) -> EventRow {
    let at = start + SignedDuration::from_millis(number as i64);
    let browser = ["Chrome", "Firefox", "Safari"][number as usize % 3];
    let properties = json!({
        "$browser": browser, "$browser_version": 130 + number % 4,
        "$os": "Mac OS X", "$os_version": "10.15.7", "$device_type": "Desktop",
        "$current_url": format!("https://shop.example.com/products/{}?ref=home", number % 997),
        "$host": "shop.example.com", "$pathname": format!("/products/{}", number % 997),
        "$referrer": "https://www.google.com/", "$referring_domain": "www.google.com",
        "$screen_height": 1080, "$screen_width": 1920, "$viewport_height": 900, "$viewport_width": 1440,
        "$lib": "web", "$lib_version": "1.190.0", "$insert_id": format!("{number:016x}"), "$time": 1763600000.5,
        "$device_id": format!("0191e8a2-7b7e-7000-8000-{:012x}", number % 20000),
        "$session_id": format!("0191e8a2-7b7e-7000-8000-{:012x}", number / 10),
        "$window_id": format!("0191e8a2-7b7e-7000-9000-{:012x}", number / 10),
        "utm_source": "newsletter", "$ip": "203.0.113.9", "$geoip_country_code": "DE", "$is_identified": false,
    });
    EventRow {
        uuid: Uuid::from_u128(u128::from(number) * 0x9e37_79b9_7f4a_7c15_f39c_c060),
        event: if number.is_multiple_of(5) { "$autocapture" } else { "$pageview" }.to_owned(),
        distinct_id: format!("0191e8a2-7b7e-7000-8000-{:012x}", number % 20000),
        timestamp: at,
        created_at: at,
        properties: serde_json::from_value(properties).unwrap_or_default(),
        context: None,
        elements_chain: String::new(),
        person_id: Uuid::from_u128(u128::from(number % 20000)),
        person_created_at: start,
        person_properties: Default::default(),
        person_mode: PersonMode::Propertyless,
        groups: Default::default(),
        group_properties: Default::default(),
        api_key: "phc_example".to_owned(),
        extra: Map::new(),
    }
}

#[tokio::main]
async fn main() -> table::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "tables".to_owned()).into();
    let mut number = |default| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, per_record) = (number(200_000_u64), number(50_u64).max(1));
    let warehouse = std::sync::Arc::new(Warehouse::open(Settings { dir }).await?);
    let first = warehouse.committed_offset("events");
    let start = Timestamp::from_second(1_763_600_000).unwrap_or_default();
    let (mut appending, mut offset) = (std::time::Duration::ZERO, first);
    for from in (0..count).step_by(per_record as usize) {
        let mut rows = Rows::new(ProjectId(1), start);
        rows.events =
            (from..(from + per_record).min(count)).map(|n| page_view(offset * 1000 + n, start)).collect();
        let began = Instant::now();
        warehouse.append(offset, &rows)?;
        appending += began.elapsed();
        offset += 1;
    }
    let began = Instant::now();
    let view = warehouse.view()?;
    let batches = view.own("events").map_or(0, |events| events.tail.len());
    println!(
        "append: {:.0} rows/s, {} MB in {batches} batches, view {:?}",
        count as f64 / appending.as_secs_f64(),
        warehouse.tail_bytes() >> 20,
        began.elapsed()
    );
    drop(view);
    let began = Instant::now();
    let summary = warehouse.commit(offset).await?;
    let took = began.elapsed();
    println!("commit: {:.0} rows/s, {took:?}, {:?}", count as f64 / took.as_secs_f64(), summary.tables);
    Ok(())
}
