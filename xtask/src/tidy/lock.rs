//! One arrow, one parquet, one object_store in Cargo.lock: two of them cannot exchange a batch.

use super::checkout::{Checkout, Complaint};

const SINGLE: &[&str] =
    &["arrow", "arrow-array", "parquet", "object_store", "iceberg", "datafusion", "libsqlite3-sys"];

/// Crates of [`SINGLE`] that are locked in more than one version.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let Some(lock) = checkout.files.iter().find(|file| file.path == "Cargo.lock") else { return Vec::new() };
    let mut found = Vec::new();
    for name in SINGLE {
        let wanted = format!("name = \"{name}\"");
        let lines: Vec<usize> =
            lock.text.lines().enumerate().filter(|(_, line)| *line == wanted).map(|(at, _)| at + 1).collect();
        if lines.len() > 1 {
            let text =
                format!("`{name}` is locked {} times; align the versions (`cargo tree -d`)", lines.len());
            found.push(lock.refuse(lines[1], text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_arrows_are_refused() {
        let lock =
            "[[package]]\nname = \"arrow\"\n\n[[package]]\nname = \"arrow\"\n\n[[package]]\nname = \"syn\"\n";
        let found = complaints(&Checkout::of(&[("Cargo.lock", lock)]));
        assert_eq!((found.len(), found[0].line), (1, 5));
    }
}
