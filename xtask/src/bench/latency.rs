//! P5: how long a client waits for its ack, at half the load that the server can take.
//!
//! The generator is an open loop: a request is due at a time and its latency counts from then, sent or not, so that a
//! stall is felt by every request behind it.

use super::process::{Running, Which};
use super::shape::PAGE;
use super::verdict::{Goal, Verdict};
use super::{Bench, client, slow_disk};
use std::time::Duration;

/// P5.
pub fn latency(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    let rate = half_of_most(bench)?;
    let mut found = round(bench, rate, &[], ("", [1.5, 10.0]))?;
    let library = slow_disk::library(bench.folder())?;
    let slow = [("LD_PRELOAD", &*library.to_string_lossy())];
    found.extend(round(bench, rate, &slow, (", flush 5 ms slower", [8.0, 20.0]))?);
    Ok(found)
}

/// Requests per second: half of what a closed loop gets through on this machine, client beside it.
fn half_of_most(bench: &Bench) -> anyhow::Result<f64> {
    let running = Running::start(Which::Ours, bench)?;
    let outcome = client::closed(&PAGE.load(&running, &PAGE.many(98), bench.span))?;
    Ok(outcome.acked as f64 / outcome.wall.as_secs_f64() / 2.0)
}

fn round(
    bench: &Bench,
    rate: f64,
    environment: &[(&str, &str)],
    (suffix, goals): (&str, [f64; 2]),
) -> anyhow::Result<Vec<Verdict>> {
    let quantiles = [0.5, 0.99];
    let mut found: Vec<Verdict> = ["p50", "p99"]
        .iter()
        .zip(goals)
        .map(|(name, goal)| {
            Verdict::of("P5", format!("ms to the ack, {name}{suffix}"), Vec::new(), Goal::AtMost(goal))
                .noting(format!("open loop, {rate:.0} page views/s"))
        })
        .collect();
    let requests = PAGE.many(99);
    // Long enough for a commit beside it.
    let span = bench.span.max(Duration::from_secs(5));
    for _ in 0..bench.rounds {
        for which in [Which::Floor, Which::Ours] {
            let running = Running::start_with(which, bench, environment)?;
            let outcome = client::open(&PAGE.load(&running, &requests, span), rate)?;
            anyhow::ensure!(outcome.failed == 0, "{} requests failed", outcome.failed);
            for (verdict, quantile) in found.iter_mut().zip(quantiles) {
                let millis = outcome.latency.value_at_quantile(quantile) as f64 / 1e3;
                match which {
                    Which::Floor => verdict.floor.push(millis),
                    Which::Ours => verdict.ours.push(millis),
                }
            }
        }
    }
    Ok(found)
}
