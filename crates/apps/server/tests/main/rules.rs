//! What a project's restrictions and quotas do to events that were accepted.

use crate::client::Request;
use crate::signature::v1;
use crate::world::{Extra, Folder, NOW, TOKEN, World, block_on, eventually, settings};
use event::Resource;
use metastore::project::{self, Action, Restriction};
use metastore::{Metastore, NewKey, NewProject};
use serde_json::{Value, json};
use server::settings::TokenMode;

fn restriction(action: Action, event: &str) -> Restriction {
    Restriction {
        action,
        tokens: Vec::new(),
        distinct_ids: Vec::new(),
        session_ids: Vec::new(),
        events: vec![event.to_owned()],
        uuids: Vec::new(),
    }
}

/// A server with one more project, number 3.
fn world(extra: Extra) -> World {
    let settings = settings();
    Folder::with(&settings, &[extra]).start(settings)
}

fn texts(rows: &[Vec<Value>]) -> Vec<&str> {
    let mut all: Vec<&str> = rows.iter().map(|row| row[0].as_str().expect("text")).collect();
    all.sort_unstable();
    all
}

#[test]
fn restrictions_work_on_accepted_events() {
    let restrictions = vec![
        restriction(Action::DropEvent, "dropped"),
        restriction(Action::RedirectToDlq, "put aside"),
        restriction(Action::SkipPersonProcessing, "nobody"),
    ];
    let world = world(Extra { restrictions, ..Extra::of("phc_strict") });
    let batch: Vec<Value> = ["dropped", "put aside", "nobody", "free"]
        .iter()
        .map(|event| json!({"event": event, "distinct_id": event}))
        .collect();
    let body = json!({"api_key": "phc_strict", "batch": batch});
    assert_eq!(world.send(&Request::json("/batch/", body)).status, 200);
    world.fence();
    assert_eq!(texts(&world.ask(3, "SELECT event FROM events")), ["free", "nobody"]);
    assert_eq!(texts(&world.ask(3, "SELECT distinct_id FROM person_distinct_ids")), ["free"]);
    let aside = world.ask(3, "SELECT event, distinct_id, payload FROM dead_letter");
    assert_eq!(texts(&aside), ["put aside"]);
    assert!(aside[0][2].as_str().is_some_and(|payload| payload.contains("put aside")), "{aside:?}");
    let mode = world.ask(3, "SELECT person_mode FROM events WHERE event = 'nobody'");
    assert_eq!(mode, [["propertyless"]]);
}

#[test]
fn a_project_without_persons_has_none() {
    let switches = project::Settings { person_processing_opt_out: true, ..project::Settings::default() };
    let world = world(Extra { settings: switches, ..Extra::of("phc_nobody") });
    let body = json!({"api_key": "phc_nobody", "event": "e", "distinct_id": "d", "$set": {"a": 1}});
    assert_eq!(world.send(&Request::json("/e/", body)).status, 200);
    world.fence();
    assert_eq!(world.ask(3, "SELECT count(*) FROM events"), [[1]]);
    assert_eq!(world.ask(3, "SELECT count(*) FROM persons"), [[0]]);
}

#[test]
fn quotas_take_their_own_events_only() {
    let names = ["viewed", "$exception", "survey sent", "$ai_generation"];
    for (resource, kept) in [
        (Resource::Events, vec!["$ai_generation", "$exception", "survey sent"]),
        (Resource::Exceptions, vec!["$ai_generation", "survey sent", "viewed"]),
        (Resource::Surveys, vec!["$ai_generation", "$exception", "viewed"]),
        (Resource::LlmEvents, vec!["$exception", "survey sent", "viewed"]),
        (Resource::Recordings, vec!["$ai_generation", "$exception", "survey sent", "viewed"]),
    ] {
        let world = world(Extra { exhausted: vec![resource], ..Extra::of("phc_poor") });
        let batch: Vec<Value> =
            names.iter().map(|event| json!({"event": event, "distinct_id": "d"})).collect();
        let answer = world.send(&Request::json("/batch/", json!({"api_key": "phc_poor", "batch": batch})));
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"status":"Ok"}"#));
        let mut request = v1("/i/v1/analytics/events", "0199f2a1-7a54-7b3c-9d2e-000000000001");
        for (name, value) in &mut request.headers {
            if name == "authorization" {
                *value = "Bearer phc_poor".into();
            }
        }
        let verdict = world.send(&request).json()["results"]["0199f2a1-7a54-7b3c-9d2e-000000000001"].take();
        let limited = resource == Resource::LlmEvents;
        let expected = match limited {
            true => json!({"result": "drop", "details": "billing_limit_exceeded"}),
            false => json!({"result": "ok"}),
        };
        assert_eq!(verdict, expected, "{resource:?}");
        world.fence();
        let sql = "SELECT event FROM events WHERE uuid <> '0199f2a1-7a54-7b3c-9d2e-000000000001'";
        assert_eq!(texts(&world.ask(3, sql)), kept, "{resource:?}");
    }
}

