//! SIGKILL at random moments on one data folder: nothing acked is lost, nothing is visible twice.
//!
//! Writers send singles, batches, gzip, merges and replay chunks and repeat each until it is acked, across
//! all kills. In the end the judge asks SQL and, after a clean stop, reads the tables with pyiceberg.

mod judge;
mod oracle;
mod writer;

use crate::install;
use anyhow::Context as _;
use judge::Verdict;
use oracle::Oracle;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use testkit::server::{PERSONAL_KEY, PROJECT_KEY, Setup};
use testkit::{Api, Numbers, Server, free_port};
use writer::Sent;

/// Options of `cargo xtask crash`.
#[derive(clap::Args)]
pub struct Options {
    /// How often the server is killed.
    #[arg(long, default_value_t = 100)]
    pub kills: u64,
    /// Repeats a run; a new one is drawn and printed otherwise.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Writers that send at the same time.
    #[arg(long, default_value_t = 12)]
    pub writers: u64,
    /// Uses the release build.
    #[arg(long)]
    pub release: bool,
    /// Leaves the data folder behind; a run that fails always does.
    #[arg(long)]
    pub keep: bool,
}

/// Small limits, so that kills also hit rotations and commits.
const SETTINGS: &[(&str, &str)] = &[
    ("TENREC__INGEST__COMMIT_SECONDS", "1"),
    ("TENREC__INGEST__COMMIT_BYTES", "300000"),
    ("TENREC__LOG__SEGMENT_BYTES", "4194304"),
];

/// How the servers of a run behaved.
#[derive(Default)]
struct Lives {
    kills: u64,
    restarts: Vec<Duration>,
    /// From the ack of one last event to its visibility.
    fresh: Duration,
    panics: usize,
}

/// Runs the kills and the judgement; fails when anything was lost, doubled, changed or invented.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    println!("{}", json!({"crash": measure(root, options)?}));
    Ok(())
}

/// The same, for the figures.
pub fn measure(root: &Path, options: &Options) -> anyhow::Result<Value> {
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = options.seed.unwrap_or(clock.as_secs() ^ u64::from(clock.subsec_nanos()));
    println!("seed {seed}, {} kills, {} writers", options.kills, options.writers);
    let profile = if options.release { testkit::Profile::Release } else { testkit::Profile::Debug };
    let python = install::python_only(root)?;
    let folder = testkit::scratch("crash")?;
    let setup = Setup {
        binary: testkit::build(root, profile)?,
        data: folder.path().join("data"),
        port: Some(free_port()?),
        environment: SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    let oracle = Oracle::new(seed, PROJECT_KEY)?;
    let start = Instant::now();
    let (server, mut lives, sent) = live_and_die(&setup, oracle, options)?;
    println!("{} kills in {:.0} s; judging", lives.kills, start.elapsed().as_secs_f64());

    let sql = judge::through_sql(&server.api(), &oracle, &sent)?;
    lives.fresh = fresh_event(&server.api())?;
    let stop = server.stop(Duration::from_secs(60))?;
    let script = root.join("e2e/read_events.py");
    let tables = judge::through_pyiceberg(&script, &python, &setup.data, &oracle, &sent)
        .unwrap_or_else(|fault| Verdict::unreadable(&fault));
    let log = std::fs::read(setup.data.with_extension("log")).unwrap_or_default();
    lives.panics = String::from_utf8_lossy(&log).matches("panicked at").count();
    let figures = report(seed, &lives, &sent, &[("sql", &sql), ("pyiceberg", &tables)]);
    let passed = sql.is_clean() && tables.is_clean() && sent.iter().all(|one| one.refused.is_empty());
    if options.keep || !passed {
        println!("kept {}", folder.keep().display());
    }
    anyhow::ensure!(stop.success(), "the server ended with {stop} after SIGTERM");
    anyhow::ensure!(lives.panics == 0, "the server panicked {} times", lives.panics);
    anyhow::ensure!(passed, "seed {seed}: {figures}");
    Ok(figures)
}

/// Writers run all the time; the server is started and killed beneath them, and left running at the end.
fn live_and_die(
    setup: &Setup,
    oracle: Oracle,
    options: &Options,
) -> anyhow::Result<(Server, Lives, Vec<Sent>)> {
    let mut chance = Numbers::new(oracle.seed);
    let mut lives = Lives::default();
    let mut server = Server::start(setup)?;
    let url = server.url().to_owned();
    let ending = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..options.writers)
        .map(|number| {
            let api = Api::new(&url, PROJECT_KEY, PERSONAL_KEY);
            let ending = Arc::clone(&ending);
            std::thread::spawn(move || writer::write(&api, &oracle, number, &ending))
        })
        .collect();
    while lives.kills < options.kills {
        // Mostly short lives; one in four is long enough for a commit in the middle.
        let span = if chance.below(4) == 0 { 2500 } else { 600 };
        std::thread::sleep(Duration::from_millis(30 + chance.below(span)));
        server.kill()?;
        lives.kills += 1;
        server = Server::start(setup)
            .with_context(|| format!("after kill {}, seed {}", lives.kills, oracle.seed))?;
        lives.restarts.push(server.started_in());
        if lives.kills.is_multiple_of(10) {
            println!("kill {}, last restart {} ms", lives.kills, server.started_in().as_millis());
        }
    }
    ending.store(true, Ordering::Relaxed);
    let mut sent = Vec::new();
    for writer in writers {
        sent.push(writer.join().map_err(|_| anyhow::anyhow!("a writer panicked"))?);
    }
    Ok((server, lives, sent))
}

