//! Faults done to the real server, each with a condition that must hold afterwards.
//!
//! One file per fault. All of them are repeatable: the seed is printed first, and the same seed does the same things.

mod armed;
mod backups;
mod batch;
mod bombs;
mod calls;
mod clocks;
mod conflicts;
mod exchange;
mod failing;
mod full_disk;
mod kills;
mod load;
mod mutants;
mod neighbours;
mod order;
mod overload;
mod points;
mod power;
mod proxy;
mod readers;
mod rot;
mod secrets;
mod slow;
mod stage;
mod stores;
mod storm;
mod strace;
mod tend;
mod terminate;

use crate::run;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Options of `cargo xtask torture`.
#[derive(clap::Args)]
pub struct Options {
    /// Which fault, such as `R1`; `all` does each, `list` names them.
    what: String,
    /// How much of it.
    #[arg(long, value_enum, default_value_t = Size::Pr)]
    size: Size,
    /// Repeats a run; a new one is drawn and printed otherwise.
    #[arg(long)]
    seed: Option<u64>,
    /// Uses the release build.
    #[arg(long)]
    release: bool,
    /// Leaves data folders behind; a fault that failed always does.
    #[arg(long)]
    keep: bool,
}

/// How much of a fault is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Size {
    /// All faults within ten minutes on two cores.
    Pr,
    /// An hour or two.
    Nightly,
}

/// What a fault is done with.
pub struct Plan<'a> {
    /// The checkout.
    pub root: &'a Path,
    /// How much.
    pub size: Size,
    /// Everything random comes from here.
    pub seed: u64,
    /// The build of the server to use.
    pub profile: testkit::Profile,
    /// Whether data folders are left behind.
    pub keep: bool,
}

impl Plan<'_> {
    /// One of two amounts, by size.
    pub fn amount(&self, pr: u64, nightly: u64) -> u64 {
        match self.size {
            Size::Pr => pr,
            Size::Nightly => nightly,
        }
    }

    /// The server, built when it is not.
    pub fn binary(&self) -> anyhow::Result<PathBuf> {
        testkit::build(self.root, self.profile)
    }
}

/// A fault and how to do it.
struct Fault {
    /// Its number in the list of faults.
    id: &'static str,
    /// What is done, and what must hold.
    says: &'static str,
    /// Does it; gives figures, or the reason why the condition does not hold.
    run: fn(&Plan) -> anyhow::Result<Value>,
}

/// Every fault, in order.
const FAULTS: &[Fault] = &[
    Fault { id: "R1", says: "SIGKILL at random moments: nothing acked is lost or doubled", run: kills::run },
    Fault { id: "R1b", says: "SIGKILL at each fail point of the write path: the same", run: points::run },
    Fault {
        id: "R2",
        says: "power cuts: no ack before its flush, no release before all flushes",
        run: power::run,
    },
    Fault { id: "R3", says: "system calls that fail: an error for the client, never a lie", run: calls::run },
    Fault {
        id: "R4",
        says: "a full disk: refused with a time, SQL answers, it goes on by itself",
        run: full_disk::run,
    },
    Fault {
        id: "R5",
        says: "a store and a catalog that fail: nothing acked is lost or doubled, no orphans stay",
        run: stores::run,
    },
    Fault {
        id: "R6",
        says: "all change one table: no commit is lost, every snapshot counts right",
        run: conflicts::run,
    },
    Fault { id: "R7", says: "slow and silent clients: cut off, the others do not notice", run: slow::run },
    Fault { id: "R8", says: "bodies that unpack to much: little memory, little time", run: bombs::run },
    Fault { id: "R9", says: "damaged requests: no panic, no fault of ours", run: mutants::run },
    Fault {
        id: "R10",
        says: "four times too much: memory holds, the excess is told when to come",
        run: overload::run,
    },
    Fault { id: "R11", says: "jumps of the clock: nothing stops, nothing goes backwards", run: clocks::run },
    Fault { id: "R12", says: "SIGTERM under load: ends in time, nothing acked is lost", run: terminate::run },
    Fault { id: "R13", says: "a storm of retries: each event is visible once", run: storm::run },
    Fault { id: "R14", says: "a flipped bit: found, or harmless, never a wrong answer", run: rot::run },
    Fault {
        id: "R15",
        says: "readers beside table care: a count never dips, the erased stay erased",
        run: readers::run,
    },
    Fault {
        id: "R16",
        says: "a backup under load, restored elsewhere: every event acked before it, once",
        run: backups::run,
    },
    Fault { id: "R19", says: "secrets are told to nobody, whatever is asked", run: secrets::run },
    Fault { id: "R20", says: "one loud project: the others do not notice", run: neighbours::run },
];

/// Allows this process as many descriptors as it may have, and tells how many.
fn raise_descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Does what was asked for; prints one JSON line per fault, and a table at the end.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    if options.what == "list" {
        FAULTS.iter().for_each(|fault| println!("{:4} {}", fault.id, fault.says));
        return Ok(());
    }
    let wanted = |fault: &&Fault| options.what == "all" || fault.id.eq_ignore_ascii_case(&options.what);
    let chosen: Vec<&Fault> = FAULTS.iter().filter(wanted).collect();
    anyhow::ensure!(!chosen.is_empty(), "no fault {:?}: `cargo xtask torture list` names them", options.what);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = options.seed.unwrap_or(clock.as_secs() ^ u64::from(clock.subsec_nanos()));
    let profile = if options.release { testkit::Profile::Release } else { testkit::Profile::Debug };
    let plan = Plan { root, size: options.size, seed, profile, keep: options.keep };
    println!("seed {seed}, size {:?}, {profile:?} build, commit {}", options.size, commit(root));
    let mut table = String::new();
    let mut failed = 0;
    for fault in chosen {
        println!("\n{}: {}", fault.id, fault.says);
        let start = Instant::now();
        let outcome = (fault.run)(&plan).with_context(|| format!("{} with --seed {seed}", fault.id));
        let seconds = start.elapsed().as_secs_f64();
        let passed = outcome.is_ok();
        failed += usize::from(!passed);
        let figures = outcome.unwrap_or_else(|fault| json!({"fault": format!("{fault:#}")}));
        println!(
            "{}",
            json!({"torture": fault.id, "passed": passed, "seconds": seconds, "figures": figures})
        );
        let mark = if passed { "held" } else { "FAILED" };
        table += &format!("{:4} {mark:6} {seconds:6.1} s  {}\n", fault.id, fault.says);
    }
    println!("\n{table}");
    anyhow::ensure!(failed == 0, "{failed} faults did harm; repeat with --seed {seed}");
    Ok(())
}

fn commit(root: &Path) -> String {
    let mut git = std::process::Command::new("git");
    git.args(["rev-parse", "--short", "HEAD"]).current_dir(root);
    run::quiet(&mut git).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
