//! R6: everybody changes the same table. The server appends and merges, commands merge, drop old days and expire, and
//! pyiceberg appends and overwrites through the REST catalog. No commit is lost, nobody tries for ever, and every
//! snapshot holds exactly the rows that its parent and its own change say.

use super::Plan;
use super::tend::{self, Tender};
use crate::crash::Trial;
use crate::{install, run};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use testkit::server::PERSONAL_KEY;
use testkit::{Api, Server};

const WRITERS: u64 = 3;

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let wanted = plan.amount(100, 2_000);
    let python = install::python_only(plan.root)?;
    let script = plan.root.join("e2e/write_beside.py");
    let trial = Trial::new("conflicts", plan.binary()?, plan.seed, tend::SETTINGS)?;
    let server = Server::start(&trial.with(&[
        // Every snapshot stays, so that all of them can be looked at.
        ("TENREC__CARE__GRACE_SECONDS", "7200".to_owned()),
        // A commit that waits for room does not give way to others: here each is made because it is time.
        ("TENREC__INGEST__COMMIT_BYTES", "8000000".to_owned()),
    ]))?;
    let tender = Tender::of(&trial.setup.binary, server.url());
    tend::send(&server.api(), "template", "template", 1, 0)?;
    let crew = trial.crew(server.url(), WRITERS);
    let over = AtomicBool::new(false);
    let (outside, tended) = std::thread::scope(|scope| {
        let (over, api) = (&over, server.api());
        let tended = scope.spawn(move || tend_on(&tender, &api, over));
        let outside = pyiceberg(&python, &script, &["write", server.url(), &wanted.to_string()]);
        over.store(true, Ordering::Release);
        let tended = tended.join().map_err(|_| anyhow::anyhow!("the one who tends panicked"));
        (outside, tended.and_then(|tended| tended))
    });
    let sent = crew.end()?;
    let (outside, tended) = (outside?, tended?);
    let checked = pyiceberg(&python, &script, &["check", server.url(), &outside["rows"].to_string()])?;
    let commits = checked["commits"].as_u64().context("the script counts commits")?;
    anyhow::ensure!(commits >= wanted, "{commits} commits are too few: {outside} {tended}");
    for (what, value) in [("appends of pyiceberg", &outside["appends"]), ("merges", &checked["merges"])] {
        anyhow::ensure!(value.as_u64() > Some(0), "no {what}: {outside} {checked}");
    }
    let judged = trial.judge(plan.root, server, &sent, plan.keep)?;
    Ok(json!({"outside": outside, "tended": tended, "checked": checked, "judged": judged}))
}

fn pyiceberg(python: &Path, script: &Path, words: &[&str]) -> anyhow::Result<Value> {
    let mut command = Command::new(python);
    command.arg(script).args(words).env("TENREC_PERSONAL_KEY", PERSONAL_KEY);
    let told = run::quiet(&mut command)?;
    serde_json::from_str(told.trim()).with_context(|| told.clone())
}

/// Merges and drops old days for as long as the other program writes. A command that lost says so; it is no fault.
fn tend_on(tender: &Tender, api: &Api, over: &AtomicBool) -> anyhow::Result<Value> {
    let (mut done, mut lost) = (0_u64, 0_u64);
    while !over.load(Ordering::Acquire) {
        tend::send(api, "old", "old", 3, 40)?;
        for words in [&["compact", "events", "--all"][..], &["retain", "events", "--days", "30"]] {
            match tender.run(words) {
                Ok(_) => done += 1,
                Err(error) if format!("{error:#}").contains("kept changing") => lost += 1,
                Err(error) => return Err(error),
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    anyhow::ensure!(done > 0, "no command got through, {lost} gave way");
    Ok(json!({"commands": done, "gave_way": lost}))
}
