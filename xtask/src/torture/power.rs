//! R2: power cuts. The log lives on a simulated disk through thousands of them; that the real server calls the real disk
//! in the order the simulation relies on is read from a trace of its system calls.
//!
//! Tables and metastore are not on the simulated disk: SQLite and the Parquet writer call the system themselves. What
//! makes them safe is that the log forgets nothing before they are flushed, and that is what the trace shows.

use super::{Plan, order, strace};
use crate::crash::Trial;
use crate::run;
use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use std::io::Write as _;
use std::time::{Duration, Instant};
use testkit::api::Body;
use testkit::{Api, Numbers, Server};

/// Requests whose way through the trace is followed.
const PROBES: u64 = 200;
/// Senders at the same time.
const SENDERS: u64 = 4;

/// Segments that fill soon, commits that come soon.
const SETTINGS: &[(&str, &str)] =
    &[("TENREC__LOG__SEGMENT_BYTES", "4194304"), ("TENREC__INGEST__COMMIT_SECONDS", "1")];

const CALLS: &str = "trace=openat,mkdir,mkdirat,recvfrom,read,pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync,\
                     rename,renameat,renameat2,unlink,unlinkat,ftruncate";

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let seeds = plan.amount(10_000, 200_000);
    let start = Instant::now();
    let mut command = run::cargo();
    command.args(["test", "--quiet", "-p", "eventlog", "--lib", "tests::torture"]).current_dir(plan.root);
    command.env("TENREC_SEEDS", format!("{}+{seeds}", plan.seed));
    let outcome = run::echoed(&mut command)?;
    anyhow::ensure!(
        outcome.ok && outcome.text.contains(" 1 passed"),
        "the log lost what it had acknowledged"
    );
    let simulated = start.elapsed().as_secs_f64();
    let mut figures = traced(plan).context("the order of system calls")?;
    figures["simulated_seeds"] = seeds.into();
    figures["simulated_seconds"] = simulated.into();
    Ok(figures)
}

/// Runs a server under strace and checks what it did in which order.
fn traced(plan: &Plan) -> anyhow::Result<Value> {
    let binary = plan.binary()?;
    let mut trial = Trial::new("power", binary.clone(), plan.seed, SETTINGS)?;
    let (script, notes) = (trial.beside("traced"), trial.beside("notes"));
    let options = ["-y", "-s", "65536", "-e", CALLS, "-e", "signal=none"].map(str::to_owned);
    strace::wrap(&script, &binary, &notes, &options)?;
    trial.setup.binary = script;
    let server = Server::start(&trial.setup)?;
    let markers = probe(&server, plan.seed)?;
    fill(&server, plan.seed)?;
    server.stop(Duration::from_secs(60))?;
    let data = trial.setup.data.canonicalize()?;
    let text = String::from_utf8_lossy(&std::fs::read(&notes)?).into_owned();
    let calls = strace::calls(&text);
    let checked = order::acks(&calls, &markers).and_then(|acks| Ok((acks, order::releases(&calls, &data)?)));
    let (acks, releases) = match checked {
        Ok(checked) => checked,
        Err(fault) => {
            let kept = run::target(plan.root).join("trace-of-R2.txt");
            std::fs::copy(&notes, &kept)?;
            return Err(fault.context(format!("see {}", kept.display())));
        }
    };
    anyhow::ensure!(releases > 0, "no segment was deleted: nothing was shown");
    Ok(
        json!({"calls_traced": calls.len(), "acks_after_their_flush": acks, "segments_released_after_all_flushes": releases}),
    )
}

/// Sends small events, each with a marker of its own, some at the same time; gives the markers.
fn probe(server: &Server, seed: u64) -> anyhow::Result<Vec<String>> {
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let api = server.api();
                scope.spawn(move || {
                    (0..PROBES / SENDERS).map(|number| send(&api, seed, (sender, number))).collect()
                })
            })
            .collect();
        let joined =
            senders.into_iter().map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked")));
        let sent: Vec<anyhow::Result<Vec<String>>> = joined.collect::<anyhow::Result<_>>()?;
        Ok(sent.into_iter().collect::<anyhow::Result<Vec<_>>>()?.concat())
    })
}

/// Sends one event as gzip, which the log keeps as it is, with the marker in the clear as the name of the packed file.
/// The noise makes sure that compressing records of one write together would not pay.
fn send(api: &Api, seed: u64, (sender, number): (u64, u64)) -> anyhow::Result<String> {
    let marker = format!("probe-{sender}-{number}-end");
    let noise = Numbers::of(seed, sender << 32 | number).hex(16_000);
    let text = json!({"event": "probe", "distinct_id": "d", "api_key": api.project_key(), "properties": {"noise": noise}});
    let mut packer = GzBuilder::new().filename(marker.as_bytes()).write(Vec::new(), Compression::best());
    packer.write_all(text.to_string().as_bytes())?;
    let (status, answer) = api.send(&Body { path: "/e/", bytes: packer.finish()?, gzip: true })?;
    anyhow::ensure!(status == 200, "{marker}: {status} {answer}");
    Ok(marker)
}

/// Sends what fills more than a segment, and waits until a commit has let the log forget it.
fn fill(server: &Server, seed: u64) -> anyhow::Result<()> {
    let api = server.api();
    let mut numbers = Numbers::of(seed, 0x6669_6c6c);
    for _ in 0..24 {
        let noise = numbers.hex(400_000);
        let text = json!({"event": "fill", "distinct_id": "d", "api_key": api.project_key(), "properties": {"noise": noise}});
        let (status, answer) =
            api.send(&Body { path: "/e/", bytes: text.to_string().into_bytes(), gzip: false })?;
        anyhow::ensure!(status == 200, "{status} {answer}");
    }
    let start = Instant::now();
    while api.metric("tenrec_log_segments")? != 1.0 {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(30), "no segment was released within 30 s");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
