//! A data folder as this version leaves it, kept in `fixtures/golden/` for all later versions to open.
//!
//! It is a backup of a server with a fixed workload: half of it is in the tables, the rest in the log only. Beside it are
//! questions and the answers of the server that made it.

use crate::run;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::api::Body;
use testkit::server::{PROJECT_KEY, Setup};
use testkit::{Api, Server};

/// What is asked. Every answer is a function of the workload.
const QUESTIONS: &[&str] = &[
    "select event, count(*), count(distinct distinct_id) from events group by event order by event",
    "select count(distinct uuid), min(timestamp), max(timestamp) from events",
    "select uuid, distinct_id, properties from events where event = 'bought' order by uuid",
    "select sum(toFloat(properties.amount)) from events where event = 'bought'",
    "select distinct_id, count(*), count(distinct person_id) from events_resolved group by distinct_id order by distinct_id",
    "select count(*) from persons_current",
    "select group_type_index, group_key, count(*) from groups group by group_type_index, group_key order by group_key",
    "select session_id, sum(event_count) from session_replay_blocks group by session_id order by session_id",
    "select type, count(*) from ingestion_warnings group by type order by type",
];

/// Writes the folder of this version.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("fixtures/golden").join(env!("CARGO_PKG_VERSION"));
    anyhow::ensure!(!folder.exists(), "{} is there: what a version left is never changed", folder.display());
    let scratch = testkit::scratch("golden")?;
    let environment = |seconds: &str| {
        let pairs = [
            ("TENREC__CLOCK__FIXED", "2026-11-30T12:00:00Z"),
            ("TENREC__INGEST__COMMIT_SECONDS", seconds),
            ("TENREC__LOG__SEGMENT_BYTES", "65536"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    let mut setup = Setup {
        binary: testkit::build(root, testkit::Profile::Debug)?,
        data: scratch.path().join("data"),
        port: None,
        environment: environment("1"),
    };
    let server = Server::start(&setup)?;
    send(&server.api(), 0..40)?;
    visible(&server.api(), 40)?;
    let status = server.stop(Duration::from_secs(60))?;
    anyhow::ensure!(status.success(), "the server ended with {status}");
    setup.environment = environment("3600");
    let server = Server::start(&setup)?;
    send(&server.api(), 40..60)?;
    visible(&server.api(), 60)?;
    let answers: Vec<Value> = QUESTIONS
        .iter()
        .map(|sql| Ok(json!({"sql": sql, "rows": server.api().query(sql)?})))
        .collect::<anyhow::Result<_>>()?;
    let mut backup = Command::new(&setup.binary);
    let said = run::quiet(backup.arg("backup").arg(&folder).arg("--data").arg(&setup.data))?;
    server.kill()?;
    std::fs::remove_file(folder.join("lock"))?;
    std::fs::remove_dir(folder.join("partial"))?;
    std::fs::write(folder.join("answers.json"), serde_json::to_string_pretty(&answers)? + "\n")?;
    print!("{said}");
    Ok(())
}

/// Sends the events with these numbers, and what comes with them.
fn send(api: &Api, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
    let key = PROJECT_KEY;
    let first = numbers.start;
    let mut events: Vec<Value> = numbers.map(event).collect();
    let merged = format!("user-{}", first % 7);
    events.push(json!({"event": "$identify", "uuid": uuid(first + 1000), "distinct_id": merged, "timestamp": "2026-11-29T09:00:00Z",
        "properties": {"$anon_distinct_id": format!("visitor-{first}"), "$set": {"plan": "team"}}}));
    events.push(json!({"event": "$groupidentify", "uuid": uuid(first + 2000), "distinct_id": merged, "timestamp": "2026-11-29T09:00:00Z",
        "properties": {"$group_type": "company", "$group_key": format!("company-{first}"), "$group_set": {"size": first}}}));
    events.push(json!({"event": "odd", "uuid": "not a uuid", "distinct_id": "undefined", "timestamp": "2026-11-29T09:00:00Z"}));
    post(api, "/batch/", &json!({"api_key": key, "batch": events}))?;
    let session = uuid(first + 3000);
    let items: Vec<Value> = (0..3)
        .map(|item| json!({"type": 3, "timestamp": 1_796_000_000_000_u64 + item, "data": {"source": 1}}))
        .collect();
    post(
        api,
        "/s/",
        &json!([{"uuid": uuid(first + 4000), "event": "$snapshot", "properties": {"$session_id": session,
        "$window_id": session, "$snapshot_data": items, "token": key, "distinct_id": merged}}]),
    )
}

fn event(number: u64) -> Value {
    let name = ["opened", "bought", "$pageview"][(number % 3) as usize];
    json!({"event": name, "uuid": uuid(number), "distinct_id": format!("user-{}", number % 7),
        "timestamp": format!("2026-11-{:02}T10:{:02}:00Z", 26 + number % 3, number % 60),
        "properties": {"amount": number * 3, "$browser": "Firefox", "nested": {"list": [1, "two", null]}, "text": "äöü ✓"}})
}

fn uuid(number: u64) -> String {
    format!("0199f2a1-7a54-7b3c-9d2e-{number:012}")
}

fn post(api: &Api, path: &'static str, body: &Value) -> anyhow::Result<()> {
    let (status, text) = api.send(&Body { path, bytes: body.to_string().into_bytes(), gzip: false })?;
    anyhow::ensure!(status == 200, "{path}: {status} {text}");
    Ok(())
}

fn visible(api: &Api, least: u64) -> anyhow::Result<()> {
    let start = Instant::now();
    let counted = "select count(*) from events where event in ('opened', 'bought', '$pageview')";
    while api.count(counted)? < least {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(20), "not all events are visible");
        std::thread::sleep(Duration::from_millis(20));
    }
    let blocks = "select count(distinct session_id) from session_replay_blocks";
    let wanted = if least > 40 { 2 } else { 1 };
    while api.count(blocks).context("counting recordings")? < wanted {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(20), "not all recordings are visible");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
