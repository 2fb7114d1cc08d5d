//! What was acknowledged is there exactly once, whatever happens to the process.

use crate::client::{Connection, Request};
use crate::world::{Folder, TOKEN, World, eventually, settings};
use serde_json::{Value, json};
use server::Settings;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use uuid::Uuid;

fn id(number: u32) -> String {
    Uuid::from_u128(0x0199_f2a1_7a54_7b3c_9d2e_0000_0000_0000 | u128::from(number)).to_string()
}

fn events(numbers: std::ops::Range<u32>) -> Value {
    let one = |number| {
        json!({"event": "e", "distinct_id": format!("d{}", number % 7), "uuid": id(number),
            "timestamp": "2026-11-20T11:00:00Z", "properties": {"n": number, "$set": {"last": number}}})
    };
    numbers.map(one).collect()
}

/// Rows, different uuids, persons.
fn counts(world: &World) -> (u64, u64, u64) {
    let rows = world.ask(1, "SELECT count(*), count(DISTINCT uuid) FROM events");
    let number = |cell: &Value| cell.as_u64().expect("a number");
    (number(&rows[0][0]), number(&rows[0][1]), world.count("SELECT count(*) FROM persons_current"))
}

fn started() -> (Settings, World) {
    let settings = settings();
    (settings.clone(), Folder::with(&settings, &[]).start(settings))
}

#[test]
fn a_batch_sent_again_is_stored_once() {
    let (settings, world) = started();
    world.batch(&events(0..50));
    world.batch(&events(0..50));
    world.batch(&events(40..60));
    world.fence();
    assert_eq!(counts(&world), (60, 60, 7));
    // The process is killed, and the client sends once more.
    let world = world.kill().start(settings.clone());
    world.fence();
    assert_eq!(counts(&world), (60, 60, 7));
    world.batch(&events(0..70));
    world.fence();
    assert_eq!(counts(&world), (70, 70, 7));
    // Now it stops in order, so that the rows are in the tables.
    let world = world.stop().start(settings.clone());
    world.batch(&events(0..80));
    world.fence();
    assert_eq!(counts(&world), (80, 80, 7));
    let world = world.kill().start(settings);
    world.batch(&events(0..80));
    world.fence();
    assert_eq!(counts(&world), (80, 80, 7));
}

#[test]
fn what_makes_an_event_the_same() {
    let (_, world) = started();
    let event = json!({"event": "e", "distinct_id": "d", "uuid": id(1), "timestamp": "2026-11-20T11:00:00Z"});
    let changed = |key: &str, value: &str| {
        let mut other = event.clone();
        other[key] = value.into();
        other
    };
    world.batch(&json!([event]));
    // Another time of the same day is the same event; so is one sent through another route.
    world.batch(&json!([changed("timestamp", "2026-11-20T10:00:00Z")]));
    let mut single = event.clone();
    single["api_key"] = TOKEN.into();
    assert_eq!(world.send(&Request::json("/i/v0/e/", single)).status, 200);
    world.fence();
    assert_eq!(counts(&world).0, 1);
    for (key, value) in
        [("event", "f"), ("distinct_id", "other"), ("uuid", &id(2)), ("timestamp", "2026-11-19T11:00:00Z")]
    {
        world.batch(&json!([changed(key, value)]));
    }
    world.fence();
    assert_eq!(counts(&world).0, 5);
}

#[test]
fn a_changed_copy_replaces_the_first_while_it_is_fresh() {
    let (settings, world) = started();
    let event = |price: u32| {
        json!([{"event": "order", "distinct_id": "d", "uuid": id(1), "timestamp": "2026-11-20T11:00:00Z",
            "properties": {"price": price}}])
    };
    let price = |world: &World| {
        world.fence();
        let rows = world.ask(1, "SELECT properties.price FROM events");
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0][0].as_str().map_or_else(|| rows[0][0].to_string(), str::to_owned)
    };
    world.batch(&event(1));
    world.batch(&event(2));
    assert_eq!(price(&world), "2");
    let world = world.kill().start(settings.clone());
    assert_eq!(price(&world), "2");
    // Once it is in a table the first one stays.
    let world = world.stop().start(settings);
    world.batch(&event(3));
    assert_eq!(price(&world), "2");
}

