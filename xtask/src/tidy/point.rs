//! Fail points: each name stands for one place, and the recorded list of them does not shrink unnoticed.

use super::checkout::{Checkout, Complaint, Source};
use std::collections::BTreeMap;

/// The recorded list, one name a line.
const LIST: &str = "xtask/src/torture/points.txt";
const MARK: &str = "fail_point!(\"";

/// A point in the code.
pub struct Point<'a> {
    /// Its name.
    pub name: &'a str,
    file: &'a Source,
    line: usize,
}

/// Every point of the crates, in the order of the files; those of tests are none.
pub fn points(checkout: &Checkout) -> Vec<Point<'_>> {
    let mut found = Vec::new();
    for file in checkout.rust().filter(|file| file.path.starts_with("crates/") && file.path.contains("/src/"))
    {
        for (at, line) in file.text.lines().enumerate().filter(|(at, _)| !file.is_test_line(at + 1)) {
            let code = line.split("//").next().unwrap_or_default();
            let name = code.split_once(MARK).and_then(|(_, rest)| rest.split_once('"'));
            found.extend(name.map(|(name, _)| Point { name, file, line: at + 1 }));
        }
    }
    found
}

/// Points that share a name, that the list lacks, and those only the list still has.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let Some(list) = checkout.files.iter().find(|file| file.path == LIST) else { return Vec::new() };
    let mut found = Vec::new();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for Point { name, file, line } in points(checkout) {
        *seen.entry(name).or_default() += 1;
        if seen[name] == 2 {
            found.push(file.refuse(line, format!("another place is called {name} too: rename one")));
        }
        if !list.text.lines().any(|listed| listed == name) {
            found.push(file.refuse(line, format!("add {name} to {LIST}, so that R1b strikes it")));
        }
    }
    for (at, listed) in list.text.lines().enumerate().filter(|(_, listed)| !seen.contains_key(listed)) {
        let text = format!(
            "the code has no fail point {listed} any more: put it back, or say in the commit why not"
        );
        found.push(list.refuse(at + 1, text));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_list_agree() {
        let code = "fn f() {\n telemetry::fail_point!(\"a.one\");\n telemetry::fail_point!(\"a.one\");\n \
                    telemetry::fail_point!(\"a.two\"); }\n// fail_point!(\"a.word\")\n";
        let checkout = Checkout::of(&[("crates/data/a/src/lib.rs", code), (LIST, "a.one\na.gone\n")]);
        let texts: Vec<String> = complaints(&checkout).into_iter().map(|complaint| complaint.text).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        for (text, part) in
            texts.iter().zip(["another place is called a.one", "add a.two", "no fail point a.gone"])
        {
            assert!(text.contains(part), "{text}");
        }
    }
}
