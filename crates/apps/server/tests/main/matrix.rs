//! Every route, asked with every kind of key. A route that has no row here fails, and so does a row without a route.

use crate::client::Request;
use crate::signature::{multipart, v1};
use crate::world::{Extra, Folder, TOKEN, World, settings};
use metastore::key::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ROUTES: &str = include_str!("../../src/routes.rs");
const WRONG: &str = "phc_of_nobody";
const OTHER: &str = "phc_other";

/// The keys in the order of the columns below: none, one of nobody, the public key of the project and of another, the
/// personal key of the project and of another, the secret key of the project and of another.
const KEYS: [Option<&str>; 8] = [
    None,
    Some(WRONG),
    Some(TOKEN),
    Some(OTHER),
    Some("phx_own"),
    Some("phx_other"),
    Some("phs_own"),
    Some("phs_other"),
];

/// What a row sends, and where the key goes.
#[derive(Clone, Copy, PartialEq)]
enum Ask {
    /// An event whose body holds the key.
    Event,
    /// A recording whose body holds the key.
    Snapshot,
    /// A multipart event with the key in `Authorization`.
    Multipart,
    /// Traces with the key in `Authorization`.
    Traces,
    /// A v1 batch with the key in `Authorization`.
    V1,
    /// The key is part of the path.
    InPath,
    /// Nothing but the key in `Authorization`.
    Bare,
    /// A question with the key in `Authorization`.
    Question,
    /// A command for table care.
    Care,
    /// Who is to be forgotten.
    Erasure,
}

/// Public keys write and read nothing, secret keys read their project and write nothing.
const WRITE: [u16; 8] = [401, 401, 200, 200, 401, 401, 401, 401];
const READ: [u16; 8] = [401, 401, 401, 401, 200, 403, 200, 403];
/// Keys of one project are not enough for what holds the rows of all.
const WHOLE: [u16; 8] = [401, 401, 401, 401, 403, 403, 403, 403];
const OPEN: [u16; 8] = [200; 8];
/// The key of a person reads and changes; that of a project reads.
const ERASE: [u16; 8] = [401, 401, 401, 401, 200, 403, 403, 403];
const NOWHERE: [u16; 8] = [404; 8];
/// A path without a key is another path.
const CONFIG: [u16; 8] = [404, 404, 200, 200, 404, 404, 404, 404];

const ROWS: &[(&str, Ask, [u16; 8])] = &[
    ("/e", Ask::Event, WRITE),
    ("/capture", Ask::Event, WRITE),
    ("/capture/e", Ask::Event, WRITE),
    ("/track", Ask::Event, WRITE),
    ("/i/v0/e", Ask::Event, WRITE),
    ("/batch", Ask::Event, WRITE),
    ("/engage", Ask::Event, WRITE),
    ("/identify", Ask::Event, WRITE),
    ("/alias", Ask::Event, WRITE),
    ("/groups", Ask::Event, WRITE),
    ("/s", Ask::Snapshot, WRITE),
    ("/i/v0/s", Ask::Snapshot, WRITE),
    ("/i/v0/ai/batch", Ask::Event, WRITE),
    ("/i/v0/ai", Ask::Multipart, WRITE),
    ("/i/v0/ai/otel", Ask::Traces, WRITE),
    ("/i/v0/ai/otel/v1/traces", Ask::Traces, WRITE),
    ("/array/{token}/config", Ask::InPath, CONFIG),
    ("/array/{token}/config.js", Ask::InPath, CONFIG),
    ("/api/surveys", Ask::Bare, OPEN),
    ("/api/web_experiments", Ask::Bare, OPEN),
    ("/api/early_access_features", Ask::Bare, OPEN),
    ("/api/product_tours", Ask::Bare, OPEN),
    ("/i/v1/analytics/events", Ask::V1, WRITE),
    ("/i/v1/ai/events", Ask::V1, WRITE),
    ("/api/projects/{project}/query", Ask::Question, READ),
    ("/api/environments/{project}/query", Ask::Question, READ),
    ("/api/projects/{project}/erasures", Ask::Erasure, ERASE),
    ("/api/care", Ask::Care, WHOLE),
    ("/api/backups", Ask::Bare, WHOLE),
    ("/api/backups/{id}", Ask::Bare, WHOLE),
    ("/api/backups/{id}/files/{*path}", Ask::Bare, WHOLE),
    ("/api/{*rest}", Ask::Bare, NOWHERE),
    ("/", Ask::Bare, OPEN),
    ("/_liveness", Ask::Bare, OPEN),
    ("/_livez", Ask::Bare, OPEN),
    ("/_readiness", Ask::Bare, OPEN),
    ("/_readyz", Ask::Bare, OPEN),
    ("/_ready", Ask::Bare, OPEN),
    ("/_health", Ask::Bare, OPEN),
    ("/healthz", Ask::Bare, OPEN),
    ("/metrics", Ask::Bare, OPEN),
];

