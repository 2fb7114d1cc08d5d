//! Servers whose system calls are watched, or made to fail, by `strace`.

use crate::{install, run};
use anyhow::Context as _;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Writes a program that starts `binary` under strace with these options, noting to `notes`.
///
/// Strace runs beside the server (`-D`): the process that is started, waited for and killed is the server itself.
pub fn wrap(script: &Path, binary: &Path, notes: &Path, options: &[String]) -> anyhow::Result<()> {
    install::strace()?;
    let quoted: Vec<String> = options.iter().map(|option| format!("'{option}'")).collect();
    let text = format!(
        "#!/bin/sh\nexec strace -D -f -q -o '{}' {} '{}' \"$@\"\n",
        notes.display(),
        quoted.join(" "),
        binary.display()
    );
    std::fs::write(script, text)?;
    std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755))?;
    let version = run::quiet(std::process::Command::new("strace").arg("-V"))?;
    version.starts_with("strace").then_some(()).context("what is called strace is something else")
}

/// A system call as noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// Everything between the parentheses.
    pub arguments: String,
    /// What it returned; empty when the process ended inside it.
    pub returned: String,
    /// The line that notes its beginning, and the one that notes its end.
    pub begun: usize,
    pub ended: usize,
}

impl Call {
    /// Whether it did what it was asked for.
    pub fn succeeded(&self) -> bool {
        !self.returned.is_empty() && !self.returned.starts_with('-')
    }

    /// The file, folder or socket of its first argument, as `-y` shows it: `12</data/file>`.
    pub fn target(&self) -> Option<&str> {
        let (number, rest) = self.arguments.split_once('<')?;
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| rest.split_once('>').map(|(target, _)| target))?
    }

    /// The `number`-th argument in quotes, from 0.
    pub fn quoted(&self, number: usize) -> Option<&str> {
        self.arguments.split('"').nth(2 * number + 1)
    }
}

/// Reads notes: calls that were interrupted by others' are put together again.
pub fn calls(notes: &str) -> Vec<Call> {
    let mut open: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (at, line) in notes.lines().enumerate() {
        let Some((thread, text)) = line.split_once(' ') else { continue };
        let text = text.trim_start();
        if let Some(begun) = text.strip_suffix(" <unfinished ...>") {
            open.insert(thread, (at, begun));
        } else if let Some(rest) = text.strip_prefix("<... ") {
            let Some((begun, head)) = open.remove(thread) else { continue };
            let rest = rest.split_once("resumed>").map_or("", |(_, rest)| rest);
            calls.extend(call(&format!("{head}{rest}"), begun, at));
        } else {
            calls.extend(call(text, at, at));
        }
    }
    calls.extend(open.into_values().filter_map(|(at, head)| call(&format!("{head}) = "), at, usize::MAX)));
    calls.sort_by_key(|call| call.ended);
    calls
}

fn call(text: &str, begun: usize, ended: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, returned) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let known = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    known.then(|| Call {
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        returned: returned.trim().to_owned(),
        begun,
        ended,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupted_calls_are_put_together() {
        let notes = "7 pwrite64(9</d/a.segment>, \"x = (1)\\n\", 512, 1024) = 512\n\
                     7 fdatasync(9</d/a.segment> <unfinished ...>\n\
                     8 rename(\"/d/a.partial\", \"/d/a\") = 0\n\
                     7 <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)\n\
                     8 unlink(\"/d/b\" <unfinished ...>\n";
        let calls = calls(notes);
        assert_eq!(
            calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>(),
            ["pwrite64", "rename", "fdatasync", "unlink"]
        );
        assert_eq!((calls[0].target(), calls[0].returned.as_str()), (Some("/d/a.segment"), "512"));
        assert_eq!(
            (calls[1].quoted(0), calls[1].quoted(1), calls[1].target()),
            (Some("/d/a.partial"), Some("/d/a"), None)
        );
        assert_eq!((calls[2].begun, calls[2].ended, calls[2].succeeded()), (1, 3, false));
        assert!(!calls[3].succeeded() && calls[1].succeeded());
    }
}
