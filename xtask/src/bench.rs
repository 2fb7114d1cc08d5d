//! Measures the real server beside a bare one, interleaved, so that a noisy machine is noisy for both.
//!
//! The robust figure is server CPU per event; wall-clock figures are of this machine, with the client on it.

mod client;
mod ingest;
mod process;
mod report;

use crate::run;
use std::path::Path;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// What to measure.
    #[arg(value_enum)]
    what: What,
    /// How often floor and ours are measured, each time on an empty folder.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of load per measure.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Measures only the workload with this name, such as `pv_single`.
    #[arg(long)]
    only: Option<String>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Durable acks, latency, visibility, memory.
    Ingest,
}

/// Measures, and prints one JSON line per measure and a table. An unoptimised client would be what is
/// measured, so a debug build runs itself again as a release build.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        let arguments = std::env::args_os().skip(1);
        let release = ["run", "--quiet", "--release", "--package", "xtask", "--"];
        let status = run::cargo().args(release).args(arguments).current_dir(root).status()?;
        std::process::exit(status.code().unwrap_or(1));
    }
    match options.what {
        What::Ingest => ingest::run(root, options),
    }
}
