//! One data folder, what is sent to it, and the judgement: nothing acked is lost, doubled, changed or invented.

use super::crew::Crew;
use super::judge::{self, Verdict};
use super::oracle::Oracle;
use super::writer::{Sent, Style};
use crate::install;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testkit::server::{PROJECT_KEY, Setup};
use testkit::{Api, Server, free_port};

/// How long the last stop may take: the time a server takes at most, and a machine that is busy.
const STOP: Duration = Duration::from_secs(60);

/// A data folder on one port, and what its writers send.
pub struct Trial {
    /// What is started, again and again.
    pub setup: Setup,
    /// What is sent.
    pub oracle: Oracle,
    folder: tempfile::TempDir,
}

impl Trial {
    /// A new folder for `binary`, whose servers get these settings.
    pub fn new(name: &str, binary: PathBuf, seed: u64, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = testkit::scratch(name)?;
        let setup = Setup {
            binary,
            data: folder.path().join("data"),
            port: Some(free_port()?),
            environment: settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        };
        Ok(Self { setup, oracle: Oracle::new(seed, PROJECT_KEY)?, folder })
    }

    /// A place for files beside the data folder.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is started, with more in its environment.
    pub fn with(&self, more: &[(&str, String)]) -> Setup {
        let mut setup = self.setup.clone();
        setup.environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        setup
    }

    /// Sets writers to work, wherever the server is.
    pub fn crew(&self, url: &str, writers: u64) -> Crew {
        Crew::start(url, self.oracle, writers, Style::Careful)
    }

    /// The same, with writers that send everything up to five times.
    pub fn storm(&self, url: &str, writers: u64) -> Crew {
        Crew::start(url, self.oracle, writers, Style::Hasty)
    }

    /// What all servers of this folder have logged.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.setup.data.with_extension("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asks the running server, stops it, reads its tables with pyiceberg, and gives the figures.
    ///
    /// # Errors
    /// When anything is not as it was sent, and when the server panicked or did not stop well. The folder is kept then.
    pub fn judge(self, root: &Path, server: Server, sent: &[Sent], keep: bool) -> anyhow::Result<Value> {
        let judged = self.compare(root, server, sent);
        if keep || judged.is_err() {
            println!("kept {}", self.folder.keep().display());
        }
        judged
    }

    fn compare(&self, root: &Path, server: Server, sent: &[Sent]) -> anyhow::Result<Value> {
        let python = install::python_only(root)?;
        let sql = judge::through_sql(&server.api(), &self.oracle, sent)?;
        let fresh = fresh_event(&server.api())?;
        let stop = server.stop(STOP)?;
        let script = root.join("e2e/read_events.py");
        let tables = judge::through_pyiceberg(&script, &python, &self.setup.data, &self.oracle, sent)
            .unwrap_or_else(|fault| Verdict::unreadable(&fault));
        let panics = self.log().matches("panicked at").count();
        let refused: Vec<&String> = sent.iter().flat_map(|one| &one.refused).collect();
        refused.iter().take(10).for_each(|fault| println!("refused: {fault}"));
        for (name, verdict) in [("sql", &sql), ("pyiceberg", &tables)] {
            verdict.examples.iter().take(20).for_each(|example| println!("{name}: {example}"));
        }
        let figures = json!({
            "seed": self.oracle.seed,
            "requests_acked": sent.iter().map(|one| one.requests).sum::<u64>(),
            "events_acked": sent.iter().map(|one| one.events).sum::<u64>(),
            "replay_chunks_acked": sent.iter().map(|one| one.chunks.len()).sum::<usize>(),
            "sends_repeated": sent.iter().map(|one| one.repeated).sum::<u64>(),
            "slowest_answer_ms": sent.iter().map(|one| one.slowest.as_millis()).max(),
            "refused": refused.len(),
            "sql": sql.line(),
            "pyiceberg": tables.line(),
            "fresh_ms": fresh.as_millis(),
            "panics": panics,
        });
        anyhow::ensure!(stop.success(), "the server ended with {stop} after SIGTERM: {figures}");
        anyhow::ensure!(panics == 0, "the server panicked {panics} times: {figures}");
        let clean = sql.is_clean() && tables.is_clean() && refused.is_empty();
        anyhow::ensure!(clean, "seed {}: {figures}", self.oracle.seed);
        Ok(figures)
    }
}

/// Sends one event more and returns how long it took to be visible.
fn fresh_event(api: &Api) -> anyhow::Result<Duration> {
    let event = json!({"api_key": api.project_key(), "event": "fresh", "distinct_id": "fresh"});
    let body = testkit::api::Body { path: "/capture/", bytes: event.to_string().into_bytes(), gzip: false };
    let (status, text) = api.send(&body).context("sending the fresh event")?;
    anyhow::ensure!(status == 200, "the fresh event: {status} {text}");
    let start = Instant::now();
    while api.count("select count(*) from events where event = 'fresh'")? == 0 {
        anyhow::ensure!(
            start.elapsed() < Duration::from_secs(10),
            "the fresh event is not visible after 10 s"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(start.elapsed())
}
