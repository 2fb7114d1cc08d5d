//! P14: from the start of the process until it is ready.

use super::process::{Running, Which};
use super::verdict::{Goal, Verdict};
use super::{Bench, kept};
use crate::run;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::server::Setup;

/// Bytes of log to recover.
const LOG: u64 = 1 << 30;

/// P14.
pub fn start(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    let mut empty = Vec::new();
    for _ in 0..bench.rounds * 2 {
        empty.push(Running::start(Which::Ours, bench)?.started_ms());
    }
    let log = full_log(bench)?;
    let mut recovered = Vec::new();
    for _ in 0..bench.rounds.min(3) {
        // A start makes everything else of a folder, which knows its own place.
        drop(Running::start(Which::Ours, bench)?);
        let data = bench.folder().join("data");
        std::fs::remove_dir_all(data.join("log"))?;
        copy(&log, &data.join("log"))?;
        let setup = Setup { binary: bench.binaries.ours.clone(), data, port: None, environment: Vec::new() };
        recovered.push(Running::start_on(setup)?.started_ms() / 1e3);
    }
    Ok(vec![
        Verdict::of("P14", "ms until ready, empty folder", empty, Goal::AtMost(150.0)),
        Verdict::of("P14", "s until ready, 1 GB of log", recovered, Goal::AtMost(5.0)),
    ])
}

/// A log that was never folded; made once.
fn full_log(bench: &Bench) -> anyhow::Result<PathBuf> {
    let (folder, part) = (kept("log")?.join("full"), kept("log")?.join("part"));
    if folder.exists() {
        return Ok(folder);
    }
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    let mut fill = Command::new(&bench.binaries.fill);
    println!("{}", run::quiet(fill.arg(&part).arg(LOG.to_string()))?.trim());
    std::fs::rename(part, &folder)?;
    Ok(folder)
}

/// Copies a folder of files.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
