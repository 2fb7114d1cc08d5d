//! A tracked file knows nothing of the machine it was written on.

use super::checkout::{Checkout, Complaint};

/// Folders of particular machines.
const FOLDERS: &[&str] = &["/root/", "/home/", "/Users/"];

/// Paths of one machine.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.files.iter().filter(|file| !is_exempt(&file.path)) {
        for (at, line) in file.text.lines().enumerate() {
            if let Some(folder) = FOLDERS.iter().find(|folder| names_folder(line, folder)) {
                found.push(file.refuse(at + 1, format!("`{folder}`: no path of one machine")));
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
        assert_eq!(count("cd /home/me/x"), 1);
        assert_eq!(count("see `/Users/me`"), 1);
        assert_eq!(count("https://example.com/home/a"), 0);
        assert_eq!(count("crates/home/a"), 0);
    }
}
