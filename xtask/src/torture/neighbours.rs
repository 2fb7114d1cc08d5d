//! R20: one project sends ten times what each of the others sends; the others do not notice.

use super::load::{self, Load, Tally};
use super::stage::Stage;
use super::{Plan, batch};
use serde_json::{Value, json};
use std::time::Duration;

/// Projects that behave.
const OTHERS: u64 = 8;

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    // A key that nobody has makes its project.
    let stage = Stage::open(plan, &[("TENREC__CAPTURE__TOKEN_MODE", "open")])?;
    let span = Duration::from_secs(plan.amount(8, 60));
    let mut requests = Vec::new();
    for other in 0..OTHERS {
        let key = format!("phc_neighbour_{other}");
        requests.extend(batch::singles(&key, "quiet", plan.seed + other).iter().take(32).cloned());
    }
    let share = plan.amount(4, 20) as f64;
    let quiet = Load {
        address: stage.address(),
        requests: std::sync::Arc::new(requests),
        clients: 16,
        span,
        rate: Some(share * OTHERS as f64),
        fresh: false,
        gives_up: None,
    };
    let loud = Load {
        requests: batch::page_views("phc_loud", "loud", plan.seed, 5),
        clients: 64,
        rate: Some(share * 10.0),
        ..quiet.clone()
    };
    load::send(&Load { span: Duration::from_secs(2), ..quiet.clone() })?;
    let before = load::send(&quiet)?;
    let other = loud.clone();
    let loud = std::thread::spawn(move || load::send(&other));
    let beside = load::send(&quiet)?;
    let loud = loud.join().map_err(|_| anyhow::anyhow!("the loud client panicked"))??;
    let figures = json!({"before": before.figures(), "beside": beside.figures(), "loud": loud.figures()});
    judge(plan, &before, &beside).map_err(|fault| anyhow::anyhow!("{fault}: {figures}"))?;
    stage.close()?;
    Ok(figures)
}

fn judge(plan: &Plan, before: &Tally, beside: &Tally) -> anyhow::Result<()> {
    anyhow::ensure!(beside.odd.is_empty() && beside.broken == 0, "the quiet projects got odd answers");
    anyhow::ensure!(beside.refused == 0, "the quiet projects were refused");
    let (was, is) = (before.latency.at(0.99), beside.latency.at(0.99));
    if plan.profile == testkit::Profile::Release {
        anyhow::ensure!(is <= (was * 1.5).max(10.0), "their p99 went from {was} to {is} ms");
    }
    Ok(())
}
