//! Measures the real server beside a bare one and beside what is installed of others, interleaved, so that a noisy
//! machine is noisy for all of them.
//!
//! The robust figure is server CPU per event; wall-clock figures are of this machine, with the client on it.

mod ack;
mod client;
mod commit;
mod fresh;
mod landed;
mod latency;
mod memory;
mod overload;
mod peer;
mod process;
mod shape;
mod size;
mod slow_disk;
mod start;
mod verdict;

use crate::run;
use process::Binaries;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use verdict::Verdict;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// What to measure: an id or a name of the list that `cargo xtask bench list` prints, or `all`.
    what: String,
    /// How often each server is measured, each time on an empty folder.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Seconds of load per round and server.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

/// One goal of the project and how it is measured.
struct Measure {
    id: &'static str,
    name: &'static str,
    says: &'static str,
    run: fn(&Bench) -> anyhow::Result<Vec<Verdict>>,
}

/// Everything that is measured, in the order of `all`.
const MEASURES: &[Measure] = &[
    Measure { id: "P1", name: "single", says: "one page view per request, acked durably", run: ack::single },
    Measure {
        id: "P2",
        name: "batch",
        says: "100 server events per request, acked durably",
        run: ack::batch,
    },
    Measure {
        id: "P3",
        name: "pages",
        says: "100 page views per request, plain and gzip, acked durably",
        run: ack::pages,
    },
    Measure { id: "P4", name: "landed", says: "sustained until in Iceberg and merged", run: landed::landed },
    Measure {
        id: "P5",
        name: "latency",
        says: "time to the ack, open loop, also with a slow disk",
        run: latency::latency,
    },
    Measure {
        id: "P6",
        name: "fresh",
        says: "time from the ack until SQL and Iceberg show it",
        run: fresh::fresh,
    },
    Measure { id: "P7", name: "table-size", says: "bytes in the events table per event", run: size::table },
    Measure { id: "P8", name: "log-size", says: "bytes in the log per event", run: size::log },
    Measure {
        id: "P9",
        name: "memory",
        says: "resident memory: idle, at load, at most",
        run: memory::memory,
    },
    Measure {
        id: "P14",
        name: "start",
        says: "start on an empty folder and with 1 GB of log",
        run: start::start,
    },
    Measure { id: "P15", name: "commit", says: "time of one Iceberg commit", run: commit::commit },
    Measure {
        id: "P17",
        name: "overload",
        says: "work done at four times the load it can take",
        run: overload::overload,
    },
];

/// What all measures share.
pub struct Bench {
    /// What is run.
    pub binaries: Binaries,
    /// How often.
    pub rounds: u32,
    /// How long each time.
    pub span: Duration,
    folder: TempDir,
}

impl Bench {
    /// A folder for data that goes when the bench ends.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Measures, prints one JSON line per figure and a table. An unoptimised client would be what is measured, so a debug
/// build runs itself again as a release build.
///
/// # Errors
/// When something could not be measured, and when a goal was missed.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    if options.what == "list" {
        MEASURES.iter().for_each(|one| println!("{:<5}{:<12}{}", one.id, one.name, one.says));
        return Ok(());
    }
    if cfg!(debug_assertions) {
        let arguments = std::env::args_os().skip(1);
        let release = ["run", "--quiet", "--release", "--package", "xtask", "--"];
        let status = run::cargo().args(release).args(arguments).current_dir(root).status()?;
        std::process::exit(status.code().unwrap_or(1));
    }
    let asked = |one: &&Measure| {
        options.what == "all" || options.what.eq_ignore_ascii_case(one.id) || options.what == one.name
    };
    let chosen: Vec<&Measure> = MEASURES.iter().filter(asked).collect();
    anyhow::ensure!(
        !chosen.is_empty(),
        "nothing is called {}; `cargo xtask bench list` tells what is",
        options.what
    );
    let bench = Bench {
        binaries: Binaries::build(root)?,
        rounds: options.rounds.max(1),
        span: Duration::from_secs(options.seconds.max(1)),
        folder: testkit::scratch("bench")?,
    };
    let mut verdicts = Vec::new();
    for measure in chosen {
        let found =
            (measure.run)(&bench).map_err(|error| error.context(format!("measuring {}", measure.id)))?;
        found.iter().for_each(|verdict| println!("{}", verdict.line()));
        verdicts.extend(found);
    }
    verdict::print(&verdicts);
    let missed: Vec<String> =
        verdicts.iter().filter(|one| one.met() == Some(false)).map(Verdict::title).collect();
    anyhow::ensure!(missed.is_empty(), "below the goal: {}", missed.join(", "));
    Ok(())
}

/// Where things that are slow to make are kept between runs.
pub fn kept(name: &str) -> anyhow::Result<PathBuf> {
    let path = crate::install::cache()?.join("bench").join(name);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}
