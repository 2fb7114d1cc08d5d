use std::sync::Arc;

use event::{ProjectId, Properties};
use identity::{EventRow, MappingRow, PersonMode, PersonRow};
use jiff::{SignedDuration, Timestamp};
use query::{Answer, Engine, Error, Limits, Request, answer};
use serde_json::{Map, Value};
use table::{Rows, Settings, Warehouse};
use tempfile::TempDir;
use uuid::Uuid;

use crate::foreign;

pub const NOW: &str = "2026-01-10T12:00:00Z";
pub const SESSION_1: &str = "019b9d2a-0000-7000-8000-000000000001";
pub const SESSION_2: &str = "019b9d2a-0000-7000-8000-000000000002";

pub struct World {
    pub engine: Engine,
    pub warehouse: Arc<Warehouse>,
    pub dir: TempDir,
}

impl World {
    pub async fn open() -> Self {
        Self::with(limits()).await
    }

    pub async fn with(limits: Limits) -> Self {
        let dir = TempDir::new().expect("a folder");
        let warehouse = Warehouse::open(Settings::at(dir.path().to_owned())).await.expect("a warehouse");
        let warehouse = Arc::new(warehouse);
        warehouse.append(1, &committed()).expect("rows are taken");
        warehouse.append(2, &secret("committed")).expect("rows are taken");
        warehouse.commit(3).await.expect("a commit");
        warehouse.append(3, &fresh()).expect("rows are taken");
        warehouse.append(4, &secret("fresh")).expect("rows are taken");
        foreign::machine_metrics(&warehouse).await;
        let engine = Engine::new(warehouse.clone(), limits).expect("an engine");
        Self { engine, warehouse, dir }
    }

    pub async fn ask(&self, project: i64, sql: &str) -> Result<Answer, Error> {
        let now = NOW.parse().expect("a time");
        let request = Request { project: ProjectId(project), sql: sql.to_owned(), now, row_limit: None };
        self.engine.run(request).await
    }