#[test]
fn commits_and_restarts_keep_every_row_once() {
    let mut settings = settings();
    settings.ingest.commit_seconds = 1;
    let mut world = Folder::with(&settings, &[]).start(settings.clone());
    for round in 0..4 {
        world.batch(&events(round * 100..(round + 1) * 100));
        world.fence();
        let all = u64::from((round + 1) * 100);
        assert_eq!(counts(&world), (all, all, 7), "round {round}");
        world = match round % 2 {
            0 => world.stop().start(settings.clone()),
            _ => world.kill().start(settings.clone()),
        };
        assert_eq!(counts(&world), (all, all, 7), "after round {round}");
    }
    let sql = "SELECT max(CAST(properties.last AS BIGINT)) FROM persons_current";
    assert_eq!(world.count(sql), 399);
}

/// Sends batches of ten until the server is gone; gives the numbers of the acknowledged ones.
fn press(address: std::net::SocketAddr, lane: u32, going: &AtomicBool, sent: &AtomicUsize) -> Vec<u32> {
    let mut taken = Vec::new();
    let mut connection = Connection::open(address).ok();
    let mut next = lane * 1_000_000;
    while going.load(Ordering::Relaxed) {
        let Some(open) = &mut connection else {
            connection = Connection::open(address).ok();
            if connection.is_none() {
                break;
            }
            continue;
        };
        let numbers = next..next + 10;
        let body = json!({"api_key": TOKEN, "batch": events(numbers.clone())});
        match open.send(&Request::json("/batch/", body)) {
            Ok(answer) if answer.status == 200 => {
                taken.extend(numbers);
                sent.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
            Err(_) => connection = None,
        }
        next += 10;
    }
    taken
}

#[test]
fn a_stop_under_load_loses_nothing() {
    stop_under_load(settings());
}

#[test]
fn a_stop_under_load_amid_commits_loses_nothing() {
    let mut settings = settings();
    settings.ingest.commit_seconds = 1;
    settings.ingest.commit_bytes = 100_000;
    stop_under_load(settings);
}

fn stop_under_load(settings: Settings) {
    let world = Folder::with(&settings, &[]).start(settings.clone());
    let (going, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let address = world.address;
    let lanes: Vec<_> = (1..=4)
        .map(|lane| {
            let (going, sent) = (going.clone(), sent.clone());
            std::thread::spawn(move || press(address, lane, &going, &sent))
        })
        .collect();
    eventually("there is load", || sent.load(Ordering::Relaxed) > 60);
    let folder = world.stop();
    going.store(false, Ordering::Relaxed);
    let taken: HashSet<String> =
        lanes.into_iter().flat_map(|lane| lane.join().expect("no panic")).map(id).collect();
    assert!(taken.len() >= 600);
    let world = folder.start(settings);
    let rows = world.ask(1, "SELECT uuid FROM events LIMIT 50000");
    let stored: Vec<&str> = rows.iter().map(|row| row[0].as_str().expect("text")).collect();
    let different: HashSet<&str> = stored.iter().copied().collect();
    assert_eq!(stored.len(), different.len(), "no event twice");
    let lost: Vec<&String> = taken.iter().filter(|id| !different.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "{} of {} lost", lost.len(), taken.len());
}

#[test]
fn a_full_log_takes_events_again_after_a_commit() {
    let world = World::tuned(|settings| {
        settings.capture.max_decompressed_bytes = 64 << 10;
        settings.capture.max_replay_body_bytes = 64 << 10;
        settings.log.segment_bytes = 64 << 10;
        settings.log.queue_bytes = 64 << 10;
        settings.log.max_bytes = 256 << 10;
        settings.ingest.commit_seconds = 1;
    });
    let mut number = 0_u32;
    let mut taken = 0_u64;
    let mut attempt = || {
        number += 1;
        // Random text, so that the log cannot make it small.
        let noise: String = (0..1200).map(|_| Uuid::from_u128(rand::random()).to_string()).collect();
        let event = json!({"event": "e", "distinct_id": "d", "uuid": id(number), "properties": {"noise": &noise[..30_000]}});
        let answer = world.send(&Request::json("/batch/", json!({"api_key": TOKEN, "batch": [event]})));
        match answer.status {
            200 => taken += 1,
            503 => assert_eq!(answer.text(), "transient error, please retry"),
            other => panic!("{other}: {}", answer.text()),
        }
        answer.status
    };
    eventually("the log is full", || attempt() == 503);
    eventually("the log has room again", || attempt() == 200);
    // A fence may find the log full as well.
    let expected = taken;
    eventually("all are stored", || world.count("SELECT count(*) FROM events") == expected);
    assert_eq!(counts(&world).1, expected);
}
