//! How long a file may be: past the limit it holds two ideas.

use super::checkout::{Checkout, Complaint};

const WARNED: usize = 400;
const REFUSED: usize = 700;
const REFUSED_TESTS: usize = 1500;

/// Rust files that are too long.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust() {
        let lines = file.text.lines().count();
        let (limit, warned) = if file.is_test() { (REFUSED_TESTS, REFUSED_TESTS) } else { (REFUSED, WARNED) };
        if lines > limit {
            found.push(file.refuse(lines, format!("{lines} lines, at most {limit}: split by idea")));
        } else if lines > warned {
            found.push(file.warn(lines, format!("{lines} lines, better at most {warned}: split by idea")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::checkout::Weight;
    use super::*;

    #[test]
    fn long_files_are_warned_then_refused() {
        let weights = |path: &str, lines: usize| -> Vec<Weight> {
            complaints(&Checkout::of(&[(path, &"//\n".repeat(lines))])).iter().map(|one| one.weight).collect()
        };
        let path = "crates/core/event/src/a.rs";
        assert_eq!(weights(path, 400), []);
        assert_eq!(weights(path, 401), [Weight::Warn]);
        assert_eq!(weights(path, 701), [Weight::Refuse]);
        assert_eq!(weights("crates/core/event/tests/main.rs", 1500), []);
        assert_eq!(weights("crates/core/event/src/a/tests.rs", 1501), [Weight::Refuse]);
    }
}
