//! Signed requests: with a secret configured, no write route takes an unsigned body.

use crate::client::Request;
use crate::world::{TOKEN, World};
use flate2::Compression;
use flate2::write::GzEncoder;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use std::io::Write;

const SECRET: &str = "a shared secret";

/// The value of `X-POSTHOG-SIGNATURE`.
pub fn sha256(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn sha1(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body);
    format!("sha1={}", hex::encode(mac.finalize().into_bytes()))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// A body that every route for single events takes.
fn single() -> Value {
    json!({"api_key": TOKEN, "event": "$ai_generation", "distinct_id": "d", "alias": "a", "group_type": "t",
        "group_key": "k", "properties": {"$ai_model": "m"}})
}

fn snapshot() -> Value {
    json!([{"event": "$snapshot", "properties": {"token": TOKEN, "distinct_id": "d", "$session_id": "s-1",
        "$snapshot_data": [{"type": 2, "timestamp": 1795176000000_i64, "data": {}}]}}])
}

/// A multipart event.
pub fn multipart() -> Request {
    let event = json!({"uuid": "0199f2a1-7a54-7b3c-9d2e-000000000001", "event": "$ai_generation",
        "distinct_id": "d", "properties": {"$ai_model": "m"}});
    let body = format!(
        "--B\r\ncontent-disposition: form-data; name=\"event\"\r\ncontent-type: application/json\r\n\r\n{event}\r\n--B--\r\n"
    );
    Request::post("/i/v0/ai", body)
        .with("content-type", "multipart/form-data; boundary=B")
        .with("authorization", format!("Bearer {TOKEN}"))
}

fn traces() -> Request {
    Request::json("/i/v0/ai/otel", json!({"resourceSpans": []}))
        .with("authorization", format!("Bearer {TOKEN}"))
}

/// A v1 request of one event.
pub fn v1(path: &str, uuid: &str) -> Request {
    let event = json!({"event": "$ai_generation", "uuid": uuid, "distinct_id": "d",
        "timestamp": "2026-11-20T11:59:00Z", "properties": {}});
    Request::json(path, json!({"created_at": "2026-11-20T12:00:00Z", "batch": [event]}))
        .with("authorization", format!("Bearer {TOKEN}"))
        .with("posthog-sdk-info", "posthog-node/5.70.0")
        .with("posthog-attempt", "1")
        .with("posthog-request-id", "6f1c9f0e-7a54-4b3c-9d2e-0123456789ab")
        .with("posthog-request-timestamp", "2026-11-20T12:00:00Z")
        .with("user-agent", "posthog-node/5.70.0")
}

/// One request for every route that writes.
fn writes() -> Vec<Request> {
    let mut all: Vec<Request> = [
        "/e",
        "/e/",
        "/capture/",
        "/capture/e",
        "/track/",
        "/i/v0/e/",
        "/engage/",
        "/identify",
        "/alias",
        "/groups",
        "/i/v0/ai/batch/",
        "/ingest/e/",
    ]
    .map(|path| Request::json(path, single()))
    .into();
    all.push(Request::json("/batch/", json!({"api_key": TOKEN, "batch": [single()]})));
    all.extend(["/s/", "/i/v0/s"].map(|path| Request::json(path, snapshot())));
    all.extend([multipart(), traces(), Request { path: "/i/v0/ai/otel/v1/traces".into(), ..traces() }]);
    all.push(v1("/i/v1/analytics/events", "0199f2a1-7a54-7b3c-9d2e-000000000002"));
    all.push(v1("/i/v1/ai/events", "0199f2a1-7a54-7b3c-9d2e-000000000003"));
    all
}

#[test]
fn every_write_route_asks_for_a_signature() {
    let world = World::tuned(|settings| settings.server.signing_secret = SECRET.into());
    for request in writes() {
        let path = &request.path;
        let body = request.body.clone().unwrap_or_default();
        let unsigned = world.send(&request);
        assert_eq!(unsigned.status, 401, "{path} unsigned: {}", unsigned.text());
        assert!(unsigned.text().contains("missing signature header"), "{path}: {}", unsigned.text());
        let forged = request.clone().with("x-posthog-signature", sha256("another secret", &body));
        let forged = world.send(&forged);
        assert_eq!(forged.status, 401, "{path} forged: {}", forged.text());
        assert!(forged.text().contains("signature verification failed"), "{path}: {}", forged.text());
    }
    world.fence();
    assert_eq!(world.count("SELECT count(*) FROM events"), 0);
    for request in writes() {
        let body = request.body.clone().unwrap_or_default();
        for (name, value) in
            [("x-posthog-signature", sha256(SECRET, &body)), ("x-hub-signature", sha1(SECRET, &body))]
        {
            let answer = world.send(&request.clone().with(name, value));
            assert_eq!(answer.status, 200, "{} {name}: {}", request.path, answer.text());
        }
    }
}

#[test]
fn the_signature_is_of_the_bytes_as_sent() {
    let world = World::tuned(|settings| settings.server.signing_secret = SECRET.into());
    let plain = single().to_string().into_bytes();
    let packed = gzip(&plain);
    let request = Request::post("/e/", packed.clone()).with("content-encoding", "gzip");
    for (signed, status) in [(&packed, 200), (&plain, 401)] {
        let request = request.clone().with("x-posthog-signature", sha256(SECRET, signed));
        assert_eq!(world.send(&request).status, status);
    }
    // Reading is not signed: it has keys of its own.
    assert_eq!(
        world.count("SELECT count(*) FROM persons_current"),
        world.count("SELECT count(*) FROM persons")
    );
    assert_eq!(world.send(&Request::new("GET", "/array/phc_fixture/config")).status, 200);
}

/// The query's `data` replaces the body, so it is what the signature covers: one seen signature signs nothing else.
#[test]
fn a_signed_get_signs_its_data() {
    let world = World::tuned(|settings| settings.server.signing_secret = SECRET.into());
    let json = single().to_string();
    let encoded: String = json.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let request = Request::new("GET", &format!("/e/?data={encoded}"));
    for (signed, status) in [(json.as_bytes(), 200), (b"".as_slice(), 401)] {
        let request = request.clone().with("x-posthog-signature", sha256(SECRET, signed));
        assert_eq!(world.send(&request).status, status);
    }
}
