//! A crate root opens with one sentence, then what it takes, gives and never does.

use super::checkout::{Checkout, Complaint, Source};

/// Crate roots without the header, and modules without a first sentence.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust().filter(|file| file.home().is_some() && !file.is_test()) {
        let header: Vec<&str> =
            file.text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
        if is_root(file) {
            if let Some(text) = missing(&header) {
                found.push(file.refuse(1, text));
            }
        } else if header.is_empty() {
            found.push(file.refuse(1, "open with one `//!` sentence: what this file is about"));
        }
    }
    found
}

fn is_root(file: &Source) -> bool {
    file.path.ends_with("/src/lib.rs") || file.path == "xtask/src/main.rs"
}

fn missing(header: &[&str]) -> Option<String> {
    let sentence: String =
        header.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join(" ");
    if !sentence.ends_with('.') {
        return Some(
            "open with one sentence that ends with a full stop, then an empty `//!` line".to_owned(),
        );
    }
    let all = header.join(" ");
    ["Takes:", "Gives:", "Never:"]
        .iter()
        .find(|label| !all.contains(*label))
        .map(|label| format!("say `{label} ...` in the crate header"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_say_what_they_take_give_and_never_do() {
        let path = "crates/core/event/src/lib.rs";
        let count = |path: &str, text: &str| complaints(&Checkout::of(&[(path, text)])).len();
        assert_eq!(count(path, "//! Words.\n//!\n//! Takes: a. Gives: b.\n//! Never: c.\n"), 0);
        assert_eq!(count(path, "//! Words.\n//!\n//! Takes: a. Gives: b.\n"), 1);
        assert_eq!(count(path, "//! placeholder\n"), 1);
        assert_eq!(count("crates/core/event/src/a.rs", "fn f() {}\n"), 1);
    }
}
