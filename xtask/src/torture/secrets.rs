//! R19: what is secret is told to nobody: not to the log at its most talkative, not in errors, numbers or settings.
//!
//! Each secret is a word of its own (a canary); everything that the server says is searched for all of them. Which key
//! may do what at which route, and what SQL may reach, is asked by the server's own tests (`matrix.rs`, `escapes.rs`).

use super::Plan;
use super::exchange::{Line, request};
use super::stage::Stage;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use testkit::Numbers;
use testkit::server::{PERSONAL_KEY, PROJECT_KEY};

/// Secrets by where they are put.
struct Canaries {
    signing: String,
    password: String,
    wrong_key: String,
    body: String,
    header: String,
    cookie: String,
}

impl Canaries {
    fn draw(seed: u64) -> Self {
        let mut numbers = Numbers::of(seed, 19);
        let mut word = |what: &str| format!("canary{what}{}", numbers.hex(24));
        Self {
            signing: word("signing"),
            password: word("password"),
            wrong_key: format!("phx_{}", word("key")),
            body: word("body"),
            header: word("header"),
            cookie: word("cookie"),
        }
    }

    /// What must not be said, by name.
    fn all(&self) -> [(&'static str, &str); 7] {
        [
            ("the signing secret", &self.signing),
            ("the metastore's password", &self.password),
            ("a personal key that was tried", &self.wrong_key),
            ("the personal key", PERSONAL_KEY),
            ("a body", &self.body),
            ("a header", &self.header),
            ("a cookie", &self.cookie),
        ]
    }
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let canaries = Canaries::draw(plan.seed);
    // A server that asks for signatures takes none of what is sent here, one that does not takes it all the way.
    let unsigned = search(plan, &canaries, "")?;
    let signed = search(plan, &canaries, &canaries.signing)?;
    Ok(json!({"unsigned": unsigned, "signed": signed, "secrets": canaries.all().len()}))
}

fn search(plan: &Plan, canaries: &Canaries, signing: &str) -> anyhow::Result<Value> {
    let settings = [
        ("TENREC__TELEMETRY__LEVEL", "trace"),
        ("TENREC__SERVER__SIGNING_SECRET", signing),
        ("TENREC__INGEST__COMMIT_SECONDS", "1"),
    ];
    let mut stage = Stage::open(plan, &settings)?;
    // The first start shows the personal key to whoever started it, once. What comes after is searched.
    stage.stop(Duration::from_secs(10))?;
    std::fs::write(stage.data().with_extension("log"), "")?;
    stage.start()?;
    let mut said = vec![("answers", provoke(&stage, canaries)?)];
    said.push(("/metrics", get(&stage, "/metrics")?));
    said.push(("`tenrec settings`", tell(plan, &stage, canaries, &["settings"])?));
    said.push(("`tenrec check`", tell(plan, &stage, canaries, &["check"])?));
    said.push(("a start that fails", tell(plan, &stage, canaries, &["serve", "--listen", "127.0.0.1:0"])?));
    stage.stop(Duration::from_secs(10))?;
    said.push(("the log", stage.log()));
    let bytes: usize = said.iter().map(|(_, text)| text.len()).sum();
    for (whose, text) in &said {
        anyhow::ensure!(!text.is_empty(), "nothing came of {whose}");
        for (what, secret) in canaries.all() {
            let line = text.lines().find(|line| line.contains(secret));
            anyhow::ensure!(line.is_none(), "{whose} told {what}: {}", line.unwrap_or_default());
        }
    }
    let log = said.last().map_or(0, |(_, text)| text.lines().count());
    anyhow::ensure!(log > 100, "the log is not at its most talkative: {log} lines");
    stage.close()?;
    Ok(json!({"searched_bytes": bytes, "log_lines": log}))
}

/// Sends what goes well and what goes wrong, each with secrets in it; gives all answers.
fn provoke(stage: &Stage, canaries: &Canaries) -> anyhow::Result<String> {
    let secret = format!(
        "Content-Type: application/json\r\nCookie: session={}\r\nX-Custom: {}\r\n",
        canaries.cookie, canaries.header
    );
    let event = json!({"api_key": PROJECT_KEY, "event": "e", "distinct_id": "d", "properties": {"password": canaries.body}});
    let event = event.to_string();
    let signature =
        |body: &str| format!("X-PostHog-Signature: sha256={}\r\n", "0".repeat(64).replace('0', &body[..1]));
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let question = |sql: &str| json!({"query": {"kind": "HogQLQuery", "query": sql}}).to_string();
    let broken = format!("{{\"a\":\"{}\"", canaries.body);
    let ask = "/api/projects/1/query/";
    let asked = [
        ("/e/", secret.clone(), event.clone()),
        ("/e/", secret.clone() + &signature("a"), event),
        ("/batch/", secret.clone() + "Content-Encoding: gzip\r\n", broken.clone()),
        ("/i/v0/e/", secret.clone(), broken.clone()),
        ("/i/v1/analytics/events", secret.clone() + &bearer(&canaries.wrong_key), broken.clone()),
        (ask, secret.clone() + &bearer(&canaries.wrong_key), question("select 1")),
        (ask, secret.clone() + &bearer(PERSONAL_KEY), question("select count(*) from events")),
        (ask, secret.clone() + &bearer(PERSONAL_KEY), question("select nothing from nowhere")),
        (ask, secret.clone() + &bearer(PERSONAL_KEY), broken.clone()),
        ("/nowhere", secret.clone(), broken),
    ];
    let mut said = String::new();
    for (path, headers, body) in asked {
        let answer = Line::open(&stage.address())?.send(&request("POST", path, &headers, body.as_bytes()))?;
        said += &format!("{} {}\n{}\n", answer.status, answer.head, answer.text());
    }
    let in_query = format!("{ask}?personal_api_key={}", canaries.wrong_key);
    let answer = Line::open(&stage.address())?.send(&request(
        "POST",
        &in_query,
        &secret,
        question("select 1").as_bytes(),
    ))?;
    said += &answer.text();
    Ok(said)
}

fn get(stage: &Stage, path: &str) -> anyhow::Result<String> {
    Ok(Line::open(&stage.address())?.send(&request("GET", path, "", b""))?.text())
}

/// What a command says, with a metastore that cannot be reached and whose address holds a password.
fn tell(plan: &Plan, stage: &Stage, canaries: &Canaries, words: &[&str]) -> anyhow::Result<String> {
    let url = format!("postgres://tenrec:{}@127.0.0.1:1/tenrec?connect_timeout=1", canaries.password);
    let output = Command::new(plan.binary()?)
        .args(words)
        .args(["--data".as_ref(), stage.data().with_extension("other").as_os_str()])
        .env("TENREC__TELEMETRY__LEVEL", "trace")
        .env("TENREC__METASTORE__URL", url)
        .env("TENREC__SERVER__SIGNING_SECRET", &canaries.signing)
        .env("TENREC__BOOTSTRAP__PERSONAL_KEY", PERSONAL_KEY)
        .env("TENREC__BOOTSTRAP__PROJECT_KEY", PROJECT_KEY)
        .output()?;
    Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}
