//! Arms one fail point from the environment; compiled with the feature `failpoints` only, which no release has.
//!
//! `TENREC_FAULT=NAME+SKIP` kills the process (SIGKILL) when the point is passed for the SKIP+1st time.
//! `TENREC_FAULT_LOG=FILE` appends a line to the file for each point passed for the first time, and one that begins with
//! `struck` for the one that kills.

use anyhow::{Context, ensure};
use rustix::process::{Signal, getpid, kill_process};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use telemetry::fault;

/// Arms what the environment asks for.
pub fn arm() -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let log = match variable("TENREC_FAULT_LOG") {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            Some(Arc::new(file.with_context(|| format!("TENREC_FAULT_LOG: cannot open {path}"))?))
        }
        None => None,
    };
    if let Some(log) = log.clone() {
        fault::watch(move |name| note(&log, name));
    }
    let Some(wanted) = variable("TENREC_FAULT") else { return Ok(()) };
    let (name, skip) = wanted.split_once('+').unwrap_or((&wanted, "0"));
    let skip = skip.parse().with_context(|| format!("TENREC_FAULT: `{skip}` is no number of passes"))?;
    ensure!(name.contains('.'), "TENREC_FAULT: `{name}` is no fail point, such as `eventlog.after_sync`");
    let name: &'static str = name.to_owned().leak();
    fault::arm(name, skip, move || {
        if let Some(log) = &log {
            note(log, &format!("struck {name}"));
        }
        let _ = kill_process(getpid(), Signal::KILL);
        // Nothing after the point may run before the signal arrives.
        loop {
            std::thread::park();
        }
    });
    Ok(())
}

/// One write call a line: lines of several threads do not mix, and a killed process leaves whole ones.
fn note(mut log: &File, text: &str) {
    let _ = log.write_all(format!("{text}\n").as_bytes());
}
