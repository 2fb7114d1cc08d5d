//! What we build from: every crate comes from crates.io with a checksum, under a licence we may ship, and none is one we
//! decided against.
//!
//! `cargo-deny` does this and more, and takes minutes to build where no binary of it can be had; what it adds, known
//! vulnerabilities, needs a database from the network. Run `cargo deny check advisories` where there is one.

use crate::run;
use anyhow::Context as _;
use serde_json::Value;
use std::path::Path;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licences that ask for no more than to be named.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "ISC",
    "Zlib",
    "BSL-1.0",
    "CC0-1.0",
    "Unicode-3.0",
    "Unlicense",
    "CDLA-Permissive-2.0",
];

/// Crates that must not come in, and why.
const BANNED: &[(&str, &str)] = &[
    ("openssl-sys", "TLS is rustls: one implementation, no library of the system"),
    ("native-tls", "TLS is rustls: one implementation, no library of the system"),
    ("aws-lc-sys", "rustls runs on ring, which needs no CMake"),
    ("serde_yaml", "it is not maintained"),
];
/// Checks `Cargo.lock` and the licences of what it names.
///
/// # Errors
/// Everything that is wrong, all at once.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let lock = std::fs::read_to_string(root.join("Cargo.lock"))?;
    let mut faults = locked(&lock.parse().context("Cargo.lock is broken")?);
    // For one platform: those of others would have to be fetched to be read.
    let host = run::quiet(std::process::Command::new("rustc").arg("-vV"))?;
    let host =
        host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or("x86_64-unknown-linux-gnu");
    let mut cargo = run::cargo();
    cargo
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .current_dir(root);
    let metadata = cargo.output().context("cargo metadata")?;
    anyhow::ensure!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    faults.extend(packages.iter().filter(|package| !package["source"].is_null()).filter_map(unlicensed));
    println!("supply: {} packages, {} faults", packages.len(), faults.len());
    anyhow::ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// Packages of the lock file that come from elsewhere, are not sealed, or are banned.
fn locked(lock: &toml::Table) -> Vec<String> {
    let packages = lock.get("package").and_then(toml::Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut faults = Vec::new();
    for package in packages {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
        let name = text("name").unwrap_or_default();
        if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
            faults.push(format!("{name} must not come in: {why}"));
        }
        match (text("source"), text("checksum")) {
            // Our own.
            (None, _) => {}
            (Some(REGISTRY), Some(_)) => {}
            (Some(source), _) => faults.push(format!("{name} comes from {source}, or without a checksum")),
        }
    }
    faults
}

fn unlicensed(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    match package["license"].as_str() {
        Some(licence) if allows(licence) => None,
        Some(licence) => {
            Some(format!("{name} is under {licence}: ask before it comes in, then add it to LICENCES"))
        }
        None => Some(format!("{name} names no licence")),
    }
}

/// Whether an SPDX expression can be met with [`LICENCES`]: `OR` (also written `/`) asks for one side, `AND` for both,
/// `WITH` only permits more.
fn allows(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at);
    met && at == words.len()
}

fn any(words: &[&str], at: &mut usize) -> bool {
    let mut met = all(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        // Read to the end, whatever the first said.
        met |= all(words, at);
    }
    met
}

fn all(words: &[&str], at: &mut usize) -> bool {
    let mut met = one(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at);
    }
    met
}

fn one(words: &[&str], at: &mut usize) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = any(words, at);
        *at += 1;
        return met;
    }
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    LICENCES.contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_or_not() {
        for (expression, met) in [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("MIT/Apache-2.0", true),
            ("GPL-3.0", false),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(allows(expression), met, "{expression}");
        }
    }

    #[test]
    fn the_lock_names_what_it_is_made_of() {
        let lock = "[[package]]\nname = \"ours\"\nversion = \"1\"\n[[package]]\nname = \"a\"\nversion = \"1\"\nsource = \"git+https://example.com/a\"\n[[package]]\nname = \"openssl-sys\"\nversion = \"1\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"0\"\n";
        let faults = locked(&lock.parse().unwrap());
        assert_eq!(faults.len(), 2, "{faults:?}");
    }
}
