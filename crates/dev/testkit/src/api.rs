//! A small client of the server's HTTP surface: sends bodies, asks SQL.

use anyhow::Context as _;
use serde_json::{Value, json};
use std::time::Duration;

/// A client with one project key and one personal key.
#[derive(Clone, Debug)]
pub struct Api {
    agent: ureq::Agent,
    url: String,
    project_key: String,
    personal_key: String,
}

/// A body to send, with what its headers say about it.
#[derive(Clone, Debug)]
pub struct Body {
    /// Path and query, such as `/batch/`.
    pub path: &'static str,
    /// Bytes as they travel.
    pub bytes: Vec<u8>,
    /// Whether the bytes are gzip and the header says so.
    pub gzip: bool,
}

impl Api {
    /// A client of the server at `url`.
    pub fn new(url: &str, project_key: &str, personal_key: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .max_idle_connections_per_host(1)
            .build();
        Self {
            agent: config.into(),
            url: url.to_owned(),
            project_key: project_key.to_owned(),
            personal_key: personal_key.to_owned(),
        }
    }

    /// The project key that bodies carry.
    pub fn project_key(&self) -> &str {
        &self.project_key
    }

    /// Whether `/_readiness` answers 200.
    pub fn ready(&self) -> bool {
        self.agent.get(format!("{}/_readiness", self.url)).call().is_ok_and(|answer| answer.status() == 200)
    }

    /// Sends a body and returns status and text.
    ///
    /// # Errors
    /// When no complete answer arrived: whether the body was stored is then unknown.
    pub fn send(&self, body: &Body) -> anyhow::Result<(u16, String)> {
        let mut request = self.agent.post(format!("{}{}", self.url, body.path));
        request = request.header("Content-Type", "application/json");
        if body.gzip {
            request = request.header("Content-Encoding", "gzip");
        }
        let mut answer = request.send(&body.bytes[..])?;
        let text = answer.body_mut().read_to_string()?;
        Ok((answer.status().as_u16(), text))
    }

    /// Asks one SQL statement and returns its rows.
    ///
    /// # Errors
    /// When the server refuses the statement; the error holds the statement and the answer.
    pub fn query(&self, sql: &str) -> anyhow::Result<Vec<Vec<Value>>> {
        let question = json!({"query": {"kind": "HogQLQuery", "query": sql}}).to_string();
        let mut answer = self
            .agent
            .post(format!("{}/api/projects/1/query/", self.url))
            .header("Authorization", format!("Bearer {}", self.personal_key))
            .header("Content-Type", "application/json")
            .send(question.as_bytes())?;
        let text = answer.body_mut().with_config().limit(1 << 30).read_to_string()?;
        anyhow::ensure!(answer.status() == 200, "{sql}: {} {text}", answer.status());
        let mut parsed: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        serde_json::from_value(parsed["results"].take()).with_context(|| format!("{sql}: no rows in {text}"))
    }

    /// Sums the series of a metric whose name and labels start with `prefix`; 0 when there is none.
    ///
    /// # Errors
    /// When the server does not answer.
    pub fn metric(&self, prefix: &str) -> anyhow::Result<f64> {
        let text = self.agent.get(format!("{}/metrics", self.url)).call()?.body_mut().read_to_string()?;
        let values = text.lines().filter(|line| line.starts_with(prefix));
        Ok(values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Asks a statement whose answer is one number.
    pub fn count(&self, sql: &str) -> anyhow::Result<u64> {
        let rows = self.query(sql)?;
        let cell = rows.first().and_then(|row| row.first()).with_context(|| format!("{sql}: no row"))?;
        cell.as_u64()
            .or_else(|| cell.as_str()?.parse().ok())
            .with_context(|| format!("{sql}: {cell} is no count"))
    }
}
