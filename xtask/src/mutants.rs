//! Faults put into our own code, one at a time: a test that then still passes proves less than it says.
//!
//! `cargo-mutants` makes the changes and runs the tests; this says of which files, with which tests, and how many must be
//! noticed. A file stands here when losing, doubling or showing an event to a stranger is one wrong comparison away.

use crate::run;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::path::Path;

/// Of a hundred changes, how many the tests must notice.
const GOAL: f64 = 90.0;
/// The version whose options these are.
const VERSION: &str = "27.1.0";

/// Files that are changed together, and the tests that must notice.
struct Group {
    name: &'static str,
    package: &'static str,
    files: &'static [&'static str],
    /// Which of the package's tests must notice: those in its library, or all.
    lib: bool,
    /// The part of their names that all of them have.
    tests: &'static str,
}

const GROUPS: &[Group] = &[
    Group {
        name: "log",
        package: "eventlog",
        files: &[
            "crates/data/eventlog/src/journal.rs",
            "crates/data/eventlog/src/recover.rs",
            "crates/data/eventlog/src/batch.rs",
            "crates/data/eventlog/src/read.rs",
        ],
        lib: true,
        tests: "",
    },
    Group {
        name: "repeats",
        package: "ingest",
        files: &["crates/data/ingest/src/seen.rs", "crates/data/ingest/src/seen_run.rs"],
        lib: true,
        tests: "seen",
    },
    Group {
        name: "commit",
        package: "table",
        files: &["crates/data/table/src/commit.rs", "crates/data/table/src/warehouse.rs"],
        lib: true,
        tests: "",
    },
    Group {
        name: "keys",
        package: "server",
        files: &["crates/apps/server/src/auth.rs"],
        lib: false,
        tests: "",
    },
];

/// Options of `cargo xtask mutants`.
#[derive(clap::Args)]
pub struct Options {
    /// Which group of files; `all` does each, `list` names them.
    what: String,
    /// A part of the changes, such as `0/4`: they take half a minute each.
    #[arg(long)]
    shard: Option<String>,
}

/// Changes each chosen file in every way, runs the tests after each, and prints one JSON line per group.
///
/// # Errors
/// When too many changes were not noticed, or the tests fail without one.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    if options.what == "list" {
        GROUPS.iter().for_each(|group| println!("{:8} {}", group.name, group.files.join(" ")));
        return Ok(());
    }
    let chosen: Vec<&Group> =
        GROUPS.iter().filter(|group| options.what == "all" || options.what == group.name).collect();
    anyhow::ensure!(!chosen.is_empty(), "no group {:?}: `cargo xtask mutants list` names them", options.what);
    install()?;
    let mut weak = Vec::new();
    for group in chosen {
        let counts = change(root, group, options.shard.as_deref())?;
        let share = counts.share();
        println!("{}", counts.figures(group.name));
        if share.is_some_and(|share| share < GOAL) {
            weak.push(group.name);
        }
    }
    anyhow::ensure!(weak.is_empty(), "less than {GOAL} of 100 changes were noticed: {}", weak.join(", "));
    Ok(())
}

fn install() -> anyhow::Result<()> {
    let known = run::quiet(run::cargo().args(["mutants", "--version"]));
    if known.is_ok_and(|text| text.contains(VERSION)) {
        return Ok(());
    }
    println!("installing cargo-mutants {VERSION}");
    let mut install = run::cargo();
    install.args(["install", "--quiet", "--locked", "--version", VERSION, "cargo-mutants"]);
    run::quiet(&mut install).map(drop).context("cargo-mutants is needed to change the code")
}

/// What became of the changes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    caught: u64,
    timeout: u64,
    missed: u64,
    unviable: u64,
}

impl Counts {
    fn read(outcomes: &Value) -> anyhow::Result<Self> {
        let count = |name: &str| outcomes[name].as_u64().with_context(|| format!("no count of {name}"));
        Ok(Self {
            caught: count("caught")?,
            timeout: count("timeout")?,
            missed: count("missed")?,
            unviable: count("unviable")?,
        })
    }

    /// Of a hundred that compile, how many were noticed; tests that no longer end are a notice too.
    fn share(&self) -> Option<f64> {
        let noticed = self.caught + self.timeout;
        let all = noticed + self.missed;
        (all > 0).then(|| noticed as f64 * 100.0 / all as f64)
    }

    fn figures(&self, group: &str) -> Value {
        json!({
            "mutants": group, "caught": self.caught, "timeout": self.timeout, "missed": self.missed,
            "unviable": self.unviable, "noticed_percent": self.share(),
        })
    }
}

fn change(root: &Path, group: &Group, shard: Option<&str>) -> anyhow::Result<Counts> {
    let notes = run::target(root).join("mutants").join(group.name);
    std::fs::create_dir_all(&notes)?;
    let mut command = run::cargo();
    command.args(["mutants", "--no-shuffle", "--timeout", "180", "--package", group.package]).arg("--output");
    command.arg(&notes).current_dir(root);
    for file in group.files {
        command.args(["--file", file]);
    }
    if let Some(shard) = shard {
        command.args(["--shard", shard, "--sharding", "round-robin"]);
    }
    if group.lib {
        command.arg("--cargo-arg=--lib");
    }
    if !group.tests.is_empty() {
        command.args(["--", group.tests]);
    }
    // Fewer simulated lives than `cargo test` has: each change waits for all of them.
    command.env("TENREC_SEEDS", "0+200");
    // Its status tells of missed changes too: the counts decide.
    run::echoed(&mut command)?;
    let file = notes.join("mutants.out/outcomes.json");
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("nothing was tried: {}", file.display()))?;
    Counts::read(&serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_never_ends_has_noticed() {
        let read = |text: &str| Counts::read(&serde_json::from_str(text).expect("JSON"));
        let counts = read(r#"{"caught": 17, "timeout": 1, "missed": 2, "unviable": 5, "success": 0}"#)
            .expect("counts");
        assert_eq!(counts.share(), Some(90.0));
        assert!(read(r#"{"caught": 1}"#).is_err());
        assert_eq!(Counts::default().share(), None);
    }

    #[test]
    fn every_file_of_a_group_is_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a root");
        for file in GROUPS.iter().flat_map(|group| group.files) {
            assert!(root.join(file).exists(), "{file}");
        }
    }
}