/// The paths of the table of routes with their methods, read from its text.
fn routes() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut found = BTreeMap::new();
    // The catalog's routes have their table in `iceberg.rs`: their keys are those of all projects, and they speak
    // another protocol, without CORS.
    let (before, rest) = ROUTES.split_once("fn iceberg()").expect("the routes of the catalog");
    let (_, after) = rest.split_once("\n}\n").expect("the end of the routes of the catalog");
    for call in before.split(".route(").skip(1).chain(after.split(".route(").skip(1)) {
        let path = call.split('"').nth(1).expect("a path");
        let line = call.lines().next().expect("a line");
        let methods = ["get", "post", "any", "put", "delete", "patch", "head"];
        let named = |method: &&str| line.contains(&format!("{method}("));
        let mut methods: Vec<&str> = methods.into_iter().filter(named).collect();
        if methods == ["any"] {
            methods = vec!["get", "post", "put", "delete", "patch"];
        }
        assert!(!methods.is_empty(), "no method is read from {line:?}");
        found.insert(path, methods);
    }
    found
}

fn world() -> World {
    let settings = settings();
    let folder = Folder::with(&settings, &[Extra::of(OTHER)]);
    let other = folder.projects[0];
    for (kind, key, project) in [
        (Kind::Personal, "phx_own", 1),
        (Kind::Personal, "phx_other", other),
        (Kind::Secret, "phs_own", 1),
        (Kind::Secret, "phs_other", other),
    ] {
        folder.add_key(kind, key, "*", Some(vec![project]));
    }
    folder.start(settings)
}

fn request(method: &str, path: &str, ask: Ask, key: Option<&str>) -> Request {
    let path =
        path.replace("{project}", "1").replace("{token}", key.unwrap_or_default()).replace("{*rest}", "x/y");
    let path = path.replace("{id}", "x").replace("{*path}", "y/z");
    let mut event = json!({"event": "$ai_generation", "distinct_id": "d", "alias": "a", "group_type": "t",
        "group_key": "k", "properties": {"$ai_model": "m"}});
    let mut snapshot = json!([{"event": "$snapshot", "properties": {"distinct_id": "d", "$session_id": "s-1",
        "$snapshot_data": [{"type": 2, "timestamp": 1795176000000_i64, "data": {}}]}}]);
    if let Some(key) = key {
        event["api_key"] = key.into();
        snapshot[0]["properties"]["token"] = key.into();
    }
    let mut request = match ask {
        Ask::Event => Request::json(&path, event),
        Ask::Snapshot => Request::json(&path, snapshot),
        Ask::Multipart => Request { path, ..multipart() },
        Ask::Traces => Request::json(&path, traces()),
        Ask::V1 => v1(&path, "0199f2a1-7a54-7b3c-9d2e-000000000001"),
        Ask::InPath | Ask::Bare => Request::new(method, &path),
        Ask::Care => Request::json(&path, json!({"action": "stats"})),
        Ask::Erasure => Request::json(&path, json!({"distinct_ids": ["nobody"]})),
        Ask::Question => Request::json(
            &path,
            json!({"query": {"kind": "HogQLQuery", "query": "SELECT count(*) FROM events"}}),
        ),
    };
    request.method = method.to_uppercase();
    request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    match key.filter(|_| !matches!(ask, Ask::Event | Ask::Snapshot | Ask::InPath)) {
        Some(key) => request.with("authorization", format!("Bearer {key}")),
        None => request,
    }
}

