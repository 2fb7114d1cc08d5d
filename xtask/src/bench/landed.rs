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
use testkit::workload::Kind;

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
        let compressed = if shape.kind == Kind::Server { peer::chdb::SERVER } else { peer::chdb::PAGE };
        verdict.peers = vec![(
            "chdb insert of 10000",
            peer::chdb::per_core(compressed).map_err(|why| format!("{why:#}")),
        )];
        found.push(verdict.noting(format!(
            "{:.0} events/s offered for {} s; the log held {:.0} MB of them at half time, {:.0} MB at the end; {:.0} \
             merges",
            run.offered,
            span.as_secs(),
            run.half_mb,
            run.end_mb,
            run.merges
        )));
    }
    Ok(found)
}

struct Sustained {
    per_core: f64,
    offered: f64,
    half_mb: f64,
    end_mb: f64,
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
    let half_mb = waiting(&running)?;
    let outcome = sender.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
    let end_mb = waiting(&running)?;
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
    Ok(Sustained { per_core: events / used.whole, offered, half_mb, end_mb, merges })
}

/// Megabytes of log that are not in a table yet.
fn waiting(running: &Running) -> anyhow::Result<f64> {
    Ok(running.metric("tenrec_log_disk_bytes")? / 1e6)
}
