//! The project's own commands, run as `cargo xtask NAME`.
//!
//! Takes: a checkout of this repository. Gives: an exit status and a readable account.
//! Never: is linked into what users run, nor changes a tracked file (except `docs`).

mod bench;
mod crash;
mod docs;
mod golden;
mod install;
mod mutants;
mod run;
mod supply;
mod test;
mod tidy;
mod torture;

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Checks the house rules: imports, sizes, names, headers.
    Tidy,
    /// Runs everything the repository promises; installs what is missing first.
    Test(test::Options),
    /// Writes `docs/reference/` from the built binary.
    Docs(docs::Options),
    /// Writes a data folder of this version to `fixtures/golden/`, for later versions to open.
    Golden,
    /// Kills the real server at random moments and checks that nothing was lost or doubled.
    Crash(crash::Options),
    /// Does a fault, or all, to the real server and checks what must hold afterwards.
    Torture(torture::Options),
    /// Changes the code that nothing may be lost in, line by line, and counts what the tests notice.
    Mutants(mutants::Options),
    /// Measures the real server beside a bare one, goal by goal.
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let root = root();
    let outcome = match Cli::parse().task {
        Task::Tidy => tidy::run(&root),
        Task::Test(options) => test::run(&root, &options),
        Task::Docs(options) => docs::run(&root, &options),
        Task::Golden => golden::run(&root),
        Task::Crash(options) => crash::run(&root, &options),
        Task::Torture(options) => torture::run(&root, &options),
        Task::Mutants(options) => mutants::run(&root, &options),
        Task::Bench(options) => bench::run(&root, &options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the checkout, where the workspace manifest is.
fn root() -> PathBuf {
    // Asked at run time: clones that share a build folder may run each other's binary.
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}
