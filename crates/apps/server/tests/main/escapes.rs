//! Statements that reach for files, networks, system tables or another project's rows, sent as its clients send them.

use crate::client::{Connection, Request};
use crate::world::{Extra, Folder, World, settings};
use metastore::key::Kind;
use serde_json::json;

const REFUSED: &str = include_str!("../../../../../fixtures/query/refused.txt");
const OTHER_PROJECT: &str = include_str!("../../../../../fixtures/query/other-project.txt");

fn world() -> World {
    let settings = settings();
    let folder = Folder::with(&settings, &[Extra::of("phc_other")]);
    folder.add_key(Kind::Personal, "phx_own", "query:read", Some(vec![1]));
    let world = folder.start(settings);
    let secret = json!({"api_key": "phc_other", "event": "SECRET", "distinct_id": "SECRET"});
    assert_eq!(world.send(&Request::json("/e/", secret)).status, 200);
    world.batch(&json!([{"event": "own", "distinct_id": "d", "properties": {"$browser": "Firefox"}}]));
    world.fence();
    world
}

fn ask(connection: &mut Connection, sql: &str) -> (u16, String) {
    let question = json!({"query": {"kind": "HogQLQuery", "query": sql}});
    let request = Request::json("/api/projects/1/query/", question).with("authorization", "Bearer phx_own");
    let answer = connection.send(&request).unwrap_or_else(|error| panic!("{sql}: {error}"));
    (answer.status, answer.text())
}

#[test]
fn no_statement_leaves_its_project() {
    let world = world();
    let mut connection = world.connect();
    assert!(REFUSED.lines().count() + OTHER_PROJECT.lines().count() >= 200);
    for sql in REFUSED.lines() {
        let (status, said) = ask(&mut connection, sql);
        assert_eq!(status, 400, "{sql}: {said}");
    }
    for sql in OTHER_PROJECT.lines() {
        let (status, said) = ask(&mut connection, sql);
        assert!(matches!(status, 200 | 400), "{sql}: {status} {said}");
    }
    for sql in REFUSED.lines().chain(OTHER_PROJECT.lines()) {
        // The answer repeats the question, which may name what it looks for.
        let (_, said) = ask(&mut connection, sql);
        let said = said.replace(&json!(sql).to_string(), "");
        for secret in ["SECRET", "root:x:", "daemon:", "phx_own", "phc_other"] {
            assert!(sql.contains(secret) || !said.contains(secret), "{sql} shows {secret}: {said}");
        }
    }
    assert_eq!(ask(&mut connection, "SELECT DISTINCT event FROM events").1.matches("own").count(), 1);
}