    /// Rows as texts, `NULL` for NULL.
    pub async fn rows(&self, project: i64, sql: &str) -> Vec<Vec<String>> {
        let answer = self.ask(project, sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
        texts(&answer)
    }
}

pub fn limits() -> Limits {
    Limits { threads: 2, ..Limits::default() }
}

pub fn texts(answer: &Answer) -> Vec<Vec<String>> {
    let mut out = String::new();
    answer::write_results(answer, &mut out);
    let rows: Vec<Vec<Value>> = serde_json::from_str(&out).expect("results are JSON");
    let text = |value: Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub fn object(text: &str) -> Properties {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub fn person(number: u128) -> Uuid {
    Uuid::from_u128(0xAAAA_0000 + number)
}

pub fn event(number: u128, at: &str, name: &str, who: (&str, u128), properties: &str) -> EventRow {
    EventRow {
        uuid: Uuid::from_u128(number),
        event: name.to_owned(),
        distinct_id: who.0.to_owned(),
        timestamp: time(at),
        created_at: time(at) + SignedDuration::from_secs(1),
        properties: object(properties),
        context: None,
        elements_chain: String::new(),
        person_id: person(who.1),
        person_created_at: time("2026-01-01T00:00:00Z"),
        person_properties: Arc::new(object(r#"{"plan":"free","seats":3}"#)),
        person_mode: PersonMode::Full,
        groups: [None, None, None, None, None],
        group_properties: Properties::new(),
        api_key: "phc_one".to_owned(),
        extra: Map::new(),
    }
}

fn someone(number: u128, version: i64, is_deleted: bool, properties: &str) -> PersonRow {
    PersonRow {
        id: person(number),
        created_at: time("2026-01-01T00:00:00Z"),
        properties: Arc::new(object(properties)),
        is_identified: true,
        is_deleted,
        version,
        last_seen_at: None,
    }
}

fn mapping(distinct_id: &str, number: u128, version: i64, is_deleted: bool) -> MappingRow {
    MappingRow { distinct_id: distinct_id.to_owned(), person_id: person(number), version, is_deleted }
}

fn committed() -> Rows {
    let mut rows = Rows::new(ProjectId(1), time("2026-01-09T10:00:00Z"));
    let page = |url: &str, browser: &str, session: &str, n: &str| {
        format!(r#"{{"$current_url":"{url}","$browser":"{browser}","$session_id":"{session}","n":{n}}}"#)
    };
    let events = [
        (
            "2026-01-08T09:59:00Z",
            "$pageview",
            ("anon-1", 9),
            page("https://x.test/", "Chrome", SESSION_1, "1"),
        ),
        (
            "2026-01-08T10:00:00.123Z",
            "$pageview",
            ("alice", 1),
            page("https://x.test/a?q=1", "Chrome", SESSION_1, "9"),
        ),
        (
            "2026-01-08T10:00:30Z",
            "$pageview",
            ("alice", 1),
            page("https://x.test/b", "Chrome", SESSION_1, "10"),
        ),
        (
            "2026-01-09T09:00:00Z",
            "$pageview",
            ("bob", 2),
            page("https://x.test/a", "Firefox", SESSION_2, "\"7\""),
        ),
        (
            "2026-01-09T09:30:00Z",
            "purchase",
            ("bob", 2),
            r#"{"amount":29.99,"is_paid":true,"weird key":"w","a":{"b":{"c":"deep"}},"a.b":"dotted",
                "$browser":"Firefox","machineId":"mixed","at":"2026-01-09T00:00:00Z","nothing":null}"#
                .to_owned(),
        ),
        ("2025-11-01T00:00:00Z", "old_event", ("dave", 4), r#"{"amount":"abc"}"#.to_owned()),
    ];
    rows.events = events
        .iter()
        .enumerate()
        .map(|(at, (when, name, who, properties))| event(at as u128 + 1, when, name, *who, properties))
        .collect();
    rows.persons = vec![
        someone(1, 0, false, r#"{"plan":"free"}"#),
        someone(2, 0, false, r#"{"plan":"free"}"#),
        someone(9, 0, false, "{}"),
    ];
    rows.mappings = vec![mapping("anon-1", 9, 0, false), mapping("bob", 7, 1, false)];
    rows
}

fn fresh() -> Rows {
    let mut rows = Rows::new(ProjectId(1), time("2026-01-10T09:00:00Z"));
    rows.events = vec![
        event(
            11,
            "2026-01-10T08:00:00Z",
            "purchase",
            ("carol", 3),
            r#"{"amount":"5.01","is_paid":false,"items":[{"sku":"s1"},{"sku":"s2"}]}"#,
        ),
        event(12, "2026-01-10T08:30:00Z", "machine_created", ("alice", 1), r#"{"machine_id":"m-1"}"#),
        event(13, "2026-01-10T08:31:00Z", "machine_created", ("bob", 2), r#"{"machine_id":"m-2"}"#),
        event(14, "2026-01-10T09:00:00Z", "session_started", ("alice", 1), "{}"),
    ];
    rows.persons = vec![someone(1, 1, false, r#"{"plan":"pro"}"#), someone(9, 100, true, "{}")];
    rows.mappings = vec![mapping("anon-1", 1, 1, false), mapping("bob", 7, 2, true)];
    rows
}

/// Rows of the other project.
fn secret(word: &str) -> Rows {
    let mut rows = Rows::new(ProjectId(2), time("2026-01-09T10:00:00Z"));
    let number = if word == "fresh" { 902 } else { 901 };
    let properties = format!(r#"{{"$browser":"SECRET","amount":1000,"word":"{word}"}}"#);
    let mut hidden = event(number, "2026-01-09T09:00:00Z", "SECRET", ("zed-SECRET", 77), &properties);
    hidden.api_key = "phc_SECRET".to_owned();
    rows.events = vec![hidden];
    rows.persons = vec![someone(77, number as i64, false, r#"{"plan":"SECRET"}"#)];
    rows.mappings = vec![mapping("zed-SECRET", 77, number as i64, false)];
    rows
}
