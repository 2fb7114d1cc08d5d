//! The Iceberg REST catalog: every route, what it answers, and to whom.

use crate::client::{Answer, Request};
use crate::signature::gzip;
use crate::world::{Folder, PERSONAL, TOKEN, World, eventually, settings};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use metastore::key::Kind;
use serde_json::{Value, json};

const LAB: &str = "/iceberg/v1/namespaces/lab";
const EVENTS: &str = "/iceberg/v1/namespaces/tenrec/tables/events";

/// A server with some events in its tables, and keys of every kind.
fn world() -> World {
    let mut settings = settings();
    settings.ingest.commit_seconds = 1;
    let folder = Folder::with(&settings, &[]);
    folder.add_key(Kind::Secret, "phs_first", "*", Some(vec![1]));
    folder.add_key(Kind::Personal, "phx_one_project", "*", Some(vec![1]));
    folder.add_key(Kind::Personal, "phx_both_projects", "*", Some(vec![1, 2]));
    folder.add_key(Kind::Personal, "phx_query_only", "query:read", None);
    folder.add_key(Kind::Personal, "phx_reads", "warehouse_table:read", None);
    folder.add_key(Kind::Personal, "phx_writes", "warehouse_table:write", None);
    folder.start(settings)
}

fn request(method: &str, path: &str, body: Option<Value>) -> Request {
    let request = match body {
        Some(body) => Request { method: method.into(), ..Request::json(path, body) },
        None => Request::new(method, path),
    };
    request.with("authorization", format!("Bearer {PERSONAL}"))
}

fn ask(world: &World, method: &str, path: &str, body: Option<Value>) -> Answer {
    world.send(&request(method, path, body))
}

#[track_caller]
fn good(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    answer.json()
}

/// The error model of the specification: one object, three fields, the status among them.
#[track_caller]
fn refused(answer: &Answer, status: u16, kind: &str) -> String {
    let body = answer.json();
    assert_eq!((answer.status, &body["error"]["type"]), (status, &json!(kind)), "{}", answer.text());
    assert_eq!(body["error"]["code"], status, "{body}");
    let keys: Vec<&String> = body["error"].as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["message", "type", "code"]);
    let message = body["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(!message.is_empty());
    message
}

fn table(name: &str) -> Value {
    let fields = json!([{"id": 1, "name": "a", "type": "long", "required": false}]);
    json!({"name": name, "schema": {"type": "struct", "schema-id": 0, "fields": fields}})
}

fn set(key: &str, value: &str) -> Value {
    json!({"requirements": [], "updates": [{"action": "set-properties", "updates": {key: value}}]})
}

