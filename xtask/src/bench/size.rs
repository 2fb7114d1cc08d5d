//! P7 and P8: bytes on disk per event.
//!
//! Of the table with a sample in which nothing repeats that does not repeat by nature: a sample sent twice would be
//! compressed to a fraction. In this one every page view is a session of its own, which is the worst case: its ids are
//! in the properties and in columns of their own.

use super::process::{Running, Which};
use super::shape::{PAGE, PAGES, SERVER, Shape};
use super::verdict::{Goal, Verdict};
use super::{Bench, client};
use std::path::Path;
use std::time::{Duration, Instant};

/// Requests of 100 events, each sent once.
const REQUESTS: u64 = 1_000;

/// P7.
pub fn table(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    [(PAGES, 260.0, "bytes of table per page view"), (SERVER, 45.0, "bytes of table per server event")]
        .into_iter()
        .map(|(shape, goal, metric)| one_table(bench, shape, (metric, goal)))
        .collect()
}

fn one_table(bench: &Bench, shape: Shape, (metric, goal): (&str, f64)) -> anyhow::Result<Verdict> {
    // One commit takes all of it, as the busiest half minute would.
    let settings = [("TENREC__INGEST__COMMIT_SECONDS", "5"), ("TENREC__INGEST__COMMIT_BYTES", "1073741824")];
    let running = Running::start_with(Which::Ours, bench, &settings)?;
    let mut load = shape.load(&running, &shape.requests(7, REQUESTS), Duration::from_secs(60));
    load.most = REQUESTS;
    let outcome = client::closed(&load)?;
    let events = (outcome.acked * shape.batch) as f64;
    let start = Instant::now();
    let of = |what: &str| running.metric(&format!("tenrec_table_committed_{what}_total{{table=\"events\""));
    while of("rows")? < events {
        anyhow::ensure!(
            start.elapsed() < Duration::from_secs(60),
            "{} of {events} rows committed",
            of("rows")?
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let whole = folder_bytes(&bench.folder().join("data/warehouse"))? as f64 / events;
    let bytes = of("bytes")? / events;
    Ok(Verdict::of("P7", metric, vec![bytes], Goal::AtMost(goal))
        .noting(format!("{whole:.0} with persons, ids and metadata; {events:.0} events")))
}

fn folder_bytes(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        sum += if kind.is_dir() { folder_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

/// P8.
pub fn log(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    let mut verdict =
        Verdict::of("P8", "bytes of log per page view, 1 per request", Vec::new(), Goal::AtMost(450.0));
    let requests = PAGE.many(1);
    for _ in 0..bench.rounds {
        let running = Running::start(Which::Ours, bench)?;
        let outcome = client::closed(&PAGE.load(&running, &requests, bench.span))?;
        verdict.ours.push(running.metric("tenrec_log_written_bytes_total")? / outcome.acked as f64);
    }
    Ok(vec![verdict.noting("256 connections, so that many share a write")])
}
