//! Table care of a running server: commands, retention, and persons who are forgotten.

use crate::client::Request;
use crate::world::{Extra, Folder, PERSONAL, TOKEN, World, block_on, eventually, settings};
use metastore::Metastore;
use metastore::erasure::Stage;
use metastore::key::Kind;
use serde_json::{Value, json};
use std::path::Path;

/// Asks with a key; gives the lines of the answer.
#[track_caller]
fn ask(world: &World, path: &str, body: &Value, key: &str) -> Vec<Value> {
    let answer = world.send(&Request::json(path, body).with("authorization", format!("Bearer {key}")));
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text().lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[track_caller]
fn command(world: &World, body: &Value) -> Vec<Value> {
    ask(world, "/api/care/", body, PERSONAL)
}

#[track_caller]
fn erase(world: &World, id: &str) -> Value {
    let lines = ask(world, "/api/projects/1/erasures/", &json!({"distinct_ids": [id]}), PERSONAL);
    assert_eq!(lines.last().expect("lines")["line"], "done", "{lines:?}");
    lines[lines.len() - 2]["state"].clone()
}

fn event(name: &str, id: &str, properties: &Value) -> Value {
    json!({"event": name, "distinct_id": id, "properties": properties})
}

/// Two persons: ann, who was anon before, and bob. Both were recorded, too.
fn two_persons(world: &World) {
    world.batch(&json!([
        event("before", "anon", &json!({"$set": {"plan": "pro"}})),
        event("$identify", "ann", &json!({"$anon_distinct_id": "anon"})),
        event("seen", "bob", &json!({"$set": {"plan": "free"}})),
        event("$groupidentify", "ann", &json!({"$group_type": "company", "$group_key": "acme"})),
    ]));
    for (session, id) in [("session-ann", "ann"), ("session-bob", "bob")] {
        let item = json!({"type": 2, "timestamp": 1_795_176_000_000_i64, "data": {"who": id}});
        let properties =
            json!({"distinct_id": id, "token": TOKEN, "$session_id": session, "$snapshot_data": [item]});
        let body = json!([{"event": "$snapshot", "properties": properties}]);
        assert_eq!(world.send(&Request::json("/s/", body)).status, 200);
    }
    world.fence();
}

/// Rows of every table that tell of ann or anon.
#[track_caller]
fn traces(world: &World) -> Vec<u64> {
    let person = "select person_id from person_distinct_ids where distinct_id in ('ann', 'anon')";
    [
        "select count(*) from events where distinct_id in ('ann', 'anon')".to_owned(),
        format!("select count(*) from persons where id in ({person}) or properties like '%pro%'"),
        "select count(*) from person_distinct_ids where distinct_id in ('ann', 'anon')".to_owned(),
        "select count(*) from session_replay_blocks where distinct_id in ('ann', 'anon')".to_owned(),
    ]
    .map(|sql| world.count(&sql))
    .to_vec()
}

fn bytes_below(folder: &Path, found: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => bytes_below(&path, found),
            false => found.extend(std::fs::read(path).expect("read")),
        }
    }
}

#[test]
fn a_person_is_forgotten_everywhere_and_may_come_back() {
    let world = World::plain();
    two_persons(&world);
    assert!(traces(&world).iter().all(|count| *count > 0), "{:?}", traces(&world));
    // Nothing was committed yet: forgetting does that first.
    let state = erase(&world, "ann");
    assert_eq!((state["stage"].as_str(), state["project"].as_i64()), (Some("erased"), Some(1)), "{state}");
    assert!(state["bytes_remain_until"].as_str().is_some_and(|until| until > "2026-11-20T12:10"), "{state}");
    assert_eq!(state["tables"]["events"]["rows erased"], 3, "{state}");
    assert_eq!(traces(&world), [0, 0, 0, 0]);
    assert_eq!(world.count("select count(*) from events where distinct_id = 'bob'"), 1);
    assert_eq!(world.count("select count(*) from session_replay_blocks"), 1);
    assert_eq!(world.count("select count(*) from groups"), 1, "a group is nobody");
    // The same id again is somebody else, and erasing somebody else does not touch them.
    world.batch(&json!([event("after", "ann", &json!({"$set": {"color": "red"}}))]));
    world.fence();
    let erased = erase(&world, "nobody");
    assert_eq!(erased["tables"]["events"]["rows erased"], 0);
    let persons = world.ask(1, "select properties from persons where properties like '%red%'");
    assert!(persons.len() == 1 && !persons[0][0].to_string().contains("pro"), "{persons:?}");
    // Old snapshots have the rows until they expire; then no file of a table has them.
    let lines = command(&world, &json!({"action": "expire", "grace_seconds": 0}));
    assert_eq!(lines.last().expect("lines")["line"], "done");
    let request =
        Request::new("GET", "/api/projects/1/erasures").with("authorization", format!("Bearer {PERSONAL}"));
    let listed = world.send(&request).json()["results"].clone();
    assert_eq!(listed.as_array().expect("a list").len(), 2);
    assert!(!listed.to_string().contains("ann"), "a request does not remember whom it was about");
    let folder = world.stop();
    let blocks = folder.dir.path().join("warehouse/session_replay");
    let mut bytes = Vec::new();
    bytes_below(&blocks, &mut bytes);
    assert!(bytes.iter().any(|byte| *byte != 0), "bob's recording is there");
    let files = std::fs::read_dir(folder.dir.path().join("warehouse/tenrec/session_replay_blocks/data"));
    assert!(files.is_ok());
    let store = folder.metastore();
    let store: &dyn Metastore = &store;
    let find = metastore::person::Find::DistinctId("anon".to_owned());
    assert!(block_on(store.person(event::ProjectId(1), find)).expect("read").is_none());
}

