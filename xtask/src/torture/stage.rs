//! A real server on a folder of its own, what `/proc` tells of it, and what must be true of it in the end.

use super::Plan;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testkit::server::Setup;
use testkit::{Server, free_port};

/// A server and its folder.
pub struct Stage {
    /// The server; `None` between two lives.
    server: Option<Server>,
    setup: Setup,
    folder: Option<tempfile::TempDir>,
    keep: bool,
    closing: bool,
}

impl Stage {
    /// Starts a server on a new folder, with settings such as `("TENREC__LOG__SEGMENT_BYTES", "4194304")`.
    pub fn open(plan: &Plan, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = testkit::scratch("torture")?;
        let data = folder.path().join("data");
        Self::open_at(plan, data, folder, settings)
    }

    /// The same with the data in a folder that is there already, such as a mounted one.
    pub fn open_at(
        plan: &Plan,
        data: PathBuf,
        folder: tempfile::TempDir,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let environment = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let setup = Setup {
            binary: plan.binary()?,
            data,
            port: Some(free_port()?),
            environment: environment.collect(),
        };
        let server = Some(Server::start(&setup)?);
        Ok(Self { server, setup, folder: Some(folder), keep: plan.keep, closing: false })
    }

    /// The server that runs.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs between start and stop")
    }

    /// `ADDRESS:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.setup.port.unwrap_or_default())
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.setup.data
    }

    /// What the server wrote to its two outputs.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.setup.data.with_extension("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Asks the server to end (SIGTERM) and starts it again on the same folder; gives how long the end took.
    pub fn restart(&mut self, limit: Duration) -> anyhow::Result<Duration> {
        let took = self.stop(limit)?;
        self.start()?;
        Ok(took)
    }

    /// Starts the server again after a stop.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.server = Some(Server::start(&self.setup)?);
        Ok(())
    }

    /// Asks the server to end; it must do so well, within `limit`.
    pub fn stop(&mut self, limit: Duration) -> anyhow::Result<Duration> {
        let server = self.server.take().context("the server is not running")?;
        let start = Instant::now();
        let status = server.stop(limit)?;
        anyhow::ensure!(status.success(), "the server ended with {status} after SIGTERM:\n{}", self.log());
        Ok(start.elapsed())
    }

    /// Ends the server, and fails when it panicked meanwhile. The folder goes, unless it is wanted.
    pub fn close(mut self) -> anyhow::Result<()> {
        self.closing = true;
        if self.server.is_some() {
            self.stop(Duration::from_secs(30))?;
        }
        let log = self.log();
        let panics: Vec<&str> = log.lines().filter(|line| line.contains("panicked")).collect();
        anyhow::ensure!(panics.is_empty(), "the server panicked: {}", panics.join("\n"));
        if let Some(folder) = self.folder.take().filter(|_| self.keep) {
            println!("kept {}", folder.keep().display());
        }
        Ok(())
    }

    /// Resident memory now, in MB.
    pub fn memory(&self) -> anyhow::Result<f64> {
        self.status("VmRSS")
    }

    /// The most resident memory since [`Stage::forget_peak`], in MB.
    pub fn peak(&self) -> anyhow::Result<f64> {
        self.status("VmHWM")
    }

    /// Begins to measure the peak anew.
    pub fn forget_peak(&self) -> anyhow::Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.server().pid()), "5")?;
        Ok(())
    }

    /// CPU milliseconds that the process has used.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.server().pid()))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        // Fields 14 and 15 of proc(5), counted after the name, in hundredths of a second.
        let (user, system) = ticks(11).zip(ticks(12)).context("unreadable /proc/PID/stat")?;
        Ok((user + system) * 10.0)
    }

    /// Waits until `done`, at most `limit`; gives how long it took.
    pub fn wait(
        &self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<Duration> {
        let start = Instant::now();
        while !done()? {
            anyhow::ensure!(start.elapsed() < limit, "not within {limit:?}: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(start.elapsed())
    }

    /// How many events of this name SQL sees, once it sees `least`, or no more than before for 15 s.
    pub fn visible(&self, name: &str, least: u64) -> anyhow::Result<u64> {
        let api = self.server().api();
        let sql = format!("select count(*) from events where event = '{name}'");
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            let count = api.count(&sql)?;
            if count >= least || (count == seen && since.elapsed() > Duration::from_secs(15)) {
                return Ok(count);
            }
            if count > seen {
                (seen, since) = (count, Instant::now());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn status(&self, line: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.server().pid()))?;
        let value = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes: f64 =
            value.and_then(|value| value.split_whitespace().next()).context("no such line")?.parse()?;
        Ok(kilobytes / 1024.0)
    }
}

/// A stage that is not closed has failed: the end of its log tells more than the failure.
impl Drop for Stage {
    fn drop(&mut self) {
        if self.closing {
            return;
        }
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("the server's log ends with:\n{}", lines[lines.len().saturating_sub(15)..].join("\n"));
        if let Some(folder) = self.folder.take() {
            eprintln!("kept {}", folder.keep().display());
        }
    }
}
