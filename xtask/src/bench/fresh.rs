//! P6: how long after its ack an event is seen, by SQL and by whoever reads the Iceberg table.

use super::process::{Running, Which};
use super::shape::PAGE;
use super::verdict::{Goal, Verdict};
use super::{Bench, client};
use serde_json::Value;
use std::time::{Duration, Instant};
use testkit::api::Body;
use testkit::server::PROJECT_KEY;
use testkit::workload::{Kind, Workload};

const PROBES: u64 = 100;
/// Page views per second beside the probes of the second part.
const BESIDE: f64 = 5_000.0;

/// P6.
pub fn fresh(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    let running = Running::start(Which::Ours, bench)?;
    let started = Instant::now();
    let alone = probe(&running, 77)?;
    let load = PAGE.load(&running, &PAGE.many(78), bench.span.max(Duration::from_secs(5)));
    let beside = std::thread::spawn(move || client::open(&load, BESIDE));
    let loaded = probe(&running, 79)?;
    beside.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
    Ok(vec![
        Verdict::of("P6", "ms from ack to SQL, p99, idle", vec![alone], Goal::AtMost(1_000.0)),
        Verdict::of("P6", "ms from ack to SQL, p99, loaded", vec![loaded], Goal::AtMost(1_000.0))
            .noting(format!("{BESIDE:.0} page views/s beside it")),
        Verdict::of(
            "P6",
            "s from ack to Iceberg, first commit",
            vec![committed(&running, started)?],
            Goal::AtMost(60.0),
        ),
    ])
}

/// Milliseconds of the slowest of a hundred single events, but one.
fn probe(running: &Running, seed: u64) -> anyhow::Result<f64> {
    let api = running.api();
    let mut times = client::microseconds();
    let workload = Workload { kind: Kind::PageView, seed, start: jiff::Timestamp::now() };
    for number in 0..PROBES {
        let event = workload.event(number);
        let body = Body { path: "/i/v0/e/", bytes: workload.single(PROJECT_KEY, number), gzip: false };
        let (status, text) = api.send(&body)?;
        anyhow::ensure!(status == 200, "{status} {text}");
        let acked = Instant::now();
        let uuid = event.get("uuid").and_then(Value::as_str).unwrap_or_default();
        let sql = format!("select count(*) from events where uuid = '{uuid}'");
        while api.count(&sql)? == 0 {
            anyhow::ensure!(acked.elapsed() < Duration::from_secs(30), "not visible after 30 s: {event}");
        }
        times.saturating_record(u64::try_from(acked.elapsed().as_micros())?);
    }
    Ok(times.value_at_quantile(0.99) as f64 / 1e3)
}

/// Seconds since the first ack at which the first commit is there: no event waits longer than the first.
fn committed(running: &Running, started: Instant) -> anyhow::Result<f64> {
    while running.metric("tenrec_table_committed_rows_total{table=\"events\"")? == 0.0 {
        anyhow::ensure!(started.elapsed() < Duration::from_secs(120), "nothing in Iceberg after two minutes");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(started.elapsed().as_secs_f64())
}
