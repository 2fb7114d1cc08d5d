//! R12: SIGTERM under load, again and again on one folder: it ends within ten seconds, and what was acked is there.

use super::load::{self, Load};
use super::stage::Stage;
use super::{Plan, batch};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::Numbers;
use testkit::server::PROJECT_KEY;

/// A stop may take this long.
const LIMIT: Duration = Duration::from_secs(10);
/// Events of a request.
const EVENTS: u64 = 10;

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let mut chance = Numbers::new(plan.seed);
    let mut stage = Stage::open(plan, &[("TENREC__INGEST__COMMIT_SECONDS", "1")])?;
    let requests = batch::page_views(PROJECT_KEY, "load", plan.seed, EVENTS);
    let times = plan.amount(5, 100);
    let (mut acked, mut unknown, mut longest) = (0, 0, Duration::ZERO);
    for _ in 0..times {
        let span = Duration::from_millis(1500);
        let load = Load {
            address: stage.address(),
            requests: requests.clone(),
            clients: 24,
            span,
            rate: None,
            fresh: false,
            gives_up: None,
        };
        let clients = std::thread::spawn(move || load::send(&load));
        std::thread::sleep(Duration::from_millis(300 + chance.below(1100)));
        longest = longest.max(stage.restart(LIMIT)?);
        let tally = clients.join().map_err(|_| anyhow::anyhow!("the clients panicked"))??;
        anyhow::ensure!(tally.odd.is_empty(), "other answers than 200 and 503: {:?}", tally.odd);
        acked += tally.acked;
        unknown += tally.broken;
    }
    let least = acked * EVENTS;
    let seen = stage.visible("load", least)?;
    let figures = json!({
        "stops": times, "acked": acked, "broken": unknown, "visible": seen, "longest_s": longest.as_secs_f64(),
    });
    anyhow::ensure!(seen >= least, "{} acked events were lost: {figures}", least - seen);
    anyhow::ensure!(acked > 0, "nothing was acked: {figures}");
    // Refused connections are counted as broken, too, so this bound is wide.
    anyhow::ensure!(seen <= least + unknown * EVENTS, "more events than were sent: {figures}");
    stage.close()?;
    Ok(figures)
}
