//! Clients that are slow, too large, or mean.

use crate::client::{Connection, Request};
use crate::signature::gzip;
use crate::world::{TOKEN, World, eventually};
use serde_json::json;
use std::io::Write;
use std::time::{Duration, Instant};

fn event() -> serde_json::Value {
    json!({"api_key": TOKEN, "event": "e", "distinct_id": "d"})
}

/// How long the server keeps a connection on which only `sent` arrives.
fn closed_after(world: &World, sent: &str) -> Duration {
    let mut connection = world.connect();
    connection.write(sent.as_bytes()).expect("sent");
    let start = Instant::now();
    connection.drain();
    start.elapsed()
}

#[test]
fn a_slow_head_is_cut_off() {
    let world = World::tuned(|settings| settings.server.header_timeout_ms = 300);
    for sent in ["", "P", "POST /e/ HTTP/1.1\r\nhost: localh", "PRI * HTTP/2.0\r\n"] {
        let time = closed_after(&world, sent);
        assert!(time < Duration::from_secs(5), "{sent:?}: {time:?}");
    }
    assert_eq!(world.send(&Request::json("/e/", event())).status, 200);
}

#[test]
fn a_slow_body_is_answered_408() {
    let world = World::tuned(|settings| settings.server.body_timeout_ms = 200);
    let v1 = crate::signature::v1("/i/v1/analytics/events", "0199f2a1-7a54-7b3c-9d2e-000000000001");
    let query = Request::json("/api/projects/1/query/", "").with("authorization", "Bearer phx_fixture");
    for request in [
        Request::json("/e/", ""),
        Request::json("/batch/", ""),
        Request::json("/s/", ""),
        Request::json("/i/v0/ai/batch/", ""),
        Request::post("/i/v0/ai", "").with("content-type", "multipart/form-data; boundary=B"),
        v1,
        query,
    ] {
        let mut connection = world.connect();
        let start = Instant::now();
        connection.write(format!("{}{{\"a\":", request.head(Some(100))).as_bytes()).expect("sent");
        let answer = connection.read().unwrap_or_else(|error| panic!("{}: {error}", request.path));
        assert_eq!(answer.status, 408, "{}: {}", request.path, answer.text());
        assert!(start.elapsed() < Duration::from_secs(5));
        if !request.path.starts_with("/api/") {
            assert_eq!(answer.header("retry-after").as_deref(), Some("1"), "{}", request.path);
        }
    }
    // A body that is slow but never stops is waited for, up to the deadline (see below).
    let body = event().to_string();
    let mut connection = world.connect();
    connection.write(Request::json("/e/", "").head(Some(body.len())).as_bytes()).expect("sent");
    for piece in body.as_bytes().chunks(body.len() / 6) {
        std::thread::sleep(Duration::from_millis(60));
        connection.write(piece).expect("sent");
    }
    assert_eq!(connection.read().expect("an answer").status, 200);
    world.fence();
    assert_eq!(world.count("SELECT count(*) FROM events"), 1);
}

#[test]
fn a_body_that_trickles_for_too_long_is_answered_408() {
    let world = World::tuned(|settings| settings.server.body_deadline_ms = 300);
    let v1 = crate::signature::v1("/i/v1/analytics/events", "0199f2a1-7a54-7b3c-9d2e-000000000001");
    for (request, said) in [(Request::json("/e/", ""), "timed out"), (v1, "request_timeout")] {
        let mut connection = world.connect();
        connection.write(request.head(Some(10_000)).as_bytes()).expect("sent");
        for _ in 0..12 {
            let _ = connection.write(b" ");
            std::thread::sleep(Duration::from_millis(40));
        }
        let answer = connection.read().unwrap_or_else(|error| panic!("{}: {error}", request.path));
        assert_eq!(answer.status, 408, "{}", request.path);
        assert!(answer.text().contains(said), "{}", answer.text());
        assert_eq!(answer.header("retry-after").as_deref(), Some("1"), "{}", request.path);
    }
}

#[test]
fn a_refusal_that_needs_no_body_is_read_by_a_client_that_sends_one() {
    let world = World::plain();
    let mut v1 = crate::signature::v1("/i/v1/analytics/events", "0199f2a1-7a54-7b3c-9d2e-000000000001");
    v1.headers[0].1 = "text/plain".into();
    // Beyond the limit of the route, too, up to one and a half times of it.
    v1.body = Some(vec![b' '; 15 << 20]);
    let nowhere = Request::post("/i/v1/logs", vec![b' '; 8 << 20]);
    for (request, status) in [(v1, 415), (nowhere, 404)] {
        let mut connection = world.connect();
        let answer = connection.send(&request).unwrap_or_else(|e| panic!("{}: {e}", request.path));
        assert_eq!(answer.status, status, "{}", answer.text());
        let next = connection.send(&Request::json("/e/", event()));
        assert_eq!(next.expect("the connection goes on").status, 200, "{}", request.path);
    }
}

