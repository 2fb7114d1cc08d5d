//! What an operator and a load balancer ask.

use crate::client::{Connection, Request};
use crate::signature::{gzip, v1};
use crate::world::{Folder, TOKEN, World, eventually, settings};
use axum::body::Body;
use serde_json::json;
use server::app::{App, Parts, Readiness};
use server::clock::Clock;
use server::{folder, routes};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tower::ServiceExt;

const READY: [&str; 5] = ["/_readiness", "/_readyz", "/_ready", "/_health", "/healthz"];
const ALIVE: [&str; 2] = ["/_liveness", "/_livez"];

#[test]
fn a_running_server_lives_and_is_ready() {
    let world = World::plain();
    for path in READY.iter().chain(&ALIVE) {
        for path in [(*path).to_owned(), format!("{path}/"), format!("/ingest{path}")] {
            let answer = world.send(&Request::new("GET", &path));
            assert_eq!((answer.status, answer.text().as_str()), (200, "ok"), "{path}");
        }
    }
    assert_eq!(world.send(&Request::new("GET", "/")).text(), "capture");
    assert_eq!(world.send(&Request::new("GET", "/ingest")).text(), "capture");
}

/// The routes of a server that has opened everything and has not said yes yet.
async fn app(folder_of: &Folder, readiness: Arc<Readiness>) -> App {
    let settings = settings();
    let dir = folder_of.dir.path();
    let log_settings = eventlog::Settings { segment_bytes: 1 << 20, ..eventlog::Settings::default() };
    let log: Arc<dyn eventlog::EventLog> =
        Arc::new(eventlog::Segments::open(&folder::log(dir), log_settings).expect("a log"));
    let metastore: Arc<dyn metastore::Metastore> = Arc::new(folder_of.metastore());
    let directory =
        ingest::Directory::open(metastore.clone(), ingest::TokenMode::Enforce).await.expect("keys");
    let directory = Arc::new(directory);
    let warehouse = table::Warehouse::open(table::Settings::at(dir.to_owned())).await.expect("tables");
    let warehouse = Arc::new(warehouse);
    let bounds =
        ingest::accept::Bounds { decompressed: 1 << 20, events: event::event_size::Limits::default() };
    let clock = Clock::from_setting(&settings.clock.fixed);
    let care = settings.care.clone();
    let (kept, tables) = (metastore.clone(), warehouse.clone());
    let hands =
        server::care::Hands { warehouse: tables, metastore: kept, orders: None, clock, settings: care };
    App::new(Parts {
        care: Some((hands.clone(), server::care::Care::start(hands).desk())),
        door: Some(ingest::Door::new(log.into(), directory.clone(), bounds)),
        log: None,
        trusted: Vec::new(),
        clock,
        settings,
        directory,
        metastore,
        outside: Some(warehouse.outside()),
        data: dir.to_owned(),
        moments: server::moments::Moments::watched(),
        engine: Some(Arc::new(query::Engine::new(warehouse, query::Limits::default()).expect("engine"))),
        metrics: telemetry::install(),
        pressure: Arc::new(server::pressure::Pressure::new(100, 1 << 20)),
        readiness,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn before_and_after_nobody_is_sent_here() {
    let folder = tokio::task::spawn_blocking(|| Folder::with(&settings(), &[])).await.expect("a folder");
    let readiness = Arc::new(Readiness::default());
    let router = routes::router(&app(&folder, readiness.clone()).await);
    for (ready, status) in [(false, 503), (true, 200), (false, 503)] {
        readiness.set(ready);
        for (paths, status) in [(&READY[..], status), (&ALIVE[..], 200)] {
            for path in paths {
                let request = http::Request::get(*path).body(Body::empty()).expect("a request");
                let answer = router.clone().oneshot(request).await.expect("an answer");
                assert_eq!(answer.status().as_u16(), status, "{path}");
            }
        }
    }
}

#[test]
fn a_stopping_server_finishes_what_it_began() {
    let settings = settings();
    let world = Folder::with(&settings, &[]).start(settings.clone());
    let body = json!({"api_key": TOKEN, "event": "late", "distinct_id": "d"}).to_string();
    let mut begun = world.connect();
    let mut asked = world.connect();
    let (half, rest) = body.split_at(10);
    begun
        .write(format!("{}{half}", Request::json("/e/", "").head(Some(body.len()))).as_bytes())
        .expect("sent");
    // The answer to a second request shows that the first has been taken up.
    assert_eq!(asked.send(&Request::new("GET", "/_readiness")).expect("answered").status, 200);
    let address = world.address;
    let stopped = world.stop_soon();
    eventually("no new connections", || crate::client::Connection::open(address).is_err());
    begun.write(rest.as_bytes()).expect("sent");
    assert_eq!(begun.read().expect("an answer").status, 200);
    let world = stopped().start(settings);
    world.fence();
    assert_eq!(world.count("SELECT count(*) FROM events WHERE event = 'late'"), 1);
}

#[test]
fn numbers_are_told_under_their_names() {
    let world = World::plain();
    world.batch(&json!([{"event": "e", "distinct_id": "d"}]));
    world.send(&Request::json("/e/", "{"));
    world.send(&Request::new("GET", "/nowhere/with/an/id/123"));
    let event = json!({"event": "e", "distinct_id": "d"});
    let past = json!({"api_key": TOKEN, "historical_migration": true, "batch": [event]}).to_string();
    assert_eq!(world.send(&Request::post("/batch/", gzip(past.as_bytes()))).status, 200);
    assert_eq!(world.send(&Request::post("/e/", gzip(&vec![b' '; 51 << 20]))).status, 413);
    let large = json!({"api_key": TOKEN, "event": "x".repeat(2 << 20), "distinct_id": "d"});
    assert_eq!(world.send(&Request::json("/e/", large)).status, 413);
    let mut v1 = v1("/i/v1/analytics/events", "0199f2a1-7a54-7b3c-9d2e-000000000001");
    assert_eq!(world.send(&v1).status, 200);
    let good = String::from_utf8(v1.body.take().expect("a body")).expect("text");
    v1.body = Some(good.replace("11:59:00Z", "").into_bytes());
    assert!(world.send(&v1).text().contains("invalid_event_timestamp"));
    v1.body = Some(b"{".to_vec());
    assert_eq!(world.send(&v1).status, 400);
    world.fence();
    let answer = world.send(&Request::new("GET", "/metrics"));
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain; version=0.0.4")));
    let text = answer.text();
    for name in [
        "capture_events_received_total",
        "capture_error_by_stage_and_type",
        "http_requests_total",
        "http_requests_duration_seconds_bucket",
        "capture_active_connections",
        "capture_request_size_bytes",
        "capture_raw_payload_size",
        "capture_full_payload_size_bucket{oversize=\"true\"",
        "capture_payload_size_exceeded{kind=\"decompressed\"}",
        "capture_payload_size_exceeded{kind=\"event\"}",
        "capture_gzip_decompression_ratio",
        "capture_events_rerouted_historical",
        "capture_v1_response_time_seconds",
        "capture_v1_batch_outcomes{outcome=\"all_ok\"",
        "capture_v1_batch_outcomes{outcome=\"all_drop\"",
        "capture_v1_parsed_events",
        "capture_v1_events_dropped{reason=\"invalid_event_timestamp\"",
        "capture_v1_analytics_error{error=\"request_parsing_error\"",
    ] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} in\n{text}");
    }
    assert!(text.contains("path=\"/batch\""), "the pattern of a route, without slash or prefix");
    assert!(!text.contains("nowhere"), "no raw path is a label");
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let value = line.rsplit(' ').next().unwrap_or_default();
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn a_beacon_gets_no_body() {
    let world = World::plain();
    let event = json!({"api_key": TOKEN, "event": "e", "distinct_id": "d"});
    let mut connection = world.connect();
    for (path, status) in
        [("/e/?beacon=1", 204), ("/e/?beacon=true", 204), ("/e/?beacon=abc", 200), ("/e/?beacon=0", 200)]
    {
        let answer = connection.send(&Request::json(path, &event)).expect("an answer");
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.body.is_empty(), status == 204, "{path}");
    }
    assert_eq!(connection.send(&Request::json("/e/?beacon=1", "{")).expect("an answer").status, 400);
}

#[test]
fn every_route_is_also_below_the_prefix() {
    let event = json!({"api_key": TOKEN, "event": "e", "distinct_id": "d"});
    for (prefix, below, status) in [("/ingest", "/ingest", 200), ("", "/ingest", 404), ("/a/b", "/a/b", 200)]
    {
        let world = World::tuned(|settings| settings.server.path_prefix = prefix.into());
        for path in ["/e", "/e/", "/i/v0/e/?compression=none", "/batch/?", "/capture/"] {
            let answer = world.send(&Request::json(&format!("{below}{path}"), &event));
            assert_eq!(answer.status, status, "{below}{path}: {}", answer.text());
            assert_eq!(world.send(&Request::json(path, &event)).status, 200, "{path}");
        }
        let config = world.send(&Request::new("GET", &format!("{below}/array/{TOKEN}/config")));
        assert_eq!(config.status, status);
    }
}

#[test]
fn a_config_that_is_known_is_not_sent_again() {
    let world = World::plain();
    let path = format!("/array/{TOKEN}/config");
    let first = world.send(&Request::new("GET", &path));
    let tag = first.header("etag").expect("a validator");
    let again = world.send(&Request::new("GET", &path).with("if-none-match", &tag));
    assert_eq!((again.status, again.body.len()), (304, 0));
    let other = world.send(&Request::new("GET", &path).with("if-none-match", "\"other\""));
    assert_eq!((other.status, other.body), (200, first.body));
    for (path, key) in [
        ("/api/surveys/?token=t", "surveys"),
        ("/api/web_experiments/?token=t", "experiments"),
        ("/api/early_access_features/?token=t", "earlyAccessFeatures"),
        ("/api/product_tours/?token=t", "product_tours"),
    ] {
        let answer = world.send(&Request::new("GET", path));
        assert_eq!((answer.status, answer.json()), (200, json!({key: []})), "{path}");
    }
}

/// A program that has a server inside may end its runtime, or let go of the server, without asking for a stop.
#[test]
fn a_server_that_is_let_go_breaks_off_quietly() {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some("pump") {
            PANICKED.store(true, Ordering::Relaxed);
        }
        report(panic);
    }));
    let dir = tempfile::tempdir().expect("a folder");
    for server_first in [false, true, false] {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        // The log of the one before is closed by a thread of its own.
        let mut running = None;
        eventually("the folder is free", || {
            running = runtime.block_on(server::start(settings(), dir.path())).ok();
            running.is_some()
        });
        let running = running.expect("it runs");
        let event = json!({"api_key": TOKEN, "event": "e", "distinct_id": "d"});
        let mut connection = Connection::open(running.address).expect("it listens");
        let answer = connection.send(&Request::json("/e/", event)).expect("an answer");
        assert_eq!(answer.status, 200);
        if server_first {
            drop(running);
            drop(runtime);
        } else {
            drop(runtime);
            drop(running);
        }
    }
    assert!(!PANICKED.load(Ordering::Relaxed), "the pump panicked");
}
