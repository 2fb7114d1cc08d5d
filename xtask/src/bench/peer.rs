//! Others, for scale: each is measured when it is installed and said to be missing when not.
//!
//! They store the same bytes as durably, behind their own clients; none of them does what Tenrec does with an event.

pub mod chdb;
pub mod postgres;
pub mod redis;

use anyhow::Context as _;
use std::path::Path;
use std::time::Duration;
use testkit::workload::{Kind, Workload};

/// What a sink is given to do.
pub struct Work<'a> {
    /// One event.
    pub payload: String,
    /// For about how long.
    pub span: Duration,
    /// Where its files may lie.
    pub folder: &'a Path,
}

/// A page view as text.
pub fn page_view() -> String {
    Workload { kind: Kind::PageView, seed: 5, start: jiff::Timestamp::now() }.event(5).to_string()
}

/// CPU seconds of a process and its children, the finished ones included.
fn cpu_of(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let mut seconds = super::process::cpu_seconds(&stat)? + super::process::cpu_of_ended_children(&stat)?;
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace() {
        // One that has ended meanwhile is counted by its parent.
        seconds += cpu_of(child.parse().context("a process id")?).unwrap_or(0.0);
    }
    Ok(seconds)
}
