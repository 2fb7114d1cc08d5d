//! R3: the N-th system call of a kind fails, for N = 1, 2, ... until no call is left to fail.
//!
//! The log's own calls fail one by one on its simulated disk (a test of `eventlog`). Here it happens to the whole server:
//! `strace` makes the kernel's answer an error. Each thread counts for itself, so that one N may hit several threads. A
//! server must go on, or end with one line that says why; it never answers 200 for what is lost, nobody waits longer than
//! five seconds, and the next start finds everything.
//!
//! `write` is left out: the runtime wakes itself with it, which cannot fail. What it does to files is covered by the
//! calls around it and by disks that are full.

use super::{Plan, strace};
use crate::crash::{self, Trial};
use crate::run;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};
use testkit::{Numbers, Server};

/// Calls and what they fail with.
const KINDS: &[(&str, &str)] = &[
    ("fdatasync", "EIO"),
    ("fsync", "EIO"),
    ("pwrite64", "EIO"),
    ("pwrite64", "ENOSPC"),
    ("pread64", "EIO"),
    ("rename", "EIO"),
    ("rename", "ENOSPC"),
    ("openat", "EMFILE"),
    ("openat", "EIO"),
    ("unlink", "EIO"),
    ("mkdir", "ENOSPC"),
    ("fallocate", "ENOSPC"),
    ("ftruncate", "EIO"),
];
/// Folders that are tortured at the same time.
const LANES: usize = 4;
const WRITERS: u64 = 3;
/// How long a life lasts that nothing ends: at least one commit.
const LIFE: Duration = Duration::from_millis(1800);
/// Nobody waits longer, neither for an answer nor for the end of a server that cannot go on.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time a stop may take: see `server::running`.
const STOP: Duration = Duration::from_secs(12);
/// After this many lives in which nothing was left to fail, a kind is done.
const CLEAN: u64 = 2;

/// What the lives of a lane came to.
#[derive(Default)]
struct Count {
    lives: u64,
    /// Calls that failed.
    failed: u64,
    went_on: u64,
    /// Ended by themselves, by what they said.
    ended: BTreeMap<String, u64>,
    /// The greatest N at which a call was left to fail, by kind.
    reached: BTreeMap<String, u64>,
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    simulated(plan)?;
    let binary = plan.binary()?;
    let lanes = std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| {
                let binary = binary.clone();
                scope.spawn(move || fail_all(plan, binary, lane).with_context(|| format!("lane {lane}")))
            })
            .collect();
        let joined =
            lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))?);
        joined.collect::<anyhow::Result<Vec<Value>>>()
    })?;
    Ok(json!({"lanes": lanes}))
}

/// The log alone: every call of its life fails once, each in every way.
fn simulated(plan: &Plan) -> anyhow::Result<()> {
    let mut command = run::cargo();
    command.args(["test", "--quiet", "-p", "eventlog", "--lib", "tests::anomaly"]).current_dir(plan.root);
    anyhow::ensure!(run::echoed(&mut command)?.ok, "a failing call of the log's own did harm");
    Ok(())
}

/// Does the kinds of one lane on one folder, then judges it.
fn fail_all(plan: &Plan, binary: PathBuf, lane: usize) -> anyhow::Result<Value> {
    let trial = Trial::new("calls", binary, plan.seed.wrapping_add(lane as u64), crash::SETTINGS)?;
    let server = Server::start(&trial.setup)?;
    let crew = trial.crew(server.url(), WRITERS);
    server.stop(STOP)?;
    let mut numbers = Numbers::of(plan.seed, lane as u64);
    let mut count = Count::default();
    for (call, error) in KINDS.iter().skip(lane).step_by(LANES) {
        let mut clean = 0;
        let mut number = 0;
        for _ in 0..plan.amount(3, 400) {
            // All of them in order, or for a quick look some: every thread has few calls of a kind in a short life.
            number = if plan.size == super::Size::Nightly { number + 1 } else { 1 + numbers.below(12) };
            let failed = live(&trial, &format!("{call}:error={error}:when={number}"), &mut count)
                .with_context(|| format!("call {number} of {call} failed with {error}"))?;
            clean = if failed == 0 { clean + 1 } else { 0 };
            if failed > 0 {
                let reached = count.reached.entry(format!("{call} {error}")).or_default();
                *reached = number.max(*reached);
            }
            if plan.size == super::Size::Nightly && clean == CLEAN {
                break;
            }
        }
    }
    let server = Server::start(&trial.setup).context("the last start, with a whole disk")?;
    let sent = crew.end()?;
    let slowest = sent.iter().map(|one| one.slowest).max().unwrap_or_default();
    let mut figures = trial.judge(plan.root, server, &sent, plan.keep)?;
    anyhow::ensure!(slowest <= PATIENCE, "a request took {slowest:?}: {figures}");
    figures["lives"] = count.lives.into();
    figures["calls_failed"] = count.failed.into();
    figures["went_on"] = count.went_on.into();
    figures["ended"] = json!(count.ended);
    figures["reached"] = json!(count.reached);
    Ok(figures)
}

/// One life in which calls fail; gives how many did.
fn live(trial: &Trial, inject: &str, count: &mut Count) -> anyhow::Result<usize> {
    let (script, notes) = (trial.beside("wrapped"), trial.beside("notes"));
    let call = inject.split(':').next().unwrap_or_default();
    let options = [
        "-e".to_owned(),
        format!("trace={call}"),
        "-e".to_owned(),
        format!("inject={inject}"),
        "-e".to_owned(),
        "signal=none".to_owned(),
    ];
    strace::wrap(&script, &trial.setup.binary, &notes, &options)?;
    let log = trial.log().len();
    let setup = testkit::server::Setup { binary: script, ..trial.setup.clone() };
    let started = Instant::now();
    let ended = match Server::start(&setup) {
        Ok(mut server) => match server.ended(LIFE)? {
            Some(status) => Some(status),
            None if server.api().ready() => {
                let status = server.stop(STOP)?;
                count.went_on += u64::from(status.success());
                (!status.success()).then_some(status)
            }
            None => {
                let status = server.ended(PATIENCE)?;
                Some(status.context("neither ready nor at its end after 5 s")?)
            }
        },
        Err(fault) => {
            anyhow::ensure!(started.elapsed() < Duration::from_secs(20), "the start hung: {fault:#}");
            Some(ExitStatus::default())
        }
    };
    let said = trial.log().get(log..).unwrap_or_default().to_owned();
    anyhow::ensure!(!said.contains("panicked at"), "a panic: {said}");
    if let Some(status) = ended {
        let last = last_words(&said);
        anyhow::ensure!(last.is_some(), "ended with {status} and no line that says why: {said}");
        *count.ended.entry(last.unwrap_or_default()).or_default() += 1;
    }
    let text =
        std::fs::read(&notes).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let failed = text.matches("(INJECTED)").count();
    count.lives += 1;
    count.failed += failed as u64;
    Ok(failed)
}

/// The line in which a server, or the loader before it, says why it ends; without names that differ from run to run.
fn last_words(said: &str) -> Option<String> {
    let line = said
        .lines()
        .rev()
        .find(|line| line.starts_with("tenrec: ") || line.contains("error while loading"))?;
    let short: String = line.chars().filter(|c| !c.is_ascii_digit()).take(160).collect();
    Some(short)
}