/// Sends one event more and returns how long it took to be visible.
fn fresh_event(api: &Api) -> anyhow::Result<Duration> {
    let event = json!({"api_key": api.project_key(), "event": "fresh", "distinct_id": "fresh"});
    let body = testkit::api::Body { path: "/capture/", bytes: event.to_string().into_bytes(), gzip: false };
    let (status, text) = api.send(&body)?;
    anyhow::ensure!(status == 200, "the fresh event: {status} {text}");
    let start = Instant::now();
    while api.count("select count(*) from events where event = 'fresh'")? == 0 {
        anyhow::ensure!(
            start.elapsed() < Duration::from_secs(10),
            "the fresh event is not visible after 10 s"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(start.elapsed())
}

fn report(seed: u64, lives: &Lives, sent: &[Sent], verdicts: &[(&str, &Verdict)]) -> Value {
    for fault in sent.iter().flat_map(|one| &one.refused).take(10) {
        println!("refused: {fault}");
    }
    for (name, verdict) in verdicts {
        for example in verdict.examples.iter().take(20) {
            println!("{name}: {example}");
        }
    }
    let mut restarts: Vec<u128> = lives.restarts.iter().map(Duration::as_millis).collect();
    restarts.sort_unstable();
    let at = |part: usize| restarts.get((restarts.len() * part / 100).min(restarts.len().saturating_sub(1)));
    json!({
        "seed": seed,
        "kills": lives.kills,
        "requests_acked": sent.iter().map(|one| one.requests).sum::<u64>(),
        "events_acked": sent.iter().map(|one| one.events).sum::<u64>(),
        "replay_chunks_acked": sent.iter().map(|one| one.chunks.len()).sum::<usize>(),
        "sends_repeated": sent.iter().map(|one| one.repeated).sum::<u64>(),
        "refused": sent.iter().map(|one| one.refused.len()).sum::<usize>(),
        "sql": verdicts[0].1.line(),
        "pyiceberg": verdicts[1].1.line(),
        "restart_ms": {"p50": at(50), "p99": at(99), "max": restarts.last()},
        "fresh_ms": lives.fresh.as_millis(),
        "panics": lives.panics,
    })
}
