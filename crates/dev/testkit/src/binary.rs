//! The `tenrec` binary, built when asked.

use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How the binary is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build, slow to run.
    Debug,
    /// What users run.
    Release,
}

/// Builds the checkout at `root` and returns the path of `tenrec`.
/// `TENREC_BINARY` names a ready one instead.
pub fn build(root: &Path, profile: Profile) -> anyhow::Result<PathBuf> {
    if let Some(ready) = std::env::var_os("TENREC_BINARY") {
        return Ok(PathBuf::from(ready));
    }
    // Features of dependencies are united over what is built together. The debug binary is built as the tests are,
    // with everything, so that the query engine is compiled once and not once for each.
    let what: &[&str] = match profile {
        Profile::Debug => &["--workspace", "--all-targets"],
        Profile::Release => &["-p", "cli", "--bin", "tenrec"],
    };
    compile(root, profile, what)?;
    Ok(folder(root, profile).join("tenrec"))
}

/// Builds the release binary, or takes the one that `TENREC_BINARY` names, and the examples that benchmarks run;
/// returns the path of the binary and the folder of the examples.
///
/// They are built together, so that the libraries both need are compiled with the same features and thus once.
pub fn build_with_examples(root: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let what = [
        "-p",
        "cli",
        "-p",
        "table",
        "-p",
        "ingest",
        "--bin",
        "tenrec",
        "--example",
        "fill",
        "--example",
        "publish",
    ];
    compile(root, Profile::Release, &what)?;
    let built = folder(root, Profile::Release);
    let ready = std::env::var_os("TENREC_BINARY").map(PathBuf::from);
    Ok((ready.unwrap_or_else(|| built.join("tenrec")), built.join("examples")))
}

/// Builds the bare server that benchmarks compare with and returns its path.
pub fn build_floor(root: &Path) -> anyhow::Result<PathBuf> {
    compile(root, Profile::Release, &["-p", "testkit", "--features", "floor", "--bin", "floor"])?;
    Ok(folder(root, Profile::Release).join("floor"))
}

fn compile(root: &Path, profile: Profile, arguments: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg("build").args(arguments).current_dir(root);
    // What cargo told the program that runs this: build scripts that look at it would run again, and what depends on
    // them be compiled again.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    if profile == Profile::Release {
        command.arg("--release");
    }
    let status = command.status().context("cannot start cargo")?;
    anyhow::ensure!(status.success(), "cargo build {} failed", arguments.join(" "));
    Ok(())
}

fn folder(root: &Path, profile: Profile) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    target.join(match profile {
        Profile::Debug => "debug",
        Profile::Release => "release",
    })
}
