//! P17: what is left of the most the server can do when four times as much is asked of it.

use super::process::{Running, Which};
use super::shape::PAGE;
use super::verdict::{Goal, Verdict};
use super::{Bench, client};

/// P17.
pub fn overload(bench: &Bench) -> anyhow::Result<Vec<Verdict>> {
    let (mut kept, mut walls, mut refused) = (Vec::new(), Vec::new(), 0);
    for round in 0..bench.rounds.min(3) {
        let requests = PAGE.many(u64::from(round));
        let running = Running::start(Which::Ours, bench)?;
        let before = running.cpu()?;
        let peak = client::closed(&PAGE.load(&running, &requests, bench.span))?;
        let (most, cost) = (rate(&peak), (running.cpu()? - before).ack / peak.acked as f64);
        drop(running);
        let running = Running::start(Which::Ours, bench)?;
        let before = running.cpu()?;
        let mut load = PAGE.load(&running, &requests, bench.span);
        load.connections *= 4;
        let over = client::open(&load, most * 4.0)?;
        let dearer = (running.cpu()? - before).ack / over.acked.max(1) as f64;
        kept.push(100.0 * cost / dearer);
        walls.push(100.0 * rate(&over) / most);
        refused += over.failed;
    }
    Ok(vec![
        Verdict::of("P17", "% of peak acks per CPU second at 4x load", kept, Goal::AtLeast(90.0)).noting(
            format!(
                "1024 connections, offered on a schedule by a client on the same cores; {refused} refused"
            ),
        ),
        Verdict::of("P17", "% of peak acks per second at 4x load", walls, Goal::None),
    ])
}

fn rate(outcome: &client::Outcome) -> f64 {
    outcome.acked as f64 / outcome.wall.as_secs_f64()
}
