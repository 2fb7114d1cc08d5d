//! P9: resident memory of the server, as `/proc` counts it.

use super::process::{Running, Which};
use super::shape::{PAGE, PAGES, PAGES_GZIP, SERVER};
use super::verdict::{Goal, Verdict};
use super::{Bench, client};
use std::time::Duration;

/// P9.
pub fn memory(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    let (mut idle, mut loaded, mut most) = (Vec::new(), Vec::new(), Vec::new());
    let mut peaks = Vec::new();
    let span = bench.span * 2;
    let loads = [PAGE, PAGES, PAGES_GZIP, SERVER].map(|shape| (shape, shape.many(1)));
    for _ in 0..bench.rounds.min(3) {
        for (shape, requests) in &loads {
            let running = Running::start(Which::Ours, bench)?;
            std::thread::sleep(Duration::from_millis(500));
            idle.push(running.memory("VmRSS")?);
            client::closed(&shape.load(&running, requests, span))?;
            let peak = running.memory("VmHWM")?;
            if shape.batch == 1 { loaded.push(peak) } else { peaks.push(peak) }
        }
        most.push(peaks.drain(..).fold(0.0, f64::max));
    }
    Ok(vec![
        Verdict::of("P9", "MB resident, idle", idle, Goal::AtMost(40.0)),
        Verdict::of("P9", "MB resident at most, page views, 256 connections", loaded, Goal::AtMost(160.0)),
        Verdict::of("P9", "MB resident at most, batches", most, Goal::AtMost(512.0)),
    ])
}