#[test]
fn an_erasure_that_was_cut_off_is_done_by_the_next_start() {
    let world = World::plain();
    two_persons(&world);
    let folder = world.kill();
    let store = folder.metastore();
    let store: &dyn Metastore = &store;
    let now = crate::world::NOW.parse().expect("a time");
    let asked =
        block_on(store.ask_erasure(event::ProjectId(1), &["anon".to_owned()].into(), &[].into(), now));
    let id = asked.expect("asked").id;
    let stage = || block_on(store.erasure(id)).expect("read").expect("there").stage;
    let world = folder.start(settings());
    eventually("the erasure is done", || stage() == Stage::Erased);
    assert_eq!(traces(&world), [0, 0, 0, 0]);
    assert_eq!(world.count("select count(*) from events where distinct_id = 'bob'"), 1);
    drop(world);
}

#[test]
fn commands_are_done_and_told_line_by_line() {
    let folder = Folder::with(&settings(), &[]);
    folder.add_key(Kind::Personal, "phx_reads", "warehouse_table:read", None);
    let world = folder.start(settings());
    for number in 0..3 {
        world.batch(&json!([event("seen", &format!("user-{number}"), &json!({}))]));
        world.fence();
        // Forgetting commits what was there before.
        erase(&world, "nobody");
    }
    let lines = command(&world, &json!({"action": "compact", "table": "events", "all": true}));
    let figures = &lines[lines.len() - 2]["figures"];
    assert_eq!((figures["files merged"].as_u64(), figures["into"].as_u64()), (Some(6), Some(2)), "{lines:?}");
    assert!(
        lines.iter().any(|line| line["line"] == "progress" && line["done"] == line["total"]),
        "{lines:?}"
    );
    let lines = command(&world, &json!({"action": "stats"}));
    assert_eq!(lines.len(), 9, "a line per table and the end");
    let lines = command(&world, &json!({"action": "orphans", "hours": 0, "dry_run": true}));
    assert_eq!(lines.last().expect("lines")["line"], "done");
    let lines = command(&world, &json!({"action": "retain", "table": "events", "days": 1}));
    assert_eq!(lines[0]["figures"]["rows dropped"], 0, "{lines:?}");
    // What cannot be done is told in the last line, what cannot be asked in the status.
    let lines = command(&world, &json!({"action": "retain", "table": "persons", "days": 1}));
    let told = lines.last().expect("lines");
    assert!(told["line"] == "failed" && told["detail"].to_string().contains("no retention"), "{told}");
    let send = |key: &str, body: Value| {
        world.send(&Request::json("/api/care", body).with("authorization", format!("Bearer {key}"))).status
    };
    assert_eq!(send(PERSONAL, json!({"action": "drop"})), 400);
    assert_eq!(send("phx_reads", json!({"action": "stats"})), 200);
    assert_eq!(send("phx_reads", json!({"action": "compact"})), 403);
}

#[test]
fn old_days_go_by_themselves_where_a_project_says_so() {
    let mut settings = settings();
    settings.ingest.commit_seconds = 1;
    settings.care.every_seconds = 1;
    settings.care.grace_seconds = 1;
    settings.care.retention_events_days = 30;
    let mut other = Extra::of("phc_other");
    other.settings.retention_events_days = Some(0);
    let folder = Folder::with(&settings, &[other]);
    let forever = folder.projects[0];
    let world = folder.start(settings);
    for (key, days) in [(TOKEN, ["2026-10-01", "2026-11-19"]), ("phc_other", ["2026-10-01", "2026-11-19"])] {
        for day in days {
            let body = json!({"api_key": key, "event": "e", "distinct_id": "d", "timestamp": format!("{day}T10:00:00Z")});
            assert_eq!(world.send(&Request::json("/e/", body)).status, 200);
        }
    }
    world.fence();
    let count = |project| world.ask(project, "select count(*) from events")[0][0].as_u64();
    eventually("the old day is dropped", || count(1) == Some(1));
    assert_eq!(count(forever), Some(2), "0 is for ever, whatever the server says");
    let freed = "tenrec_table_freed_bytes_total{table=\"events\",work=\"expire\"}";
    let metrics = || world.send(&Request::new("GET", "/metrics")).text();
    eventually("its file is freed", || {
        metrics().lines().any(|line| line.starts_with(freed) && !line.ends_with(" 0"))
    });
}
