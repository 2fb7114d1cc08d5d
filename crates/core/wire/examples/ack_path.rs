//! Measures what the door does to a body before the log: decode, clean, parse, check every head.
//!
//! `cargo run --release -p wire --example ack_path` prints microseconds per event, the best of five rounds,
//! for a batch of 100 page views as posthog-js writes them.

use event::normalize::{self, Context};
use event::{Received, Route, event_size};
use flate2::{Compression, write::GzEncoder};
use std::hint::black_box;
use std::io::Write;
use wire::encoding::{Encoded, decode};
use wire::{capture, json};

const BUDGET: usize = 50 * 1024 * 1024;
const EVENTS: usize = 100;

fn main() {
    let batch = format!(
        r#"{{"api_key":"phc_benchmark","batch":[{}],"sent_at":"2026-11-20T12:00:00.000Z"}}"#,
        (0..EVENTS).map(page_view).collect::<Vec<_>>().join(",")
    );
    let single = page_view(7);
    let gzipped = gzip(batch.as_bytes());
    println!("batch {} bytes, {} gzipped; single {} bytes", batch.len(), gzipped.len(), single.len());
    let received = received();
    for (name, body, events) in [
        ("batch plain", batch.as_bytes(), EVENTS),
        ("batch gzip", gzipped.as_slice(), EVENTS),
        ("single plain", single.as_bytes(), 1),
        ("single gzip", gzip(single.as_bytes()).as_slice(), 1),
    ] {
        let micros = measure(events, || accept(black_box(body), &received));
        println!("{name:<14} {micros:.2} us per event");
    }
    stages(&batch, &gzipped, &received);
}

fn stages(batch: &str, gzipped: &[u8], received: &Received) {
    let micros =
        measure(EVENTS, || decode(&encoded(black_box(gzipped))).expect("the body is right").json.len());
    println!("  gunzip       {micros:.2}");
    let micros =
        measure(EVENTS, || json::text(black_box(batch.as_bytes())).expect("the body is right").len());
    println!("  text         {micros:.2}");
    let micros =
        measure(EVENTS, || json::clean(black_box(batch.as_bytes())).expect("the body is right").len());
    println!("  clean        {micros:.2} (routes that do not look at the depth themselves)");
    let micros = measure(EVENTS, || {
        capture::parse(Route::Events, black_box(batch)).expect("the body is right").events.len()
    });
    println!("  parse        {micros:.2}");
    let request = capture::parse(Route::Events, batch).expect("the body is right");
    let micros = measure(EVENTS, || heads(&request, received));
    println!("  heads        {micros:.2}");
    let micros = measure(EVENTS, || {
        request
            .events
            .iter()
            .map(|raw| normalize::capture(raw, received, Context::default()))
            .filter(Result::is_ok)
            .count()
    });
    println!("  capture      {micros:.2} (the pump's part, with its properties)");
}

/// Processor time, where the system tells it, so that other programs on the machine do not count.
fn micros() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match schedule.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()) {
        Some(nanos) => nanos / 1e3,
        None => std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs_f64() * 1e6,
    }
}

fn measure<T>(events: usize, mut run: impl FnMut() -> T) -> f64 {
    // Long enough that the system's tick of a few milliseconds does not show.
    let turns = 200_000 / events;
    let best = (0..5).map(|_| {
        let start = micros();
        for _ in 0..turns {
            black_box(run());
        }
        micros() - start
    });
    best.fold(f64::INFINITY, f64::min) / (turns * events) as f64
}

fn encoded(body: &[u8]) -> Encoded<'_> {
    Encoded { body, content_type: Some("text/plain"), budget: BUDGET, ..Encoded::default() }
}

fn accept(body: &[u8], received: &Received) -> usize {
    let decoded = decode(&encoded(body)).expect("the body is right");
    let text = json::text(&decoded.json).expect("the body is right");
    let request = capture::parse(Route::Events, &text).expect("the body is right");
    black_box(capture::token(&request, None).expect("the body has a key"));
    heads(&request, received)
}

