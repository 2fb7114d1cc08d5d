//! R11: the system's clock jumps while the server runs: hours and days, back and forth, to 1970 and to 2100; and
//! clients whose clocks are days off.
//!
//! What is acked is visible once, with a time that the server vouches for; offsets only grow; commits, which wait by the
//! other clock that never jumps, go on. The clock is moved for the server alone, by libfaketime.

use super::Plan;
use super::exchange::{Line, request};
use super::stage::Stage;
use crate::install;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use testkit::server::PROJECT_KEY;

/// Where the clock is moved to, one after the other: relative to the true time, or to a moment.
const JUMPS: &[&str] = &[
    "+0",
    "+1h",
    "-1h",
    "+1d",
    "-1d",
    "+0",
    "@1970-01-01 12:00:00",
    "@2100-01-01 00:00:00",
    "@1970-01-01 00:00:00",
    "@2038-01-19 03:14:08",
    "-3d",
    "+0",
];
/// Milliseconds by which a client's clock is off.
const SKEWS: &[i64] = &[0, 100_000, -100_000, 3_600_000, -3_600_000, 259_200_000, -259_200_000];
/// What a client may write as a time; none of it is one that happened.
const ODD: &[&str] = &[
    "\"9999-12-31T00:00:00Z\"",
    "1e18",
    "-1e18",
    "\"+275760-09-13T00:00:00Z\"",
    "\"0001-01-01T00:00:00Z\"",
    "0",
];

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let library = install::faketime()?;
    let folder = testkit::scratch("clock")?;
    let clock = folder.path().join("clock");
    set(&clock, JUMPS[0])?;
    let (library, file) = (library.display().to_string(), clock.display().to_string());
    let settings = [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        // Both spellings: releases of the library differ.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("TENREC__INGEST__COMMIT_SECONDS", "1"),
    ];
    let data = folder.path().join("data");
    let mut stage = Stage::open_at(plan, data, folder, &settings)?;
    let mut acked = 0;
    let mut last = 0.0;
    let rounds = plan.amount(1, 50);
    for jump in (0..rounds).flat_map(|_| JUMPS) {
        set(&clock, jump)?;
        acked += events(&stage)?;
        last = goes_on(&stage, last).map_err(|fault| fault.context(format!("after the jump to {jump}")))?;
    }
    // What was folded between jumps is folded again from the log, and must come to the same.
    acked += events(&stage)?;
    stage.restart(Duration::from_secs(10))?;
    let seen = stage.visible("tick", acked)?;
    let figures =
        json!({"jumps": rounds * JUMPS.len() as u64, "acked": acked, "visible": seen, "offset": last});
    anyhow::ensure!(seen == acked, "visible is not what was acked: {figures}");
    vouched(&stage)?;
    stage.close()?;
    Ok(figures)
}

/// Moves the server's clock.
fn set(clock: &Path, to: &str) -> anyhow::Result<()> {
    let partial = clock.with_extension("partial");
    std::fs::write(&partial, format!("{to}\n"))?;
    Ok(std::fs::rename(&partial, clock)?)
}

/// Sends events of clients whose clocks are off, and of clients who write nonsense; gives how many were acked.
fn events(stage: &Stage) -> anyhow::Result<u64> {
    let mut line = Line::open(&stage.address())?;
    let now = Timestamp::now();
    let mut acked = 0;
    let written = SKEWS.iter().map(|skew| {
        let theirs = now.checked_add(SignedDuration::from_millis(*skew)).unwrap_or(now);
        (json!(theirs.to_string()), Some(theirs.to_string()))
    });
    let odd = ODD.iter().map(|text| (serde_json::from_str(text).unwrap_or_default(), None));
    for (timestamp, sent_at) in written.chain(odd).chain([(Value::Null, None)]) {
        let event = json!({"event": "tick", "distinct_id": "d", "timestamp": timestamp});
        let body = json!({"api_key": PROJECT_KEY, "sent_at": sent_at, "batch": [event]}).to_string();
        let answer =
            line.send(&request("POST", "/batch/", "Content-Type: application/json\r\n", body.as_bytes()))?;
        anyhow::ensure!(answer.status == 200, "{body}: {} {}", answer.status, answer.text());
        acked += 1;
    }
    Ok(acked)
}

/// The log has grown, its events are committed within seconds, and questions are answered; gives the log's offset.
fn goes_on(stage: &Stage, last: f64) -> anyhow::Result<f64> {
    let api = stage.server().api();
    let offset = api.metric("tenrec_log_durable_offset")?;
    anyhow::ensure!(offset > last, "the log's offset went from {last} to {offset}");
    let committed = || Ok(api.metric("tenrec_pump_checkpoint_offset")? >= offset);
    stage.wait("what was acked is committed", Duration::from_secs(15), committed)?;
    api.count("select count(*) from events where timestamp > now() - interval 1 day")?;
    Ok(offset)
}

/// No event lies in a future that no clock ever showed, and every one says when it arrived.
fn vouched(stage: &Stage) -> anyhow::Result<()> {
    let api = stage.server().api();
    let late =
        api.count("select count(*) from events where timestamp > toDateTime('2100-01-03 00:00:00')")?;
    anyhow::ensure!(late == 0, "{late} events lie behind the last clock");
    Ok(())
}
