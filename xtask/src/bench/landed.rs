//! P4: events per second of server CPU until they are in Iceberg and their files merged.
//!
//! The load is offered at the goal itself, on a schedule: what the server keeps up with is sustained. Everything it uses
//! is counted, from the request to the merged file. Commits and care are as far apart, measured in what is sent, as they
//! are with the default settings in ten minutes, so that as many files are merged.

use super::process::{Running, Which};
use super::shape::{PAGES, SERVER, Shape};
use super::verdict::{Goal, Verdict};
use super::{Bench, client, peer};
use std::time::{Duration, Instant};

/// Commits in one run.
const COMMITS: u32 = 20;
/// Requests held; each is sent again with new uuids.
const REQUESTS: u64 = 500;

/// P4.
pub fn landed(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    let mut found = Vec::new();
    for (shape, goal, metric) in [
        (PAGES, 25_000.0, "page views/s/core, landed and merged"),
        (SERVER, 180_000.0, "server events/s/core, landed and merged"),
    ] {
        // Long enough for some commits; a longer run is asked for with `--seconds`.
        let span = bench.span.max(Duration::from_secs(30));
        let run = sustain(bench, shape, goal, span)?;
        let mut verdict = Verdict::of("P4", metric, vec![run.per_core], Goal::AtLeast(goal));
        verdict.cpu_us = vec![1e6 / run.per_core];
        let chdb = peer::chdb::per_core(shape.kind).map_err(|why| format!("{why:#}"));
        verdict.peers = vec![("chdb insert of 10000", chdb)];
        found.push(verdict.noting(format!(
            "{:.0} events/s for {} s; not folded yet at half time: {:.0} requests, at the end: {:.0}; {:.0} merges",
            run.offered,
            span.as_secs(),
            run.behind[0],
            run.behind[1],
            run.merges
        )));
    }
    Ok(found)
}

struct Sustained {
    per_core: f64,
    offered: f64,
    /// Requests that were acked and not folded yet, at half time and at the end: a log that grows shows here.
    behind: [f64; 2],
    merges: f64,
}

fn sustain(bench: &Bench, shape: Shape, rate: f64, span: Duration) -> anyhow::Result<Sustained> {
    let requests = shape.requests(41, REQUESTS);
    let every = (span / COMMITS).as_secs().max(1).to_string();
    let care = (span / COMMITS * 5).as_secs().max(1);
    let settings =
        [("TENREC__INGEST__COMMIT_SECONDS", &*every), ("TENREC__CARE__EVERY_SECONDS", &*care.to_string())];
    let running = Running::start_with(Which::Ours, bench, &settings)?;
    let before = running.cpu()?;
    let load = shape.load(&running, &requests, span);
    let sender = std::thread::spawn(move || client::open(&load, rate / shape.batch as f64));
    std::thread::sleep(span / 2);
    let half = waiting(&running)?;
    let outcome = sender.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
    let behind = [half, waiting(&running)?];
    let events = (outcome.acked * shape.batch) as f64;
    let start = Instant::now();
    let committed = || running.metric("tenrec_table_committed_rows_total{table=\"events\"");
    while committed()? < events {
        anyhow::ensure!(
            start.elapsed() < Duration::from_secs(120),
            "only {} of {events} landed",
            committed()?
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    // The last files get their round too.
    std::thread::sleep(Duration::from_secs(care + 1));
    let merges =
        running.metric("tenrec_table_maintenance_seconds_count{table=\"events\",work=\"compact\"")?;
    let used = running.cpu()? - before;
    let offered = events / outcome.wall.as_secs_f64();
    Ok(Sustained { per_core: events / used.whole, offered, behind, merges })
}

fn waiting(running: &Running) -> anyhow::Result<f64> {
    running.metric("tenrec_pump_lag_records")
}
