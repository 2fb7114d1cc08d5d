//! `tenrec`: the one binary. Reads arguments, settings and the environment, and maps errors to exit codes.
//!
//! Takes: arguments and the environment. Gives: a running server, or one answer on standard output.
//! Never: holds product rules; those live in the crates below.

mod command;
mod settings;
mod words;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words = words::Words::parse();
    #[cfg(feature = "failpoints")]
    if let Err(error) = settings::fault::arm() {
        eprintln!("tenrec: {error:#}");
        return ExitCode::FAILURE;
    }
    match command::run(words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The chain of causes on one line: what failed, then why.
            eprintln!("tenrec: {error:#}");
            ExitCode::FAILURE
        }
    }
}
