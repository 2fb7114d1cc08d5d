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
    let full = full_folder(bench)?;
    let mut recovered = Vec::new();
    for _ in 0..bench.rounds.min(3) {
        let data = bench.folder().join("recover");
        copy(&full, &data)?;
        let setup = Setup {
            binary: bench.binaries.ours.clone(),
            data: data.clone(),
            port: None,
            environment: Vec::new(),
        };
        recovered.push(Running::start_on(setup)?.started_ms() / 1e3);
        std::fs::remove_dir_all(data)?;
    }
    Ok(vec![
        Verdict::of("P14", "ms until ready, empty folder", empty, Goal::AtMost(150.0)),
        Verdict::of("P14", "s until ready, 1 GB of log", recovered, Goal::AtMost(5.0)),
    ])
}

/// A folder whose log was never folded; made once.
fn full_folder(bench: &Bench) -> anyhow::Result<PathBuf> {
    let (folder, part) = (kept("full")?.join("data"), kept("full")?.join("part"));
    if folder.exists() {
        return Ok(folder);
    }
    if part.exists() {
        std::fs::remove_dir_all(&part)?;
    }
    let setup = Setup {
        binary: bench.binaries.ours.clone(),
        data: part.clone(),
        port: None,
        environment: Vec::new(),
    };
    drop(Running::start_on(setup)?);
    let mut fill = Command::new(&bench.binaries.fill);
    fill.arg(part.join("log")).arg(LOG.to_string());
    println!("{}", run::quiet(&mut fill)?.trim());
    std::fs::rename(part, &folder)?;
    Ok(folder)
}

/// Copies a folder; the segments of a log as they lie on the disk.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (entry, to) = (entry?, to.to_owned());
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), &target)?),
        }
    }
    Ok(())
}
