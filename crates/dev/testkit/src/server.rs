//! The real server as a child process: started on a free port, ready when `new` returns, gone on drop.

use crate::{Api, free_port};
use anyhow::Context as _;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The project key every test server is started with.
pub const PROJECT_KEY: &str = "phc_testkit0000000000000000000000000000000000000";
/// The personal key every test server is started with.
pub const PERSONAL_KEY: &str = "phx_testkit0000000000000000000000000000000000000";

const READY_WITHIN: Duration = Duration::from_secs(30);

/// What to start.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The `tenrec` binary.
    pub binary: PathBuf,
    /// The data folder; made when missing.
    pub data: PathBuf,
    /// The port; a free one when absent.
    pub port: Option<u16>,
    /// Environment beside the two keys, such as `TENREC__CLOCK__FIXED`.
    pub environment: Vec<(String, String)>,
}

/// A running server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    url: String,
    log: PathBuf,
    started_in: Duration,
}

impl Server {
    /// Starts the server and waits until `/_readiness` answers 200.
    ///
    /// # Errors
    /// When it ends or is not ready within 30 s; the error holds the end of its log.
    pub fn start(setup: &Setup) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&setup.data)?;
        let port = setup.port.map_or_else(free_port, Ok)?;
        let address = format!("127.0.0.1:{port}");
        let log = setup.data.with_extension("log");
        let output = OpenOptions::new().create(true).append(true).open(&log)?;
        let start = Instant::now();
        let child = Command::new(&setup.binary)
            .arg("serve")
            .arg("--data")
            .arg(&setup.data)
            .args(["--listen", &address])
            .env("TENREC__BOOTSTRAP__PROJECT_KEY", PROJECT_KEY)
            .env("TENREC__BOOTSTRAP__PERSONAL_KEY", PERSONAL_KEY)
            .envs(setup.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", setup.binary.display()))?;
        let mut server = Self { child, url: format!("http://{address}"), log, started_in: Duration::ZERO };
        server.wait_ready(start)?;
        Ok(server)
    }

    /// `http://ADDRESS:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The process id, for `/proc`.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// From spawn to the first 200 of `/_readiness`.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// A client with this server's keys.
    pub fn api(&self) -> Api {
        Api::new(&self.url, PROJECT_KEY, PERSONAL_KEY)
    }

    /// Kills the process where it stands (SIGKILL) and waits for its end.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to end (SIGTERM) and waits at most `limit`.
    pub fn stop(mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.ended(limit)?.with_context(|| format!("still running {limit:?} after SIGTERM"))
    }

    /// Waits at most `limit` for the process to end by itself; `None` when it goes on.
    pub fn ended(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let start = Instant::now();
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || start.elapsed() > limit {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait_ready(&mut self, start: Instant) -> anyhow::Result<()> {
        let api = self.api();
        loop {
            if api.ready() {
                self.started_in = start.elapsed();
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || start.elapsed() > READY_WITHIN {
                anyhow::bail!("server not ready ({ended:?}); its log ends with:\n{}", tail(&self.log));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tail(log: &Path) -> String {
    let text =
        std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
