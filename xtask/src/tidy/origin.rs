//! A tracked file knows nothing of the machine it was written on, nor of the tools it was written with.

use super::checkout::{Checkout, Complaint};

/// Folders of particular machines.
const FOLDERS: &[&str] = &["/work/", "/root/", "/home/", "/Users/", "/tmp/bash_jobs"];
/// Names of writing tools, in pieces so that this file does not hold them.
const TOOLS: &[&[&str]] = &[
    &["co", "pilot"],
    &["chat", "gpt"],
    &["claude", " code"],
    &["co-authored", "-by"],
    &["generated", " with"],
];

/// Machine paths and tool names.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let tools: Vec<String> = TOOLS.iter().map(|pieces| pieces.concat()).collect();
    let mut found = Vec::new();
    for file in checkout.files.iter().filter(|file| !is_exempt(&file.path)) {
        for (at, line) in file.text.lines().enumerate() {
            if let Some(folder) = FOLDERS.iter().find(|folder| names_folder(line, folder)) {
                found.push(file.refuse(at + 1, format!("`{folder}`: no path of one machine")));
            }
            let lower = line.to_lowercase();
            if let Some(tool) = tools.iter().find(|tool| lower.contains(*tool)) {
                found.push(file.refuse(at + 1, format!("`{tool}`: say what it is, not how it was written")));
            }
        }
    }
    found
}

/// Locks and recorded traffic hold what others wrote.
fn is_exempt(path: &str) -> bool {
    path == "xtask/src/tidy/origin.rs"
        || path.starts_with("fixtures/")
        || path.ends_with(".lock")
        || path.ends_with("package-lock.json")
}

/// Whether the folder stands as the start of a path, not inside a URL or another path.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|before| {
            !(before.is_alphanumeric() || matches!(before, '.' | '}' | ')' | '-' | '_' | '$' | '~'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_paths_are_refused() {
        let count = |text: &str| complaints(&Checkout::of(&[("docs/a.md", text)])).len();
        assert_eq!(count("cd /root/x"), 1);
        assert_eq!(count("see `/work/shared`"), 1);
        assert_eq!(count("https://example.com/work/a"), 0);
        assert_eq!(count("crates/root/a"), 0);
        assert_eq!(count(&format!("by {}{}", "chat", "gpt")), 1);
    }
}
