//! R1: SIGKILL at random moments under load, again and again on one data folder.

use super::Plan;
use crate::crash;
use serde_json::Value;

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let options = crash::Options {
        kills: plan.amount(40, 2000),
        seed: Some(plan.seed),
        writers: 12,
        release: plan.profile == testkit::Profile::Release,
        keep: plan.keep,
    };
    crash::measure(plan.root, &options)
}
