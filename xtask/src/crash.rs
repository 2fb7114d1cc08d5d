//! SIGKILL at random moments on one data folder: nothing acked is lost, nothing is visible twice.
//!
//! Writers send singles, batches, gzip, merges and replay chunks and repeat each until it is acked, across
//! all kills. In the end the judge asks SQL and, after a clean stop, reads the tables with pyiceberg.

mod crew;
mod judge;
mod oracle;
mod trial;
mod writer;

pub use trial::Trial;

use writer::Sent;

use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use testkit::{Numbers, Server};

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
pub const SETTINGS: &[(&str, &str)] = &[
    ("TENREC__INGEST__COMMIT_SECONDS", "1"),
    ("TENREC__INGEST__COMMIT_BYTES", "300000"),
    ("TENREC__LOG__SEGMENT_BYTES", "4194304"),
];

/// How the servers of a run behaved.
#[derive(Default)]
struct Lives {
    kills: u64,
    restarts: Vec<Duration>,
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
    let trial = Trial::new("crash", testkit::build(root, profile)?, seed, SETTINGS)?;
    let start = Instant::now();
    let (server, lives, sent) = live_and_die(&trial, options)?;
    println!("{} kills in {:.0} s; judging", lives.kills, start.elapsed().as_secs_f64());
    let mut figures = trial.judge(root, server, &sent, options.keep)?;
    let mut restarts: Vec<u128> = lives.restarts.iter().map(Duration::as_millis).collect();
    restarts.sort_unstable();
    let at = |part: usize| restarts.get((restarts.len() * part / 100).min(restarts.len().saturating_sub(1)));
    figures["kills"] = lives.kills.into();
    figures["restart_ms"] = json!({"p50": at(50), "p99": at(99), "max": restarts.last()});
    Ok(figures)
}

/// Writers run all the time; the server is started and killed beneath them, and left running at the end.
fn live_and_die(trial: &Trial, options: &Options) -> anyhow::Result<(Server, Lives, Vec<Sent>)> {
    let mut chance = Numbers::new(trial.oracle.seed);
    let mut lives = Lives::default();
    let mut server = Server::start(&trial.setup)?;
    let crew = trial.crew(server.url(), options.writers);
    while lives.kills < options.kills {
        // Mostly short lives; one in four is long enough for a commit in the middle.
        let span = if chance.below(4) == 0 { 2500 } else { 600 };
        std::thread::sleep(Duration::from_millis(30 + chance.below(span)));
        server.kill()?;
        lives.kills += 1;
        server = Server::start(&trial.setup)
            .with_context(|| format!("after kill {}, seed {}", lives.kills, trial.oracle.seed))?;
        lives.restarts.push(server.started_in());
        if lives.kills.is_multiple_of(10) {
            println!("kill {}, last restart {} ms", lives.kills, server.started_in().as_millis());
        }
    }
    Ok((server, lives, crew.end()?))
}