#[test]
fn only_keys_of_all_projects_see_the_tables() {
    let world = world();
    let as_key = |key: &str, method: &str, path: &str, body: Option<Value>| {
        let mut request = request(method, path, body);
        request.headers.retain(|(name, _)| name != "authorization");
        if !key.is_empty() {
            request = request.with("authorization", format!("Bearer {key}"));
        }
        world.send(&request)
    };
    let routes: [(&str, String, Option<Value>); 20] = [
        ("GET", "/iceberg/v1/config".into(), None),
        ("GET", "/iceberg/v1/namespaces".into(), None),
        ("GET", LAB.into(), None),
        ("GET", format!("{LAB}/tables"), None),
        ("GET", EVENTS.into(), None),
        ("GET", format!("{EVENTS}/credentials"), None),
        ("GET", format!("{LAB}/views"), None),
        ("GET", format!("{LAB}/views/v"), None),
        ("POST", format!("{EVENTS}/metrics"), Some(json!({}))),
        ("POST", "/iceberg/v1/namespaces".into(), Some(json!({"namespace": ["lab"]}))),
        ("POST", format!("{LAB}/properties"), Some(json!({}))),
        ("POST", format!("{LAB}/tables"), Some(table("t"))),
        ("POST", format!("{LAB}/register"), Some(json!({"name": "t", "metadata-location": "x"}))),
        ("POST", EVENTS.into(), Some(set("a", "b"))),
        ("POST", "/iceberg/v1/tables/rename".into(), Some(json!({}))),
        ("POST", "/iceberg/v1/transactions/commit".into(), Some(json!({"table-changes": []}))),
        ("POST", format!("{LAB}/views"), Some(json!({}))),
        ("DELETE", EVENTS.into(), None),
        ("DELETE", LAB.into(), None),
        ("GET", "/iceberg/v1/tenrec/namespaces".into(), None),
    ];
    for (method, path, body) in &routes {
        for (key, status, kind, said) in [
            ("", 401, "NotAuthorizedException", "phx_"),
            ("phx_wrong", 401, "NotAuthorizedException", "keys create"),
            (TOKEN, 401, "NotAuthorizedException", "keys create"),
            ("phs_first", 403, "ForbiddenException", "all projects"),
            ("phx_one_project", 403, "ForbiddenException", "all projects"),
            ("phx_both_projects", 403, "ForbiddenException", "all projects"),
            ("phx_query_only", 403, "ForbiddenException", "warehouse_table:"),
        ] {
            let answer = as_key(key, method, path, body.clone());
            let message = refused(&answer, status, kind);
            assert!(message.contains(said), "{method} {path} {key}: {message}");
        }
        let reads = as_key("phx_reads", method, path, body.clone());
        let is_read = *method == "GET" || path.ends_with("/metrics");
        assert_eq!(reads.status == 403, !is_read, "{method} {path}: {}", reads.text());
    }
    good(&as_key("phx_writes", "POST", "/iceberg/v1/namespaces", Some(json!({"namespace": ["lab"]}))), 200);
    good(&as_key("phx_writes", "GET", EVENTS, None), 200);
    let unauthorized = as_key("", "GET", EVENTS, None);
    assert!(unauthorized.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")));
    assert_eq!(as_key("", "HEAD", EVENTS, None).status, 401);
}

#[test]
fn a_key_is_exchanged_for_a_token() {
    let world = world();
    let post = |form: &str| {
        let request = Request::post("/iceberg/v1/oauth/tokens", form);
        world.send(&request.with("content-type", "application/x-www-form-urlencoded"))
    };
    let token =
        good(&post(&format!("grant_type=client_credentials&client_id=x&client_secret={PERSONAL}")), 200);
    assert_eq!((&token["access_token"], &token["token_type"]), (&json!(PERSONAL), &json!("bearer")));
    let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=";
    assert_eq!(good(&post(&format!("{exchange}{PERSONAL}")), 200)["access_token"], PERSONAL);
    let basic = Request::post("/iceberg/v1/oauth/tokens", "grant_type=client_credentials")
        .with("authorization", format!("Basic {}", BASE64_STANDARD.encode(format!("x:{PERSONAL}"))));
    assert_eq!(good(&world.send(&basic), 200)["access_token"], PERSONAL);
    for (form, status, error) in [
        ("grant_type=client_credentials&client_secret=phx_wrong", 401, "invalid_client"),
        ("grant_type=client_credentials", 401, "invalid_client"),
        ("grant_type=client_credentials&client_secret=phs_first", 400, "unauthorized_client"),
        ("grant_type=client_credentials&client_secret=phx_query_only", 400, "unauthorized_client"),
        ("grant_type=password", 400, "unsupported_grant_type"),
        ("", 400, "unsupported_grant_type"),
        ("grant_type=a&grant_type=b", 400, "invalid_request"),
    ] {
        let body = good(&post(form), status);
        assert_eq!(body["error"], error, "{form}: {body}");
        assert!(body["error_description"].as_str().is_some_and(|text| !text.is_empty()));
    }
}

#[test]
fn a_client_learns_what_is_served() {
    let world = World::plain();
    for query in ["", "?warehouse=", "?warehouse=tenrec"] {
        let config = good(&ask(&world, "GET", &format!("/iceberg/v1/config{query}"), None), 200);
        assert_eq!((&config["overrides"], &config["defaults"]), (&json!({}), &json!({})));
        let endpoints = config["endpoints"].as_array().expect("a list");
        for endpoint in endpoints.iter().filter_map(Value::as_str) {
            let (method, path) = endpoint.split_once(' ').expect("a method and a path");
            let names = [("{prefix}/", ""), ("{namespace}", "n"), ("{table}", "t"), ("{view}", "v")];
            let path =
                names.iter().fold(format!("/iceberg{path}"), |path, (from, to)| path.replace(from, to));
            let answer = ask(&world, method, &path, Some(json!({})));
            assert!(!matches!(answer.status, 405), "{endpoint}: {}", answer.text());
            assert!(!answer.text().contains("Nothing answers here"), "{endpoint}");
        }
    }
    refused(&ask(&world, "GET", "/iceberg/v1/config?warehouse=other", None), 404, "NoSuchWarehouseException");
    for path in ["/iceberg/v1", "/iceberg/v1/nothing", "/iceberg/v2/config", "/iceberg/v1/other/namespaces"] {
        refused(&ask(&world, "GET", path, None), 404, "NotFoundException");
    }
    refused(&ask(&world, "PUT", "/iceberg/v1/namespaces", None), 405, "BadRequestException");
    refused(&ask(&world, "PATCH", EVENTS, None), 405, "BadRequestException");
    // Below the server's own prefix, and with the catalog's.
    for path in ["/ingest/iceberg/v1/namespaces/", "/iceberg/v1/tenrec/namespaces"] {
        assert_eq!(good(&ask(&world, "GET", path, None), 200)["namespaces"], json!([["tenrec"]]), "{path}");
    }
    assert!(ask(&world, "GET", "/iceberg/v1/config", None).header("access-control-allow-origin").is_none());
}

#[test]
fn namespaces_live_their_life() {
    let world = World::plain();
    let (top, kind) = ("/iceberg/v1/namespaces", "NoSuchNamespaceException");
    for (method, path) in [("GET", LAB), ("DELETE", LAB), ("GET", "/iceberg/v1/namespaces?parent=lab")] {
        refused(&ask(&world, method, path, None), 404, kind);
    }
    assert_eq!(ask(&world, "HEAD", LAB, None).status, 404);
    let lab = json!({"namespace": ["lab"], "properties": {"owner": "me"}});
    assert_eq!(good(&ask(&world, "POST", top, Some(lab.clone())), 200), lab);
    refused(&ask(&world, "POST", top, Some(lab.clone())), 409, "AlreadyExistsException");
    good(&ask(&world, "POST", top, Some(json!({"namespace": ["lab", "deep"]}))), 200);
    assert_eq!(good(&ask(&world, "GET", LAB, None), 200), lab);
    assert_eq!(ask(&world, "HEAD", LAB, None).status, 204);
    let list =
        |query: &str| good(&ask(&world, "GET", &format!("{top}{query}"), None), 200)["namespaces"].clone();
    assert_eq!(list(""), json!([["lab"], ["tenrec"]]));
    assert_eq!(list("?parent=lab"), json!([["lab", "deep"]]));
    // A client that walks the tree must come to an end.
    assert_eq!((list("?parent=tenrec"), list("?parent=lab%1Fdeep")), (json!([]), json!([])));
    let page = good(&ask(&world, "GET", &format!("{top}?pageToken=&pageSize=1"), None), 200);
    assert_eq!(page, json!({"namespaces": [["lab"]], "next-page-token": "lab"}));
    let page = good(&ask(&world, "GET", &format!("{top}?pageToken=lab&pageSize=1"), None), 200);
    assert_eq!(page, json!({"namespaces": [["tenrec"]], "next-page-token": null}));
    refused(&ask(&world, "GET", &format!("{top}?pageSize=0"), None), 400, "BadRequestException");

    let change = json!({"removals": ["owner", "gone"], "updates": {"a": "1"}});
    let done = good(&ask(&world, "POST", &format!("{LAB}/properties"), Some(change)), 200);
    assert_eq!(done, json!({"updated": ["a"], "removed": ["owner"], "missing": ["gone"]}));
    let both = json!({"removals": ["a"], "updates": {"a": "1"}});
    refused(&ask(&world, "POST", &format!("{LAB}/properties"), Some(both)), 400, "BadRequestException");
    let none = ask(&world, "POST", &format!("{top}/none/properties"), Some(json!({})));
    refused(&none, 404, kind);

    for body in [
        json!({"namespace": []}),
        json!({"namespace": [""]}),
        json!({"namespace": ["a/b"]}),
        json!({}),
        json!([]),
    ] {
        refused(&ask(&world, "POST", top, Some(body)), 400, "BadRequestException");
    }
    for name in ["tenrec", "session_replay"] {
        refused(&ask(&world, "POST", top, Some(json!({"namespace": [name]}))), 403, "ForbiddenException");
    }
    refused(&ask(&world, "DELETE", &format!("{top}/tenrec"), None), 403, "ForbiddenException");
    refused(&ask(&world, "DELETE", LAB, None), 409, "NamespaceNotEmptyException");
    assert_eq!(ask(&world, "DELETE", &format!("{LAB}%1Fdeep"), None).status, 204);
    assert_eq!(ask(&world, "DELETE", LAB, None).status, 204);
    assert_eq!(list(""), json!([["tenrec"]]));
}

#[test]
fn tables_of_others_live_their_life() {
    let world = World::plain();
    let tables = format!("{LAB}/tables");
    let (bad, none) = ("BadRequestException", "NoSuchTableException");
    refused(&ask(&world, "GET", &tables, None), 404, "NoSuchNamespaceException");
    refused(&ask(&world, "POST", &tables, Some(table("t"))), 404, "NoSuchNamespaceException");
    good(&ask(&world, "POST", "/iceberg/v1/namespaces", Some(json!({"namespace": ["lab"]}))), 200);
    let made = good(&ask(&world, "POST", &tables, Some(table("t"))), 200);
    assert_eq!((&made["config"], &made["metadata"]["format-version"]), (&json!({}), &json!(2)));
    refused(&ask(&world, "POST", &tables, Some(table("t"))), 409, "AlreadyExistsException");
    for body in [table("a/b"), table(""), json!({"name": "u"}), json!({"name": "u", "schema": 1})] {
        refused(&ask(&world, "POST", &tables, Some(body)), 400, bad);
    }
    let mut elsewhere = table("u");
    elsewhere["location"] = "file:///tmp".into();
    refused(&ask(&world, "POST", &tables, Some(elsewhere)), 400, bad);
    let mut staged = table("u");
    staged["stage-create"] = true.into();
    let staged = good(&ask(&world, "POST", &tables, Some(staged)), 200);
    assert!(staged.get("metadata-location").is_none() && staged["metadata"]["location"].is_string());
    let listed = good(&ask(&world, "GET", &tables, None), 200);
    assert_eq!(listed["identifiers"], json!([{"namespace": ["lab"], "name": "t"}]));

    let t = format!("{tables}/t");
    assert_eq!(
        (ask(&world, "HEAD", &t, None).status, ask(&world, "HEAD", &format!("{tables}/x"), None).status),
        (204, 404)
    );
    for method in ["GET", "DELETE"] {
        refused(&ask(&world, method, &format!("{tables}/x"), None), 404, none);
    }
    refused(&ask(&world, "POST", &format!("{tables}/x"), Some(set("a", "b"))), 404, none);
    let changed = good(&ask(&world, "POST", &t, Some(set("a", "b"))), 200);
    assert_eq!(changed["metadata"]["properties"]["a"], "b");
    assert_ne!(changed["metadata-location"], made["metadata-location"]);
    let must = |requirement: Value| json!({"requirements": [requirement], "updates": []});
    let other = must(json!({"type": "assert-table-uuid", "uuid": "0199f2a1-7a54-7b3c-9d2e-000000000001"}));
    refused(&ask(&world, "POST", &t, Some(other)), 409, "CommitFailedException");
    refused(
        &ask(&world, "POST", &t, Some(must(json!({"type": "assert-create"})))),
        409,
        "AlreadyExistsException",
    );
    for body in [
        must(json!({"type": "assert-nothing-known"})),
        json!({"updates": [{"action": "nothing-known"}]}),
        json!({"updates": [{"action": "set-current-schema", "schema-id": 99}]}),
        json!({"identifier": {"namespace": ["lab"], "name": "x"}, "updates": []}),
    ] {
        refused(&ask(&world, "POST", &t, Some(body)), 400, bad);
    }
    let transaction = |changes: Value| {
        ask(&world, "POST", "/iceberg/v1/transactions/commit", Some(json!({"table-changes": changes})))
    };
    let mut one = set("c", "d");
    one["identifier"] = json!({"namespace": ["lab"], "name": "t"});
    assert_eq!(transaction(json!([one])).status, 204);
    for changes in [json!([one, one]), json!([]), json!([set("a", "b")])] {
        refused(&transaction(changes), 400, bad);
    }
}

#[test]
fn tables_of_others_are_renamed_registered_and_dropped() {
    let world = World::plain();
    let tables = format!("{LAB}/tables");
    let (bad, none) = ("BadRequestException", "NoSuchTableException");
    good(&ask(&world, "POST", "/iceberg/v1/namespaces", Some(json!({"namespace": ["lab"]}))), 200);
    good(&ask(&world, "POST", &tables, Some(table("t"))), 200);
    good(&ask(&world, "POST", &format!("{tables}/t"), Some(set("a", "b"))), 200);
    let renaming = |to: &str| {
        let (from, to) =
            (json!({"namespace": ["lab"], "name": "t"}), json!({"namespace": [to], "name": "u"}));
        ask(&world, "POST", "/iceberg/v1/tables/rename", Some(json!({"source": from, "destination": to})))
    };
    refused(&renaming("none"), 404, "NoSuchNamespaceException");
    refused(&renaming("tenrec"), 403, "ForbiddenException");
    assert_eq!(renaming("lab").status, 204);
    refused(&renaming("lab"), 404, none);
    let u = format!("{tables}/u");
    let loaded = good(&ask(&world, "GET", &u, None), 200);
    assert_eq!(loaded["metadata"]["properties"], json!({"a": "b"}));

    let register = |at: &Value| {
        let body = json!({"name": "again", "metadata-location": at});
        ask(&world, "POST", &format!("{LAB}/register"), Some(body))
    };
    refused(&register(&json!("file:///etc/passwd")), 400, bad);
    refused(&register(&loaded["metadata-location"]), 409, "AlreadyExistsException");
    assert_eq!(ask(&world, "DELETE", &u, None).status, 204);
    assert_eq!(good(&register(&loaded["metadata-location"]), 200)["metadata"], loaded["metadata"]);
    refused(&ask(&world, "DELETE", &format!("{tables}/again?purgeRequested=maybe"), None), 400, bad);
    assert_eq!(ask(&world, "DELETE", &format!("{tables}/again?purgeRequested=true"), None).status, 204);
    let folder =
        loaded["metadata"]["location"].as_str().and_then(|at| at.strip_prefix("file://")).expect("a folder");
    assert!(!std::path::Path::new(folder).exists());

    assert_eq!(good(&ask(&world, "GET", &format!("{LAB}/views"), None), 200)["identifiers"], json!([]));
    refused(&ask(&world, "GET", "/iceberg/v1/namespaces/none/views", None), 404, "NoSuchNamespaceException");
    refused(&ask(&world, "GET", &format!("{LAB}/views/v"), None), 404, "NoSuchViewException");
    assert_eq!(ask(&world, "HEAD", &format!("{LAB}/views/v"), None).status, 404);
    refused(
        &ask(&world, "POST", &format!("{LAB}/views"), Some(json!({}))),
        406,
        "UnsupportedOperationException",
    );
}

#[test]
fn our_tables_are_loaded_and_left_whole() {
    let world = world();
    for number in 0..3 {
        world.batch(&json!([{"event": "e", "distinct_id": format!("d{number}")}]));
        eventually("it is committed", || {
            let loaded = ask(&world, "GET", EVENTS, None).json();
            loaded["metadata"]["snapshots"].as_array().is_some_and(|all| all.len() > number)
        });
    }
    let answer = ask(&world, "GET", EVENTS, None);
    let loaded = good(&answer, 200);
    assert!(loaded["metadata-location"].as_str().is_some_and(|at| at.starts_with("file:///")));
    assert!(loaded["metadata"]["snapshots"].as_array().is_some_and(|all| all.len() >= 3));
    let tag = answer.header("etag").expect("a validator");
    let again = world.send(&request("GET", EVENTS, None).with("if-none-match", &tag));
    assert_eq!((again.status, again.body.len()), (304, 0));
    let refs = ask(&world, "GET", &format!("{EVENTS}?snapshots=refs"), None);
    assert_ne!(refs.header("etag"), Some(tag));
    let named = good(&refs, 200);
    let snapshots = named["metadata"]["snapshots"].as_array().expect("snapshots").clone();
    assert_eq!(snapshots.len(), 1);
    assert_eq!(snapshots[0]["snapshot-id"], named["metadata"]["current-snapshot-id"]);
    refused(&ask(&world, "GET", &format!("{EVENTS}?snapshots=some"), None), 400, "BadRequestException");
    let given = good(&ask(&world, "GET", &format!("{EVENTS}/credentials"), None), 200);
    assert_eq!(given, json!({"storage-credentials": []}));
    let report = json!({"report-type": "scan-report", "table-name": "events", "snapshot-id": 1});
    assert_eq!(ask(&world, "POST", &format!("{EVENTS}/metrics"), Some(report.clone())).status, 204);
    let nowhere = ask(&world, "POST", "/iceberg/v1/namespaces/tenrec/tables/none/metrics", Some(report));
    refused(&nowhere, 404, "NoSuchTableException");

    good(&ask(&world, "POST", EVENTS, Some(set("owner", "me"))), 200);
    let message = refused(
        &ask(&world, "POST", EVENTS, Some(set("tenrec.log-offset", "99"))),
        400,
        "BadRequestException",
    );
    assert!(message.contains("tenrec.log-offset"), "{message}");
    refused(
        &ask(&world, "DELETE", &format!("{EVENTS}?purgeRequested=true"), None),
        403,
        "ForbiddenException",
    );
    let tables = "/iceberg/v1/namespaces/tenrec/tables";
    refused(&ask(&world, "POST", tables, Some(table("t"))), 403, "ForbiddenException");
    world.batch(&json!([{"event": "e", "distinct_id": "after"}]));
    world.fence();
    assert_eq!(world.count("SELECT count(*) FROM events"), 4);
}

#[test]
fn bodies_are_bounded() {
    let world = World::tuned(|settings| settings.server.body_timeout_ms = 200);
    let path = "/iceberg/v1/namespaces";
    let large = json!({"namespace": ["x".repeat(4 << 20)]});
    refused(&ask(&world, "POST", path, Some(large)), 413, "BadRequestException");
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for body in [deep.into_bytes(), b"{".to_vec(), Vec::new(), gzip(b"{}")] {
        let mut request = request("POST", path, None);
        request.body = Some(body);
        refused(&world.send(&request), 400, "BadRequestException");
    }
    let mut connection = world.connect();
    let head = request("POST", path, None).head(Some(100));
    connection.write(format!("{head}{{").as_bytes()).expect("sent");
    refused(&connection.read().expect("an answer"), 408, "BadRequestException");
}