/// One span of a model's work, so that the key is looked at.
fn traces() -> Value {
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let span = json!({"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "name": "chat",
        "startTimeUnixNano": "1795176000000000000", "endTimeUnixNano": "1795176001000000000",
        "attributes": [text("gen_ai.operation.name", "chat"), text("gen_ai.system", "openai"),
            text("gen_ai.request.model", "m")]});
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
}

#[test]
fn every_route_knows_its_keys() {
    let world = world();
    let routes = routes();
    assert!(routes.len() > 30, "the table of routes is not read as it is written");
    let rows: Vec<&str> = ROWS.iter().map(|(path, ..)| *path).collect();
    for path in routes.keys() {
        assert!(rows.contains(path), "{path} has no row: say who may ask it what");
    }
    for (path, ask, expected) in ROWS {
        let methods = routes.get(path).unwrap_or_else(|| panic!("{path} is a row and no route"));
        for method in methods {
            // A list of what was forgotten is read with the keys of the project, too.
            let expected = if (*ask, *method) == (Ask::Erasure, "get") { &READ } else { expected };
            for (key, status) in KEYS.into_iter().zip(expected) {
                let answer = world.send(&request(method, path, *ask, key));
                assert_eq!(answer.status, *status, "{method} {path} with {key:?}: {}", answer.text());
                let said = answer.text();
                let told = said.contains("phx_") || said.contains("phs_");
                assert!(!told, "{method} {path} with {key:?} tells a key: {said}");
            }
        }
    }
    // What the other's keys wrote is the other's.
    world.fence();
    let other = world.folder.projects[0];
    let keys = |project: i64| world.ask(project, "SELECT DISTINCT api_key FROM events");
    assert_eq!((keys(1), keys(other)), (vec![vec![json!(TOKEN)]], vec![vec![json!(OTHER)]]));
}

#[test]
fn browsers_are_told_everywhere_but_at_the_numbers() {
    let world = world();
    let origin = "https://shop.example.com";
    for (path, ask, _) in ROWS {
        let asked = request("get", path, *ask, Some(TOKEN)).with("origin", origin);
        let preflight = Request { method: "OPTIONS".into(), body: None, ..asked.clone() }
            .with("access-control-request-method", "POST");
        let expected = (*path != "/metrics").then(|| origin.to_owned());
        for request in [asked, preflight] {
            let answer = world.send(&request);
            let said = answer.header("access-control-allow-origin");
            assert_eq!(said, expected, "{} {path}", request.method);
        }
    }
    // `null` is an origin like any other, and none gets none.
    let answer = world.send(&Request::new("GET", "/_liveness").with("origin", "null"));
    assert_eq!(answer.header("access-control-allow-origin").as_deref(), Some("null"));
    assert_eq!(world.send(&Request::new("GET", "/_liveness")).header("access-control-allow-origin"), None);
}

#[test]
fn heads_are_bounded() {
    let world = World::plain();
    let many =
        (0..200).fold(Request::new("GET", "/_liveness"), |request, n| request.with(&format!("x-{n}"), "1"));
    let long = Request::new("GET", "/_liveness").with("x-long", "x".repeat(200_000));
    let path = Request::new("GET", &format!("/{}", "a".repeat(100_000)));
    for (request, allowed) in [(many, [431, 400]), (long, [431, 400]), (path, [414, 431])] {
        let mut connection = world.connect();
        let status = connection.send(&request).map_or(431, |answer| answer.status);
        assert!(allowed.contains(&status), "{status}");
    }
    assert_eq!(world.send(&Request::new("GET", "/_liveness")).status, 200);
}
