//! What R6 and R15 share: looking after the tables of a running server with the real command, and events for it.

use crate::run;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use testkit::Api;
use testkit::server::PERSONAL_KEY;

/// Commits and rounds of table care every second; readers may take a second.
pub const SETTINGS: &[(&str, &str)] = &[
    ("TENREC__INGEST__COMMIT_SECONDS", "1"),
    ("TENREC__INGEST__COMMIT_BYTES", "300000"),
    ("TENREC__CARE__EVERY_SECONDS", "1"),
    ("TENREC__CARE__MIN_FILES", "2"),
    ("TENREC__CARE__KEEP_SNAPSHOTS", "2"),
    ("TENREC__CARE__GRACE_SECONDS", "10"),
    ("TENREC__QUERY__TIMEOUT_SECONDS", "8"),
];

/// `tenrec table` on a running server.
pub struct Tender {
    binary: PathBuf,
    url: String,
}

impl Tender {
    /// For the server at `url`.
    pub fn of(binary: &Path, url: &str) -> Self {
        Self { binary: binary.to_owned(), url: url.to_owned() }
    }

    /// Runs one command; gives what it printed.
    pub fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.binary);
        command.arg("table").args(words).args(["--url", &self.url]);
        run::quiet(command.env("TENREC_PERSONAL_KEY", PERSONAL_KEY))
    }
}

/// Sends `count` events of one distinct id in one request, as of so many days ago.
pub fn send(api: &Api, event: &str, id: &str, count: u64, days: u64) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let at = i64::try_from(now - days * 86_400)?;
    let at = jiff::Timestamp::from_second(at)?.to_string();
    let one = |number| json!({"event": event, "distinct_id": id, "timestamp": at, "properties": {"number": number}});
    let batch: Vec<_> = (0..count).map(one).collect();
    let bytes = json!({"api_key": api.project_key(), "batch": batch}).to_string().into_bytes();
    let (status, text) = api.send(&testkit::api::Body { path: "/batch/", bytes, gzip: false })?;
    anyhow::ensure!(status == 200, "{status} {text}");
    Ok(())
}
