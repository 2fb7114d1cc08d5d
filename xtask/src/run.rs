//! Child processes whose output is shown as it comes and kept for counting.

use anyhow::Context as _;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};

/// What a child said and whether it succeeded.
pub struct Outcome {
    /// Exit status 0.
    pub ok: bool,
    /// Standard output and error, in order of arrival.
    pub text: String,
}

/// Runs a command to its end, echoing every line.
pub fn echoed(command: &mut Command) -> anyhow::Result<Outcome> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let (sender, lines) = channel();
    let readers = [
        child.stdout.take().map(|stream| forward(stream, sender.clone())),
        child.stderr.take().map(|stream| forward(stream, sender)),
    ];
    let mut text = String::new();
    for line in lines {
        println!("{line}");
        text.push_str(&line);
        text.push('\n');
    }
    for reader in readers.into_iter().flatten() {
        let _ = reader.join();
    }
    Ok(Outcome { ok: child.wait()?.success(), text })
}

/// Runs a command quietly; fails with its whole output when it fails.
pub fn quiet(command: &mut Command) -> anyhow::Result<String> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {shown}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(
        output.status.success(),
        "{shown} failed:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(text)
}

/// Whether a program is there and answers `--version`.
pub fn exists(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// `cargo`, the one that runs us, without what it told us about this package: build scripts that look at these variables
/// would run again, and half of the dependencies would be compiled twice.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let ours = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        command.env_remove(name);
    }
    command
}

/// The folder that cargo builds into.
pub fn target(root: &std::path::Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

fn forward(stream: impl Read + Send + 'static, lines: Sender<String>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let _ = lines.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
        }
    })
}
