//! A server under measurement: ours or the floor, and what `/proc` says of it.

use super::Bench;
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testkit::server::{PERSONAL_KEY, PROJECT_KEY, Setup};
use testkit::{Api, Server, binary, free_port};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Reads a body, appends, syncs, answers.
    Floor,
    /// `tenrec serve`.
    Ours,
}

/// What is run.
pub struct Binaries {
    /// `floor`.
    pub floor: PathBuf,
    /// `tenrec`.
    pub ours: PathBuf,
    /// Fills a log, see `crates/data/ingest/examples/fill.rs`.
    pub fill: PathBuf,
    /// Commits again and again, see `crates/data/table/examples/publish.rs`.
    pub publish: PathBuf,
}

impl Binaries {
    /// Builds them all for release.
    pub fn build(root: &Path) -> anyhow::Result<Self> {
        let (ours, examples) = binary::build_with_examples(root)?;
        let floor = binary::build_floor(root)?;
        Ok(Self { floor, ours, fill: examples.join("fill"), publish: examples.join("publish") })
    }
}

/// One running server on an empty folder. It is killed when this is dropped.
pub enum Running {
    /// The floor and its address.
    Floor(Child, String),
    /// Ours.
    Ours(Box<Server>),
}

impl Running {
    /// Starts on an empty folder.
    pub fn start(which: Which, bench: &Bench) -> anyhow::Result<Self> {
        Self::start_with(which, bench, &[])
    }

    /// Starts on an empty folder, with more in its environment.
    pub fn start_with(which: Which, bench: &Bench, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let data = bench.folder().join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let environment =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match which {
            Which::Ours => {
                Self::start_on(Setup { binary: bench.binaries.ours.clone(), data, port: None, environment })
            }
            Which::Floor => {
                std::fs::create_dir_all(&data)?;
                let address = format!("127.0.0.1:{}", free_port()?);
                let child = Command::new(&bench.binaries.floor)
                    .arg(data.join("floor.log"))
                    .arg(&address)
                    .envs(environment)
                    .stdin(Stdio::null())
                    .spawn()
                    .context("cannot start the floor")?;
                let running = Self::Floor(child, address);
                running.wait_ready()?;
                Ok(running)
            }
        }
    }

    /// Starts ours on a folder as it is.
    pub fn start_on(setup: Setup) -> anyhow::Result<Self> {
        Ok(Self::Ours(Box::new(Server::start(&setup)?)))
    }

    /// A client with the keys of the servers under test.
    pub fn api(&self) -> Api {
        Api::new(&format!("http://{}", self.address()), PROJECT_KEY, PERSONAL_KEY)
    }

    /// The sum of the series that start with `prefix`.
    pub fn metric(&self, prefix: &str) -> anyhow::Result<f64> {
        self.api().metric(prefix)
    }

    /// From spawn to ready, in milliseconds.
    pub fn started_ms(&self) -> f64 {
        match self {
            Self::Floor(..) => 0.0,
            Self::Ours(server) => server.started_in().as_secs_f64() * 1e3,
        }
    }

    /// `ADDRESS:PORT`.
    pub fn address(&self) -> &str {
        match self {
            Self::Floor(_, address) => address,
            Self::Ours(server) => server.url().trim_start_matches("http://"),
        }
    }

    /// CPU seconds used so far, user and system.
    pub fn cpu(&self) -> anyhow::Result<Cpu> {
        let whole = cpu_seconds(&std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?)?;
        let mut behind = 0.0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            // A thread may end while the list is read.
            let Ok(stat) = std::fs::read_to_string(thread?.path().join("stat")) else { continue };
            if stat.contains("(pump)") || stat.contains("(query)") {
                behind += cpu_seconds(&stat)?;
            }
        }
        Ok(Cpu { whole, ack: whole - behind })
    }

    /// A line of `/proc/PID/status` in MB: `VmRSS` (now) or `VmHWM` (peak).
    pub fn memory(&self, line: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let value = text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes: f64 =
            value.and_then(|value| value.split_whitespace().next()).context("no such line")?.parse()?;
        Ok(kilobytes / 1024.0)
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Floor(child, _) => child.id(),
            Self::Ours(server) => server.pid(),
        }
    }

    fn wait_ready(&self) -> anyhow::Result<()> {
        let api = Api::new(&format!("http://{}", self.address()), "", "");
        let start = Instant::now();
        while !api.ready() {
            anyhow::ensure!(start.elapsed() < Duration::from_secs(10), "the floor is not ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

/// CPU seconds of a process.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// All of it.
    pub whole: f64,
    /// What a client waits for: everything but the threads that fold, commit and answer queries.
    pub ack: f64,
}

impl std::ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { whole: self.whole - before.whole, ack: self.ack - before.ack }
    }
}

/// Reads a line of `/proc/PID/stat` or `/proc/PID/task/TID/stat`.
pub fn cpu_seconds(stat: &str) -> anyhow::Result<f64> {
    // Fields 14 and 15 of proc(5), counted after the name.
    ticks(stat, 11)
}

/// The same of children that have ended and were waited for.
pub fn cpu_of_ended_children(stat: &str) -> anyhow::Result<f64> {
    ticks(stat, 13)
}

/// The sum of two neighbouring fields; Linux counts them in hundredths of a second.
fn ticks(stat: &str, at: usize) -> anyhow::Result<f64> {
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = field(at).zip(field(at + 1)).context("unreadable /proc/PID/stat")?;
    Ok((user + system) / 100.0)
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Floor(child, _) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