fn heads(request: &capture::Request<'_>, received: &Received) -> usize {
    let context = Context { sent_at: request.sent_at, historical: request.historical_migration, index: 0 };
    let limits = event_size::Limits::default();
    let mut accepted = 0;
    for (index, raw) in request.events.iter().enumerate() {
        event_size::check(raw, &limits).expect("the event is small");
        black_box(normalize::head(raw, received, context.at(index)).expect("the event is right"));
        accepted += 1;
    }
    accepted
}

fn received() -> Received {
    let json =
        r#"{"route":"events","project":1,"token":"phc_benchmark","at":"2026-11-20T12:00:01Z","seed":7}"#;
    serde_json::from_str(json).expect("an envelope")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::new(6));
    writer.write_all(bytes).expect("writing to memory");
    writer.finish().expect("writing to memory")
}

/// About 2.2 KB, with the properties that posthog-js 1.449 sends.
fn page_view(number: usize) -> String {
    let plain: String = [
        ("$os", "Mac OS X"),
        ("$os_version", "10.15.7"),
        ("$browser", "Chrome"),
        ("$device_type", "Desktop"),
        ("$timezone", "Europe/Berlin"),
        ("$host", "shop.example.com"),
        ("$pathname", "/products/shoes/running"),
        ("$raw_user_agent", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"),
        ("$browser_language", "en-US"),
        ("$browser_language_prefix", "en"),
        ("$lib", "web"),
        ("$lib_version", "1.449.2"),
        ("$referrer", "https://www.google.com/search?q=running+shoes"),
        ("$referring_domain", "www.google.com"),
        ("$initial_person_referrer", "https://www.google.com/search?q=running+shoes"),
        ("utm_source", "newsletter"),
        ("utm_medium", "email"),
        ("utm_campaign", "spring-sale-2026"),
        ("title", "Running shoes | Example shop"),
        ("$config_defaults", "2025-05-24"),
        ("token", "phc_benchmark"),
        ("$device_id", "0199f2a1-7a51-7b3c-9d2e-1c4a5b6d7e8f"),
        ("$window_id", "0199f2a1-7a52-7b3c-9d2e-1c4a5b6d7e90"),
        ("$pageview_id", "0199f2a1-7a53-7b3c-9d2e-1c4a5b6d7e91"),
    ]
    .iter()
    .map(|(key, value)| format!("\"{key}\":\"{value}\","))
    .collect();
    format!(
        r#"{{"uuid":"0199f2a1-7a54-7b3c-9d2e-{number:012x}","event":"$pageview","properties":{{{plain}"distinct_id":"0199f2a1-7a51-7b3c-9d2e-{:012x}","$session_id":"0199f2a1-7a55-7b3c-9d2e-{:012x}","$current_url":"https://shop.example.com/products/shoes/running?size={number}&utm_source=newsletter","$screen_height":1080,"$screen_width":1920,"$viewport_height":969,"$viewport_width":1512,"$browser_version":141,"$timezone_offset":-60,"$insert_id":"k3j5h2g8f9d0s{number}","$time":1795176000.{:03},"$is_identified":false,"$process_person_profile":true,"$lib_rate_limit_remaining_tokens":99,"$web_vitals_enabled_server_side":false,"$exception_capture_enabled_server_side":false,"$dead_clicks_enabled_server_side":false,"$recording_status":"active","$sdk_debug_replay_internal_buffer_length":0,"$sdk_debug_session_start":1795175990123,"$session_entry_url":"https://shop.example.com/","$session_entry_host":"shop.example.com","$session_entry_pathname":"/","$active_feature_flags":["new-checkout","blue-button"],"$feature/new-checkout":true,"$feature/blue-button":"test","$set_once":{{"$initial_os":"Mac OS X"}}}},"timestamp":"2026-11-20T11:59:5{}.123Z"}}"#,
        number % 20,
        number % 20,
        number % 1000,
        number % 10,
    )
}
