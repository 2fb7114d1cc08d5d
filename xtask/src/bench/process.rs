//! A server under measurement: ours or the floor, and what `/proc` says of it.

use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use testkit::server::Setup;
use testkit::{Api, Server, free_port};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Reads a body, appends, syncs, answers.
    Floor,
    /// `tenrec serve`.
    Ours,
}

/// The binaries of both.
pub struct Binaries {
    /// `floor`.
    pub floor: PathBuf,
    /// `tenrec`.
    pub ours: PathBuf,
}

/// One running server on an empty folder. It is killed when this is dropped.
pub enum Running {
    /// The floor and its address.
    Floor(Child, String),
    /// Ours.
    Ours(Box<Server>),
}

impl Running {
    /// Starts on `folder`, which is emptied first.
    pub fn start(which: Which, binaries: &Binaries, folder: &Path) -> anyhow::Result<Self> {
        let data = folder.join("data");
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        match which {
            Which::Ours => {
                let setup =
                    Setup { binary: binaries.ours.clone(), data, port: None, environment: Vec::new() };
                Ok(Self::Ours(Box::new(Server::start(&setup)?)))
            }
            Which::Floor => {
                std::fs::create_dir_all(&data)?;
                let address = format!("127.0.0.1:{}", free_port()?);
                let child = Command::new(&binaries.floor)
                    .arg(data.join("floor.log"))
                    .arg(&address)
                    .stdin(Stdio::null())
                    .spawn()
                    .context("cannot start the floor")?;
                let running = Self::Floor(child, address);
                running.wait_ready()?;
                Ok(running)
            }
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
fn cpu_seconds(stat: &str) -> anyhow::Result<f64> {
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    // Fields 14 and 15 of proc(5), counted after the name; Linux counts them in hundredths of a second.
    let (user, system) = ticks(11).zip(ticks(12)).context("unreadable /proc/PID/stat")?;
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
