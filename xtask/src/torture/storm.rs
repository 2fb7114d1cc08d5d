//! R13: a storm of retries. A proxy loses a fifth of the answers after the server gave them; every order is sent one to
//! five times, some at the same time, through restarts. Each event is visible once.

use super::Plan;
use super::proxy::Proxy;
use crate::crash::{self, Trial};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::{Numbers, Server};

/// Answers lost, in percent.
const LOST: u64 = 20;
const WRITERS: u64 = 12;

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let wanted = plan.amount(20_000, 2_000_000);
    let trial = Trial::new("storm", plan.binary()?, plan.seed, crash::SETTINGS)?;
    let port = trial.setup.port.context("a trial has a port")?;
    let proxy = Proxy::start(port, LOST, plan.seed)?;
    let mut server = Server::start(&trial.setup)?;
    let crew = trial.storm(&proxy.url, WRITERS);
    let mut chance = Numbers::of(plan.seed, 0x7374_6f72);
    let mut restarts = 0;
    let start = Instant::now();
    let mut told = 0;
    while crew.events() < wanted {
        std::thread::sleep(Duration::from_millis(500 + chance.below(4000)));
        // Half of the restarts are kills.
        match chance.below(2) {
            0 => server.kill()?,
            _ => drop(server.stop(Duration::from_secs(20))?),
        }
        restarts += 1;
        server = Server::start(&trial.setup).with_context(|| format!("after restart {restarts}"))?;
        if start.elapsed().as_secs() / 10 > told {
            told += 1;
            println!("{} events, {restarts} restarts", crew.events());
        }
    }
    let sent = crew.end()?;
    let (passed, lost) = proxy.counts();
    drop(proxy);
    let duplicates = server.api().metric("tenrec_pump_duplicates_total")?;
    let mut figures = trial.judge(plan.root, server, &sent, plan.keep)?;
    anyhow::ensure!(lost > 0 && passed > 0, "{lost} answers lost, {passed} passed: no storm");
    figures["restarts"] = restarts.into();
    figures["answers"] = json!({"passed": passed, "lost": lost});
    figures["sent_again_on_purpose"] = sent.iter().map(|one| one.again).sum::<u64>().into();
    figures["duplicates_since_the_last_start"] = duplicates.into();
    Ok(figures)
}
