//! The one test command: tidy, format, lints, unit tests, the binary, the reference, end to end.

use crate::{docs, install, run, supply, tidy};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Run one part only.
    #[arg(long, value_enum)]
    only: Option<Part>,
}

/// A part of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// House rules, format and lints.
    Tidy,
    /// Every crate's own tests.
    Unit,
    /// Published SDKs against the real binary, tables read back by other engines.
    E2e,
}

/// How one step went.
struct Line {
    title: &'static str,
    took: Duration,
    passed: usize,
    failed: usize,
}

/// Runs the parts, all of them even when one fails, and prints `N passed, N failed` last.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let wanted = |part: Part| options.only.is_none_or(|only| only == part);
    let mut lines = Vec::new();
    if wanted(Part::Tidy) {
        lines.push(step("tidy", || tidy::run(root).map(|()| (1, 0))));
        lines.push(step("supply", || supply::check(root).map(|()| (1, 0))));
        lines.push(step("format", || cargo(root, &["fmt", "--all", "--", "--check"])));
        let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
        lines.push(step("lints", || cargo(root, &clippy)));
        lines.push(step("core in wasm", || wasm(root)));
    }
    if wanted(Part::Unit) {
        lines.push(step("unit tests", || unit(root)));
    }
    if wanted(Part::E2e) {
        let mut binary = None;
        lines.push(step("build", || {
            binary = Some(testkit::build(root, testkit::Profile::Debug)?);
            Ok((1, 0))
        }));
        if let Some(binary) = binary {
            lines.push(step("reference", || docs::check(root, &binary).map(|()| (1, 0))));
            lines.push(step("end to end", || end_to_end(root, &binary)));
        }
    }
    summarize(&lines)
}

/// Checks that core builds for wasm32, where there is no clock, file or randomness to reach for.
fn wasm(root: &Path) -> anyhow::Result<(usize, usize)> {
    const TARGET: &str = "wasm32-unknown-unknown";
    run::quiet(Command::new("rustup").args(["target", "add", TARGET]))?;
    let crates = ["-p", "event", "-p", "wire", "-p", "identity", "-p", "replay"];
    let mut words = vec!["check", "--quiet", "--target", TARGET];
    words.extend(crates);
    cargo(root, &words)
}

/// Prints a heading, runs the step; a step that cannot run counts as one failure.
fn step(title: &'static str, act: impl FnOnce() -> anyhow::Result<(usize, usize)>) -> Line {
    println!("\n== {title} ==");
    let start = Instant::now();
    let (passed, failed) = act().unwrap_or_else(|fault| {
        println!("{fault:#}");
        (0, 1)
    });
    Line { title, took: start.elapsed(), passed, failed }
}

/// Prints the account and ends the process, so that the counts are the last line.
fn summarize(lines: &[Line]) -> ! {
    println!("\n== summary ==");
    for line in lines {
        let took = line.took.as_secs_f64();
        println!("{:<12} {took:>8.1} s  {} passed, {} failed", line.title, line.passed, line.failed);
    }
    let passed: usize = lines.iter().map(|line| line.passed).sum();
    let failed: usize = lines.iter().map(|line| line.failed).sum();
    println!("{passed} passed, {failed} failed");
    std::process::exit(i32::from(failed > 0))
}

fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<(usize, usize)> {
    let outcome = run::echoed(run::cargo().args(arguments).current_dir(root))?;
    Ok(if outcome.ok { (1, 0) } else { (0, 1) })
}

/// The workspace's tests with nextest, or with cargo where it is not installed.
fn unit(root: &Path) -> anyhow::Result<(usize, usize)> {
    // Where it cannot be installed, the tests that miss it say so and fail; the others still run.
    if let Err(fault) = install::postgres() {
        println!("{fault:#}");
    }
    let nextest =
        ["nextest", "run", "--workspace", "--no-fail-fast", "--status-level", "fail", "--no-tests", "pass"];
    let plain = ["test", "--workspace", "--all-targets", "--no-fail-fast"];
    let arguments: &[&str] = if run::exists("cargo-nextest") { &nextest } else { &plain };
    let outcome = run::echoed(run::cargo().args(arguments).current_dir(root))?;
    Ok(counted(&outcome))
}

/// The Python suite in `e2e/`, which starts the binary and the other clients.
fn end_to_end(root: &Path, binary: &Path) -> anyhow::Result<(usize, usize)> {
    let tools = install::tools(root)?;
    let mut command = Command::new(&tools.python);
    command
        .args(["-m", "pytest", "-p", "no:cacheprovider", "-ra", "--tb=short", "--durations=5", "e2e"])
        .current_dir(root)
        .env("TENREC_BINARY", binary)
        .env("TENREC_E2E_STORE", &tools.store)
        .env("TENREC_E2E_NODE", &tools.node)
        .env("TENREC_E2E_JS", &tools.js)
        .env("TENREC_E2E_RUST_TARGET", run::target(root).join("e2e-rust"))
        .env("TENREC_E2E_CHROMIUM", tools.chromium.unwrap_or(PathBuf::new()))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(counted(&run::echoed(&mut command)?))
}

/// Adds up every `12 passed` and `1 failed` of the summaries of nextest, cargo test and pytest.
fn counted(outcome: &run::Outcome) -> (usize, usize) {
    let (passed, failed) = count(&outcome.text);
    (passed, if outcome.ok { failed } else { failed.max(1) })
}

fn count(text: &str) -> (usize, usize) {
    let mut sums = [0, 0];
    for line in text.lines().filter(|line| is_summary(line)) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let Ok(amount) = pair[0].trim_matches('(').parse::<usize>() else { continue };
            match pair[1].trim_end_matches([',', ';', ':', ')']) {
                "passed" => sums[0] += amount,
                "failed" | "error" | "errors" | "exec" => sums[1] += amount,
                _ => {}
            }
        }
    }
    (sums[0], sums[1])
}

fn is_summary(line: &str) -> bool {
    let line = line.trim();
    (line.contains("Summary [") && line.contains("run:"))
        || line.starts_with("test result:")
        || (line.contains(" in ")
            && line.ends_with('s')
            && (line.contains(" passed") || line.contains(" failed") || line.contains(" error")))
        || (line.starts_with('=') && (line.contains(" passed") || line.contains(" failed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_added_up() {
        let cases = [
            ("     Summary [   0.010s] 12 tests run: 11 passed (1 slow), 1 failed, 0 skipped", (11, 1)),
            (
                "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
                (3, 0),
            ),
            ("=========== 2 failed, 5 passed, 1 error in 3.21s ===========", (5, 3)),
            ("5 passed in 0.12s", (5, 0)),
            ("a test that says 7 passed", (0, 0)),
        ];
        for (text, wanted) in cases {
            assert_eq!(count(text), wanted, "{text}");
        }
    }
}
