//! P15: one Iceberg commit, from rows in memory to the moved pointer.

use super::Bench;
use super::verdict::{Goal, Verdict};
use crate::run;
use serde_json::Value;
use std::process::Command;

/// Commits of a run, and rows of each.
const COMMITS: &str = "300";
const ROWS: &str = "1000";

/// P15.
pub fn commit(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    let (mut middle, mut slowest) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds.min(3) {
        let folder = bench.folder().join(format!("commits-{round}"));
        let mut publish = Command::new(&bench.binaries.publish);
        let said: Value = serde_json::from_str(&run::quiet(publish.arg(&folder).args([COMMITS, ROWS]))?)?;
        middle.push(said["p50_ms"].as_f64().unwrap_or(f64::NAN));
        slowest.push(said["p99_ms"].as_f64().unwrap_or(f64::NAN));
        std::fs::remove_dir_all(folder)?;
    }
    let note = format!("{ROWS} page views each, local disk; not measured against S3");
    Ok(vec![
        Verdict::of("P15", "ms of a commit, p50, local", middle, Goal::None),
        Verdict::of("P15", "ms of a commit, p99, local", slowest, Goal::AtMost(50.0)).noting(note),
    ])
}
