//! Lints are expected with a reason, never silenced; tests run, always; nothing is left to do.

use super::checkout::{Checkout, Complaint};

/// A piece of code that is refused, and what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("#[allow(", "use `#[expect(lint, reason = \"...\")]`"),
    ("#![allow(", "use `#[expect(lint, reason = \"...\")]` on the item"),
    ("#[ignore", "a test runs, or is not there"),
    ("todo!(", "finish it, or leave it out"),
    ("unimplemented!(", "finish it, or leave it out"),
];

/// Attributes and macros of [`REFUSED`], and expectations without a reason.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust().filter(|file| !file.path.starts_with("xtask/src/tidy/")) {
        for (at, line) in file.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (piece, instead) in REFUSED.iter().filter(|(piece, _)| code.contains(piece)) {
                found.push(file.refuse(at + 1, format!("`{piece}`: {instead}")));
            }
            if code.contains("[expect(") {
                let attribute: String = file.text.lines().skip(at).take(6).collect();
                let end = attribute.find(")]").unwrap_or(attribute.len());
                if !attribute[..end].contains("reason") {
                    found.push(file.refuse(at + 1, "say why: `#[expect(lint, reason = \"...\")]`"));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silenced_lints_are_refused() {
        let text = "#[allow(dead_code)]\nfn f() { todo!() }\n#[expect(dead_code)]\n#[expect(\n    dead_code,\n    reason = \"x\"\n)]\n#[test]\n#[ignore = \"slow\"]\n// #[allow(x)]\n";
        let found = complaints(&Checkout::of(&[("crates/core/event/src/a.rs", text)]));
        let lines: Vec<usize> = found.iter().map(|one| one.line).collect();
        assert_eq!(lines, [1, 2, 3, 9]);
    }
}