#[test]
fn a_recording_has_a_limit_after_decompression() {
    let world = World::plain();
    let event = |bytes: usize| {
        let item = json!({"type": 3, "data": "x".repeat(bytes)});
        json!({"event": "$snapshot", "properties": {"token": TOKEN, "distinct_id": "d", "$session_id": "s",
            "$snapshot_data": [item]}})
    };
    let send = |body: serde_json::Value| world.send(&Request::post("/s/", gzip(body.to_string().as_bytes())));
    let answer = send(json!([event(26 << 20)]));
    assert_eq!(answer.status, 413);
    assert!(answer.text().starts_with("maximum event size exceeded: "), "{}", answer.text());
    assert_eq!(send(json!([event(13 << 20), event(13 << 20)])).status, 200);
}

#[test]
fn a_body_above_the_limit_leaves_the_connection_usable() {
    let limit = 1 << 20;
    let world = World::tuned(|settings| {
        settings.capture.max_body_bytes = limit;
        settings.capture.max_replay_body_bytes = limit;
        settings.capture.max_v1_body_bytes = limit;
    });
    let v1 = crate::signature::v1("/i/v1/analytics/events", "0199f2a1-7a54-7b3c-9d2e-000000000001");
    for mut request in [Request::post("/e/", ""), Request::post("/s/", ""), v1] {
        let mut connection = world.connect();
        for length in [limit + 1, limit + limit / 2] {
            request.body = Some(vec![b' '; length]);
            let answer =
                connection.send(&request).unwrap_or_else(|e| panic!("{} {length}: {e}", request.path));
            assert_eq!(answer.status, 413, "{} {length}: {}", request.path, answer.text());
            let next = connection.send(&Request::json("/e/", event()));
            assert_eq!(next.expect("the connection goes on").status, 200, "{} {length}", request.path);
        }
    }
    world.fence();
    assert_eq!(world.count("SELECT count(*) FROM events"), 6);
}

#[test]
fn an_endless_body_is_not_read_for_ever() {
    let world = World::tuned(|settings| settings.capture.max_body_bytes = 1 << 16);
    let mut connection = world.connect();
    let head = "POST /e/ HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    connection.write(head.as_bytes()).expect("sent");
    let piece = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let mut sent = 0_usize;
    while connection.write(piece.as_bytes()).is_ok() {
        sent += 0x4000;
        assert!(sent < 256 << 20, "the server reads on and on");
    }
}

/// The most memory this process ever had, in bytes; 0 where the system does not tell.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) * 1024
}

#[test]
fn bombs_stay_small() {
    let world = World::plain();
    let zeros = vec![0; 1 << 20];
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..1024 {
        encoder.write_all(&zeros).expect("memory");
    }
    let bomb = encoder.finish().expect("memory");
    let nested = gzip(&bomb);
    let before = peak();
    let v1 = crate::signature::v1("/i/v1/analytics/events", "0199f2a1-7a54-7b3c-9d2e-000000000001");
    let v1 = Request { body: Some(bomb.clone()), ..v1.with("content-encoding", "gzip") };
    let requests = [
        Request::post("/e/", bomb.clone()),
        Request::post("/batch/", nested),
        Request::post("/s/", bomb),
        v1,
    ];
    std::thread::scope(|scope| {
        for request in &requests {
            let world = &world;
            scope.spawn(move || assert_eq!(world.send(request).status, 413, "{}", request.path));
        }
    });
    let grown = peak().saturating_sub(before);
    // Four times a GiB goes in. Other tests run beside this one, so the bound is wide.
    assert!(grown < 700 << 20, "{} MiB more", grown >> 20);
    assert_eq!(world.send(&Request::json("/e/", event())).status, 200);
}

#[test]
fn more_connections_than_slots_wait_for_their_turn() {
    let world = World::tuned(|settings| settings.server.max_connections = 2);
    let mut first = world.connect();
    assert_eq!(first.send(&Request::json("/e/", event())).expect("answered").status, 200);
    let mut second = world.connect();
    assert_eq!(second.send(&Request::json("/e/", event())).expect("answered").status, 200);
    let address = world.address;
    let waiting = std::thread::spawn(move || {
        Connection::open(address)
            .expect("queued")
            .send(&Request::json("/e/", event()))
            .expect("answered")
            .status
    });
    drop(first);
    assert_eq!(waiting.join().expect("no panic"), 200);
    drop(second);
    eventually("a slot is free", || world.send(&Request::new("GET", "/_liveness")).status == 200);
}

#[test]
fn damaged_http_is_refused_without_harm() {
    let world = World::plain();
    for text in [
        "NONSENSE\r\n\r\n",
        "POST /e/ HTTP/1.1\r\nhost: x\r\ncontent-length: abc\r\n\r\n",
        "POST /e/ HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "GET /e/?data=%ZZ%00 HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /%FF%FE HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut connection = world.connect();
        connection.write(text.as_bytes()).expect("sent");
        let status = connection.read().expect("an answer").status;
        assert!((400..500).contains(&status), "{text:?}: {status}");
    }
    let long = format!("GET /e/?data={} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(300_000));
    let mut connection = world.connect();
    let _ = connection.write(long.as_bytes());
    let status = connection.read().map_or(431, |answer| answer.status);
    assert!(matches!(status, 414 | 431), "{status}");
    assert_eq!(world.send(&Request::json("/e/", event())).status, 200);
}
