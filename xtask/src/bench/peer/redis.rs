//! Redis as a sink: one stream, every append flushed before its answer.

use super::{Work, cpu_of};
use crate::run;
use anyhow::Context as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Appends at most: some seconds' worth.
const APPENDS: u64 = 40_000;

/// Appended events per second of server CPU.
///
/// # Errors
/// When it is not installed, or fails.
pub fn per_core(work: &Work<'_>) -> anyhow::Result<f64> {
    anyhow::ensure!(run::exists("redis-server") && run::exists("redis-benchmark"), "not installed");
    let folder = work.folder.join("redis");
    std::fs::create_dir_all(&folder)?;
    let port = testkit::free_port()?.to_string();
    let mut server = Command::new("redis-server");
    server.args([
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ]);
    let server = server
        .arg("--dir")
        .arg(&folder)
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start redis-server")?;
    let server = Server(server);
    let start = Instant::now();
    let answers = || {
        run::quiet(Command::new("redis-cli").args(["-p", &port, "ping"]))
            .is_ok_and(|said| said.contains("PONG"))
    };
    while !answers() {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(10), "redis-server is not ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    let before = cpu_of(server.0.id())?;
    let mut client = Command::new("redis-benchmark");
    client.args([
        "-q",
        "-p",
        &port,
        "-c",
        "64",
        "-n",
        &APPENDS.to_string(),
        "XADD",
        "events",
        "*",
        "e",
        &work.payload,
    ]);
    run::quiet(&mut client)?;
    Ok(APPENDS as f64 / (cpu_of(server.0.id())? - before))
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
