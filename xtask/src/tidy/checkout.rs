//! What rules look at: the tracked files, read once and parsed once.

use anyhow::Context as _;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;
use syn::visit::Visit;

/// Whether a complaint fails the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Fails.
    Refuse,
    /// Is printed only.
    Warn,
}

/// One place that breaks a rule, and what to do about it.
#[derive(Clone, Debug)]
pub struct Complaint {
    /// Path from the root.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// What to do.
    pub text: String,
    /// Whether it fails the run.
    pub weight: Weight,
}

/// One tracked text file.
pub struct Source {
    /// Path from the root, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// The syntax tree of a Rust file that parses.
    pub tree: Option<syn::File>,
    /// Lines of items that exist only in tests.
    test_lines: Vec<RangeInclusive<usize>>,
}

/// All files that git tracks or would track.
pub struct Checkout {
    /// In git's order.
    pub files: Vec<Source>,
}

impl Checkout {
    /// Reads every file that git knows or does not ignore; binary files are left out.
    pub fn open(root: &Path) -> anyhow::Result<Self> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("git is needed to list the files")?;
        anyhow::ensure!(listed.status.success(), "git ls-files failed in {}", root.display());
        let names = String::from_utf8(listed.stdout).context("a tracked path is not UTF-8")?;
        let mut files = Vec::new();
        for path in names.split('\0').filter(|path| !path.is_empty()) {
            // A file deleted but still in the index, or a binary, is not text to check.
            if let Ok(text) = std::fs::read_to_string(root.join(path)) {
                files.push(Source::new(path, text));
            }
        }
        Ok(Self { files })
    }

    /// A checkout made of the given paths and texts.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| Source::new(path, (*text).to_owned())).collect() }
    }

    /// The Rust sources.
    pub fn rust(&self) -> impl Iterator<Item = &Source> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    /// The manifests of workspace crates, parsed; one that does not parse is left to cargo.
    pub fn manifests(&self) -> impl Iterator<Item = (&Source, toml::Table)> {
        self.files
            .iter()
            .filter(|file| file.path.ends_with("/Cargo.toml") && !file.path.starts_with("e2e/"))
            .filter_map(|file| Some((file, file.text.parse::<toml::Table>().ok()?)))
    }
}

impl Source {
    fn new(path: &str, text: String) -> Self {
        let tree = path.ends_with(".rs").then(|| syn::parse_file(&text).ok()).flatten();
        let mut finder = TestItems::default();
        if let Some(tree) = &tree {
            finder.visit_file(tree);
        }
        Self { path: path.to_owned(), text, tree, test_lines: finder.lines }
    }

    /// A complaint that fails the run.
    pub fn refuse(&self, line: usize, text: impl Into<String>) -> Complaint {
        Complaint { path: self.path.clone(), line, text: text.into(), weight: Weight::Refuse }
    }

    /// A complaint that is only printed.
    pub fn warn(&self, line: usize, text: impl Into<String>) -> Complaint {
        Complaint { weight: Weight::Warn, ..self.refuse(line, text) }
    }

    /// Whether the whole file exists only for tests.
    pub fn is_test(&self) -> bool {
        let stem = self.path.rsplit('/').next().unwrap_or_default();
        self.path.contains("/tests/")
            || self.path.contains("/examples/")
            || self.path.contains("/benches/")
            || matches!(stem, "tests.rs" | "test.rs" if !self.path.starts_with("xtask/"))
    }

    /// Whether a line belongs to a test.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.is_test() || self.test_lines.iter().any(|range| range.contains(&line))
    }

    /// The folder of the crate and its room: `("event", "core")` for `crates/core/event/...`.
    pub fn home(&self) -> Option<(&str, &str)> {
        let mut parts = self.path.split('/');
        match (parts.next()?, parts.next()?, parts.next()) {
            ("crates", room, Some(name)) => Some((name, room)),
            ("xtask", _, _) => Some(("xtask", "dev")),
            _ => None,
        }
    }
}

/// Finds the lines of `#[cfg(test)]` and `#[test]` items.
#[derive(Default)]
struct TestItems {
    lines: Vec<RangeInclusive<usize>>,
}

impl TestItems {
    fn note(&mut self, attributes: &[syn::Attribute], item: &impl syn::spanned::Spanned) {
        if attributes.iter().any(marks_test) {
            let span = item.span();
            self.lines.push(span.start().line..=span.end().line);
        }
    }
}

fn marks_test(attribute: &syn::Attribute) -> bool {
    let path = attribute.path();
    if path.segments.last().is_some_and(|segment| segment.ident == "test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    path.is_ident("cfg") && {
        let condition = list.tokens.to_string();
        condition == "test" || condition.starts_with("all (test") || condition.starts_with("any (test")
    }
}

impl Visit<'_> for TestItems {
    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        self.note(&item.attrs, item);
        syn::visit::visit_item_mod(self, item);
    }

    fn visit_item_fn(&mut self, item: &syn::ItemFn) {
        self.note(&item.attrs, item);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &syn::ItemImpl) {
        self.note(&item.attrs, item);
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &syn::ImplItemFn) {
        self.note(&item.attrs, item);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.note(&item.attrs, item);
    }

    fn visit_item_struct(&mut self, item: &syn::ItemStruct) {
        self.note(&item.attrs, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tests_are_known() {
        let checkout = Checkout::of(&[(
            "crates/core/event/src/lib.rs",
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n",
        )]);
        let file = &checkout.files[0];
        let marks: Vec<bool> = (1..=6).map(|line| file.is_test_line(line)).collect();
        assert_eq!(marks, [false, true, true, true, true, false]);
        assert_eq!(file.home(), Some(("event", "core")));
    }
}