#[test]
fn a_multipart_event_over_quota_is_told_so() {
    let world = world(Extra { exhausted: vec![Resource::LlmEvents], ..Extra::of("phc_poor") });
    let mut request = crate::signature::multipart();
    assert_eq!(world.send(&request).status, 200, "project 1 has its own quota");
    for (name, value) in &mut request.headers {
        if name == "authorization" {
            *value = "Bearer phc_poor".into();
        }
    }
    let answer = world.send(&request);
    assert_eq!((answer.status, answer.text().as_str()), (429, "billing limit reached"));
    world.fence();
    assert_eq!(world.ask(3, "SELECT count(*) FROM events"), [[0]]);
    assert_eq!(world.count("SELECT count(*) FROM events"), 1);
}

/// A recording of one session; `number` tells its requests apart.
fn snapshot(number: u32) -> Request {
    let uuid = format!("0199f2a1-7a54-7b3c-9d2e-0000000000{number:02}");
    let item =
        json!({"type": 3, "timestamp": 1_795_176_000_000_i64 + i64::from(number), "data": {"n": number}});
    let properties = json!({"token": TOKEN, "distinct_id": "d", "$session_id": "s-1", "$window_id": "w",
        "$snapshot_data": [item]});
    Request::json("/s/", json!([{"event": "$snapshot", "uuid": uuid, "properties": properties}]))
}

#[test]
fn a_recording_sent_again_is_stored_once() {
    let settings = settings();
    let mut world = Folder::with(&settings, &[]).start(settings.clone());
    let sums = "SELECT sum(event_count), sum(message_count), count(*) FROM session_replay_blocks";
    for (round, number) in [1, 2, 3].into_iter().enumerate() {
        for again in 0..=number {
            assert_eq!(world.send(&snapshot(again.max(1))).status, 200);
        }
        world.fence();
        assert_eq!(world.ask(1, sums), [[number, number, number]], "before end {round}");
        world = match round % 2 {
            0 => world.kill().start(settings.clone()),
            _ => world.stop().start(settings.clone()),
        };
        world.fence();
        assert_eq!(world.ask(1, sums), [[number, number, number]], "after end {round}");
    }
}

fn event_of(key: &str) -> Request {
    Request::json("/e/", json!({"api_key": key, "event": "e", "distinct_id": "d"}))
}

#[test]
fn an_open_server_makes_projects_up_to_a_bound() {
    let mut settings = settings();
    settings.capture.token_mode = TokenMode::Open;
    // Project 1, the fence, and two more.
    settings.capture.max_open_projects = 4;
    let world = Folder::with(&settings, &[]).start(settings.clone());
    // The first requests with a new key arrive together.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let world = &world;
            scope.spawn(move || assert_eq!(world.send(&event_of("phc_new_1")).status, 200));
        }
    });
    assert_eq!(world.send(&event_of("phc_new_2")).status, 200);
    assert_eq!(world.send(&event_of("phc_new_3")).status, 401);
    assert_eq!(world.send(&event_of("phx_personal")).status, 401);
    world.fence();
    assert_eq!(world.ask(3, "SELECT count(*) FROM events"), [[8]]);
    assert_eq!(world.ask(4, "SELECT count(*) FROM events"), [[1]]);
    // Projects stay when the server opens no more.
    settings.capture.token_mode = TokenMode::Enforce;
    let world = world.kill().start(settings);
    for (key, status) in [("phc_new_1", 200), ("phc_new_2", 200), ("phc_new_3", 401)] {
        assert_eq!(world.send(&event_of(key)).status, status, "{key}");
    }
}

#[test]
fn keys_changed_beside_a_running_server_are_noticed() {
    let world = World::plain();
    let now = NOW.parse().expect("a time");
    assert_eq!(world.send(&event_of("phc_later")).status, 401);
    let store: &dyn Metastore = &world.folder.metastore();
    let mut new = NewProject::generate("later", &mut rand::rng());
    new.key = NewKey::fixed(metastore::key::Kind::Project, "phc_later").expect("a key");
    let made = block_on(store.create_project(new, now)).expect("made").id;
    eventually("the new key is known", || world.send(&event_of("phc_later")).status == 200);
    let update =
        project::Update { exhausted: Some(vec![Resource::Recordings]), ..project::Update::default() };
    block_on(store.update_project(made, update)).expect("updated");
    let mut recording = snapshot(1);
    recording.body = Some(
        String::from_utf8(recording.body.take().expect("a body"))
            .expect("text")
            .replace(TOKEN, "phc_later")
            .into(),
    );
    eventually("the quota is known", || world.send(&recording).text().contains("quota_limited"));
    block_on(store.rotate_project_key(
        made,
        NewKey::fixed(metastore::key::Kind::Project, "phc_newest").expect("a key"),
        now,
    ))
    .expect("rotated");
    block_on(store.disable_project_key("phc_later", now)).expect("disabled");
    eventually("the old key is refused", || world.send(&event_of("phc_later")).status == 401);
    assert_eq!(world.send(&event_of("phc_newest")).status, 200);
}
