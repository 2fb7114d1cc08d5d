//! Who may ask, and what the others are told.

use crate::client::{Answer, Request};
use crate::world::{Extra, Folder, PERSONAL, TOKEN, World, settings};
use metastore::key::Kind;
use serde_json::{Value, json};

const QUESTION: &str = "SELECT count(*) AS n FROM events";

fn question() -> Value {
    json!({"query": {"kind": "HogQLQuery", "query": QUESTION}})
}

/// A server with two projects of events (1 and 3) and keys of every kind.
fn world() -> World {
    let settings = settings();
    let folder = Folder::with(&settings, &[Extra::of("phc_other")]);
    let other = folder.projects[0];
    folder.add_key(Kind::Secret, "phs_first", "*", Some(vec![1]));
    folder.add_key(Kind::Secret, "phs_other", "*", Some(vec![other]));
    folder.add_key(Kind::Personal, "phx_flags_only", "feature_flag:read", None);
    folder.add_key(Kind::Personal, "phx_query_only", "query:read", None);
    assert_eq!(other, 3);
    folder.start(settings)
}

fn ask(world: &World, path: &str, key: Option<&str>) -> Answer {
    let mut request = Request::json(path, question());
    if let Some(key) = key {
        request = request.with("authorization", format!("Bearer {key}"));
    }
    world.send(&request)
}

/// Exactly the four fields of an error, in a JSON answer.
#[track_caller]
fn refused(answer: &Answer, status: u16, kind: &str, code: &str) -> Value {
    let body = answer.json();
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!((&body["type"], &body["code"]), (&kind.into(), &code.into()), "{body}");
    let keys: Vec<&String> = body.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["type", "code", "detail", "attr"]);
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    body
}

#[test]
fn keys_decide_who_may_ask_what() {
    let world = world();
    let path = "/api/projects/1/query/";
    let auth = "authentication_error";
    for (path, key, status, kind, code) in [
        (path, None, 401, auth, "not_authenticated"),
        (path, Some(""), 401, auth, "not_authenticated"),
        (path, Some("phx_wrong"), 401, auth, "authentication_failed"),
        (path, Some(TOKEN), 401, auth, "authentication_failed"),
        (path, Some("phs_other"), 403, auth, "permission_denied"),
        (path, Some("phx_flags_only"), 403, auth, "permission_denied"),
        ("/api/projects/999/query/", Some(PERSONAL), 404, "invalid_request", "not_found"),
        ("/api/projects/999/query/", None, 401, auth, "not_authenticated"),
        ("/api/projects/none/query/", Some(PERSONAL), 404, "invalid_request", "not_found"),
        ("/api/environments/1/query", Some("phs_other"), 403, auth, "permission_denied"),
    ] {
        refused(&ask(&world, path, key), status, kind, code);
    }
    for (path, key) in [
        (path, PERSONAL),
        (path, "phs_first"),
        (path, "phx_query_only"),
        ("/api/projects/1/query", PERSONAL),
        ("/api/environments/1/query/", PERSONAL),
        ("/api/projects/@current/query/", "phs_first"),
        ("/api/projects/%40current/query/", PERSONAL),
        ("/ingest/api/projects/1/query/", PERSONAL),
        ("/api/projects/3/query/", "phs_other"),
    ] {
        let answer = ask(&world, path, Some(key));
        assert_eq!(answer.status, 200, "{path} {key}: {}", answer.text());
        assert_eq!(answer.json()["results"], json!([[0]]));
    }
}

#[test]
fn a_key_is_found_in_header_body_and_query() {
    let world = world();
    let path = "/api/projects/1/query/";
    let in_body = json!({"query": question()["query"], "personal_api_key": PERSONAL});
    assert_eq!(world.send(&Request::json(path, &in_body)).status, 200);
    let in_query = format!("{path}?personal_api_key={PERSONAL}");
    assert_eq!(world.send(&Request::json(&in_query, question())).status, 200);
    // The first one counts, whatever the others are.
    let request = Request::json(path, &in_body).with("authorization", "Bearer phx_wrong");
    refused(&world.send(&request), 401, "authentication_error", "authentication_failed");
    let unauthorized = ask(&world, path, None);
    assert!(unauthorized.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")));
}

#[test]
fn current_is_the_project_of_the_key() {
    let world = world();
    let body = json!({"api_key": "phc_other", "event": "e", "distinct_id": "d"});
    assert_eq!(world.send(&Request::json("/e/", body)).status, 200);
    world.fence();
    for (key, rows) in [("phs_other", 1), ("phs_first", 0), (PERSONAL, 0)] {
        for current in ["@current", "%40current"] {
            let answer = ask(&world, &format!("/api/projects/{current}/query/"), Some(key));
            assert_eq!(answer.json()["results"], json!([[rows]]), "{key}: {}", answer.text());
        }
    }
    refused(
        &ask(&world, "/api/projects/@current/query/", None),
        401,
        "authentication_error",
        "not_authenticated",
    );
}

#[test]
fn faults_of_a_question_name_their_place() {
    let world = world();
    let send = |body: String| {
        let request = Request::json("/api/projects/1/query/", body);
        world.send(&request.with("authorization", format!("Bearer {PERSONAL}")))
    };
    let sql = |text: &str| json!({"query": {"kind": "HogQLQuery", "query": text}}).to_string();
    let kind = "validation_error";
    refused(&send("{".into()), 400, kind, "parse_error");
    assert_eq!(refused(&send("{}".into()), 400, kind, "required")["attr"], "query");
    let trends = json!({"query": {"kind": "TrendsQuery"}}).to_string();
    assert_eq!(refused(&send(trends), 400, kind, "not_implemented")["attr"], "query.kind");
    for text in [
        "SELEC 1",
        "SELECT nothing FROM events",
        "SELECT 1 FROM nowhere",
        "DROP TABLE events",
        "SELECT 1; SELECT 2",
    ] {
        let answer = send(sql(text));
        assert_eq!(answer.status, 400, "{text}: {}", answer.text());
        assert_eq!(answer.json()["type"], kind, "{text}: {}", answer.text());
    }
    let large = sql(&format!("SELECT '{}'", "x".repeat(1 << 20)));
    refused(&send(large), 413, "invalid_request", "request_too_large");
    let answer = send(sql(QUESTION)).json();
    assert_eq!((&answer["columns"], &answer["results"]), (&json!(["n"]), &json!([[0]])));
    assert_eq!((&answer["error"], &answer["hasMore"]), (&Value::Null, &json!(false)));
}

#[test]
fn what_is_not_there_says_so_in_the_shape_of_the_api() {
    let world = world();
    let kind = "invalid_request";
    for (method, path, status, code) in [
        ("GET", "/api/projects/1/query/", 405, "method_not_allowed"),
        ("DELETE", "/api/environments/1/query", 405, "method_not_allowed"),
        ("GET", "/api/projects/1/insights/", 404, "not_found"),
        ("PATCH", "/api/projects/1/feature_flags/1/", 404, "not_found"),
        ("GET", "/api/users/%40me/", 404, "not_found"),
        ("POST", "/ingest/api/projects/1/query/HogQLQuery/", 404, "not_found"),
    ] {
        refused(&world.send(&Request::new(method, path)), status, kind, code);
    }
}
