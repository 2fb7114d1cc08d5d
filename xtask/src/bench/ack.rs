//! P1, P2, P3: events that were durable when their 200 left, per second of server CPU.

use super::process::{Running, Which};
use super::shape::{PAGE, PAGES, PAGES_GZIP, SERVER, Shape};
use super::verdict::{Goal, Verdict};
use super::{Bench, client, peer};
use anyhow::Context as _;

/// P1.
pub fn single(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    let mut verdict = measure(bench, "P1", "page views/s/core, 1 per request", (PAGE, 26_000.0))?;
    let others = peer::Work { payload: peer::page_view(), span: bench.span, folder: bench.folder() };
    verdict.peers = vec![
        ("redis stream, fsync always", peer::redis::per_core(&others).map_err(|why| format!("{why:#}"))),
        ("postgresql jsonb, fsync", peer::postgres::per_core(&others).map_err(|why| format!("{why:#}"))),
    ];
    Ok(vec![verdict])
}

/// P2.
pub fn batch(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    Ok(vec![measure(bench, "P2", "server events/s/core, 100 per request", (SERVER, 400_000.0))?])
}

/// P3.
pub fn pages(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    Ok(vec![
        measure(bench, "P3", "page views/s/core, 100 per request", (PAGES, 85_000.0))?,
        measure(bench, "P3", "page views/s/core, 100 per request, gzip", (PAGES_GZIP, 100_000.0))?,
    ])
}

fn measure(
    bench: &Bench,
    id: &'static str,
    metric: &str,
    (shape, goal): (Shape, f64),
) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::of(id, metric, Vec::new(), Goal::AtLeast(goal));
    let mut walls = Vec::new();
    // The same in every round, which begins on an empty folder.
    let requests = shape.many(1);
    for _ in 0..bench.rounds {
        for which in [Which::Floor, Which::Ours] {
            let running = Running::start(which, bench)?;
            let before = running.cpu()?;
            let outcome = client::closed(&shape.load(&running, &requests, bench.span))?;
            let used = running.cpu()? - before;
            let events = (outcome.acked * shape.batch) as f64;
            anyhow::ensure!(events > 0.0, "nothing was acked, {} failed", outcome.failed);
            match which {
                Which::Floor => verdict.floor.push(events / used.ack),
                Which::Ours => {
                    verdict.ours.push(events / used.ack);
                    verdict.cpu_us.push(used.ack * 1e6 / events);
                    walls.push(events / outcome.wall.as_secs_f64());
                }
            }
        }
    }
    let wall = super::verdict::median(&walls).context("no round")?;
    Ok(verdict
        .noting(format!("{wall:.0} events/s in all, beside the client and the landing of the same events")))
}
