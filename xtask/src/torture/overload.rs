//! R10: four times the requests that the server can take, then the same while nothing can be committed.
//!
//! Memory stays below its ceiling, what is too much is told when to come again, what is taken is answered in time, and
//! the server is as before when it is over. Client and server share the machine, so rates are judged beside each other.

use super::load::{self, Load, Tally};
use super::stage::Stage;
use super::{Plan, batch};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::server::PROJECT_KEY;

/// The ceiling of resident memory with the default settings, in MB, and the tenth that it may be passed by.
const CEILING: f64 = 512.0 * 1.1;
/// How long somebody waits to be heard when all lines are taken.
const PATIENCE: Duration = Duration::from_millis(100);
/// Events of a request.
const EVENTS: u64 = 20;

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let span = Duration::from_secs(plan.amount(8, 300));
    let stage = Stage::open(plan, &[("TENREC__INGEST__COMMIT_SECONDS", "5")])?;
    let requests = batch::page_views(PROJECT_KEY, "load", plan.seed, EVENTS);
    let plain = Load {
        address: stage.address(),
        requests,
        clients: 16,
        span: Duration::from_secs(4),
        rate: None,
        fresh: false,
        gives_up: None,
    };
    let peak = load::send(&plain)?;
    let quiet = calm(&stage, plan.seed)?;
    let over = load::send(&Load {
        clients: 600,
        span,
        rate: Some(peak.rate() * 4.0),
        gives_up: Some(PATIENCE),
        ..plain.clone()
    })?;
    let back = recover(&stage, plan.seed, quiet)?;
    let high = stage.peak()?;
    let figures = json!({
        "peak": peak.figures(), "overload": over.figures(), "rss_mb": high.round(),
        "quiet_ms": quiet, "back_s": back.as_secs_f64(),
    });
    judge(plan, &peak, &over, high).map_err(|fault| anyhow::anyhow!("{fault}: {figures}"))?;
    let least = (peak.acked + over.acked) * EVENTS;
    let seen = stage.visible("load", least)?;
    let most = least + (peak.broken + over.broken) * EVENTS;
    anyhow::ensure!(
        (least..=most).contains(&seen),
        "{seen} events visible, {least} acked, at most {most} sent"
    );
    stage.close()?;
    let stuck = stuck(plan)?;
    Ok(json!({"load": figures, "without_commits": stuck}))
}

/// Bytes that cause a commit where commits are made impossible.
const COMMIT_BYTES: f64 = 8_000_000.0;

/// The tables cannot be written for a while: what waits in memory stays bounded, and nothing of it is lost.
fn stuck(plan: &Plan) -> anyhow::Result<Value> {
    let bytes = COMMIT_BYTES.to_string();
    let settings =
        [("TENREC__INGEST__COMMIT_BYTES", bytes.as_str()), ("TENREC__INGEST__COMMIT_SECONDS", "1")];
    let stage = Stage::open(plan, &settings)?;
    let load = Load {
        address: stage.address(),
        requests: batch::page_views(PROJECT_KEY, "load", plan.seed, EVENTS),
        clients: 16,
        span: Duration::from_secs(plan.amount(6, 60)),
        rate: None,
        fresh: false,
        gives_up: None,
    };
    let first = load::send(&Load { span: Duration::from_secs(1), ..load.clone() })?;
    // A file where the folder of the tables was: whatever is written fails.
    let (tables, away) = (stage.data().join("warehouse"), stage.data().join("warehouse.away"));
    std::fs::rename(&tables, &away)?;
    std::fs::write(&tables, "")?;
    let tally = load::send(&load)?;
    let tail = stage.server().api().metric("tenrec_table_tail_bytes")?;
    std::fs::remove_file(&tables)?;
    std::fs::rename(&away, &tables)?;
    let least = (first.acked + tally.acked) * EVENTS;
    let seen = stage.visible("load", least)?;
    let figures = json!({
        "load": tally.figures(), "tail_mb": (tail / 1e6).round(), "acked": least, "visible": seen,
        "rss_mb": stage.peak()?.round(),
    });
    anyhow::ensure!(seen == least && tally.broken == 0, "visible is not what was acked: {figures}");
    // A piece more may be folded before it is looked at again.
    anyhow::ensure!(tail <= COMMIT_BYTES * 2.0 + 40e6, "what waits in memory grows: {figures}");
    anyhow::ensure!(tail >= COMMIT_BYTES, "commits were not held up: {figures}");
    stage.close()?;
    Ok(figures)
}

fn judge(plan: &Plan, peak: &Tally, over: &Tally, high: f64) -> anyhow::Result<()> {
    anyhow::ensure!(high <= CEILING, "resident memory came to {high:.0} MB");
    anyhow::ensure!(over.odd.is_empty(), "other answers than 200, 429 and 503 with a time");
    anyhow::ensure!(over.broken == 0, "{} requests were not answered", over.broken);
    anyhow::ensure!(over.rate() >= peak.rate() * 0.5, "the rate fell below half under load");
    // A build without optimisation is too slow to be judged by the clock.
    if plan.profile == testkit::Profile::Release {
        anyhow::ensure!(over.rate() >= peak.rate() * 0.9, "the rate fell below nine tenths under load");
        anyhow::ensure!(over.latency.at(0.99) <= 250.0, "what was taken was answered late");
    }
    Ok(())
}

/// Milliseconds that one small request takes when nothing else goes on, at the median.
fn calm(stage: &Stage, seed: u64) -> anyhow::Result<f64> {
    let requests = batch::singles(PROJECT_KEY, "calm", seed);
    let span = Duration::from_secs(1);
    let load = Load {
        address: stage.address(),
        requests,
        clients: 1,
        span,
        rate: Some(50.0),
        fresh: false,
        gives_up: None,
    };
    Ok(load::send(&load)?.latency.at(0.5))
}

/// Waits until a small request is answered as it was before.
fn recover(stage: &Stage, seed: u64, quiet: f64) -> anyhow::Result<Duration> {
    let start = Instant::now();
    loop {
        if calm(stage, seed)? <= quiet * 2.0 + 5.0 {
            return Ok(start.elapsed());
        }
        anyhow::ensure!(start.elapsed() < Duration::from_secs(6), "not as before within 5 s");
    }
}
