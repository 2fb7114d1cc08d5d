//! A browser sees no answer without these headers, so refusals carry them as well.

use crate::client::{Answer, Request};
use crate::signature::v1;
use crate::world::{TOKEN, World};
use serde_json::json;

const ORIGIN: &str = "https://shop.example.com";

#[track_caller]
fn readable(world: &World, request: Request, status: u16) -> Answer {
    let (method, path) = (request.method.clone(), request.path.clone());
    let answer = world.send(&request.with("origin", ORIGIN));
    assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some(ORIGIN), "{method} {path}");
    assert_eq!(answer.header("access-control-allow-credentials").as_deref(), Some("true"), "{method} {path}");
    let vary = answer.header("vary").unwrap_or_default().to_lowercase();
    assert!(vary.contains("origin"), "{method} {path}: {vary}");
    answer
}

#[test]
fn refusals_can_be_read_by_browsers() {
    let world = World::tuned(|settings| {
        settings.capture.max_body_bytes = 10_000;
        settings.capture.max_v1_body_bytes = 10_000;
    });
    let event = json!({"api_key": TOKEN, "event": "e", "distinct_id": "d"});
    let large = "x".repeat(12_000);
    readable(&world, Request::json("/e/", &event), 200);
    readable(&world, Request::json("/e/", "{"), 400);
    readable(&world, Request::json("/e/", json!({"event": "e", "distinct_id": "d"})), 401);
    readable(&world, Request::post("/e/", large.clone()), 413);
    let id = "0199f2a1-7a54-7b3c-9d2e-000000000001";
    let path = "/i/v1/analytics/events";
    readable(&world, v1(path, id), 200);
    readable(&world, Request::json(path, "{}"), 401);
    let mut too_large = v1(path, id);
    too_large.body = Some(large.into_bytes());
    readable(&world, too_large, 413);
    let mut text = v1(path, id);
    text.headers[0].1 = "text/plain".into();
    readable(&world, text, 415);
    for path in ["/nowhere", "/static/nope.js", "/flags/", "/i/v2/events", "/ingest/nowhere"] {
        readable(&world, Request::new("GET", path), 404);
        readable(&world, Request::post(path, "x"), 404);
    }
    readable(&world, Request::new("GET", "/array/phc_nobody/config"), 404);
    for (method, path) in [("PUT", "/e/"), ("DELETE", "/batch"), ("PATCH", "/s/"), ("GET", path)] {
        let answer = readable(&world, Request::new(method, path), 405);
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("POST")), "{method} {path}");
    }
    let answer = readable(&world, Request::json("/api/projects/1/query/", "{}"), 401);
    assert_eq!(answer.json()["code"], "not_authenticated");
}

#[test]
fn a_full_log_can_be_read_by_browsers() {
    let world = World::tuned(|settings| settings.log.min_free_bytes = u64::MAX);
    let event = json!({"api_key": TOKEN, "event": "e", "distinct_id": "d"});
    let answer = readable(&world, Request::json("/e/", &event), 503);
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    let path = "/i/v1/analytics/events";
    let answer = readable(&world, v1(path, "0199f2a1-7a54-7b3c-9d2e-000000000001"), 503);
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default().to_lowercase();
    assert!(exposed.contains("retry-after") && exposed.contains("posthog-request-id"), "{exposed}");
}

#[test]
fn preflights_are_answered_everywhere() {
    let world = World::plain();
    for (path, methods) in [
        ("/e/", "GET,POST,OPTIONS"),
        ("/s", "GET,POST,OPTIONS"),
        ("/nowhere", "GET,POST,OPTIONS"),
        ("/i/v1/analytics/events", "POST,OPTIONS"),
        ("/ingest/batch/", "GET,POST,OPTIONS"),
    ] {
        let request = Request::new("OPTIONS", path)
            .with("access-control-request-method", "POST")
            .with("access-control-request-headers", "content-type,x-custom");
        let answer = readable(&world, request, 200);
        assert_eq!(answer.header("access-control-allow-methods").as_deref(), Some(methods), "{path}");
        let headers = answer.header("access-control-allow-headers");
        assert_eq!(headers.as_deref(), Some("content-type,x-custom"), "{path}");
        assert_eq!(answer.header("access-control-max-age").as_deref(), Some("86400"), "{path}");
        assert!(answer.body.is_empty(), "{path}");
    }
}
