//! The paths that a Rust file speaks of: `std::fs::read` in an expression, each leaf of a `use`.
//! Comments and strings are not words.

use super::checkout::Source;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::Visit;

/// One path with at least two segments, or a leaf of a `use`.
pub struct Word {
    /// Segments joined with `::`.
    pub path: String,
    /// Line of its first segment.
    pub line: usize,
}

impl Word {
    /// Whether the path is `prefix` or below it.
    pub fn is_under(&self, prefix: &str) -> bool {
        self.path == prefix || self.path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with("::"))
    }

    /// Whether the path ends with the given segments.
    pub fn ends_with(&self, suffix: &str) -> bool {
        self.path == suffix || self.path.strip_suffix(suffix).is_some_and(|rest| rest.ends_with("::"))
    }
}

/// All words outside tests.
pub fn words(source: &Source) -> Vec<Word> {
    let mut found = Vec::new();
    if let Some(tree) = &source.tree {
        let mut leaves = Leaves { found: &mut found };
        leaves.visit_file(tree);
    }
    if let Ok(tokens) = source.text.parse::<TokenStream>() {
        collect(tokens, &mut found);
    }
    found.retain(|word| !source.is_test_line(word.line));
    found.sort_by(|a, b| (a.line, &a.path).cmp(&(b.line, &b.path)));
    found.dedup_by(|a, b| a.line == b.line && a.path == b.path);
    found
}

/// Joins `ident :: ident` runs of a token stream, macros included.
fn collect(tokens: TokenStream, found: &mut Vec<Word>) {
    let mut path: Vec<String> = Vec::new();
    let mut line = 0;
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Ident(ident) => {
                if colons != 2 || path.is_empty() {
                    finish(&mut path, line, found);
                    line = ident.span().start().line;
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Group(group) => {
                finish(&mut path, line, found);
                collect(group.stream(), found);
                colons = 0;
            }
            _ => {
                finish(&mut path, line, found);
                colons = 0;
            }
        }
    }
    finish(&mut path, line, found);
}

fn finish(path: &mut Vec<String>, line: usize, found: &mut Vec<Word>) {
    if path.len() > 1 {
        found.push(Word { path: path.join("::"), line });
    }
    path.clear();
}

struct Leaves<'a> {
    found: &'a mut Vec<Word>,
}

impl Visit<'_> for Leaves<'_> {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.descend(&item.tree, &mut Vec::new());
    }
}

impl Leaves<'_> {
    fn descend(&mut self, tree: &syn::UseTree, path: &mut Vec<syn::Ident>) {
        match tree {
            syn::UseTree::Path(step) => {
                path.push(step.ident.clone());
                self.descend(&step.tree, path);
                path.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.descend(item, path)),
            syn::UseTree::Name(leaf) => self.note(path, Some(&leaf.ident)),
            syn::UseTree::Rename(leaf) => self.note(path, Some(&leaf.ident)),
            syn::UseTree::Glob(_) => self.note(path, None),
        }
    }

    fn note(&mut self, path: &[syn::Ident], leaf: Option<&syn::Ident>) {
        let leaf = leaf.filter(|ident| *ident != "self");
        let Some(last) = leaf.or(path.last()) else { return };
        let line = last.span().start().line;
        let names: Vec<String> = path.iter().chain(leaf).map(ToString::to_string).collect();
        self.found.push(Word { path: names.join("::"), line });
    }
}

#[cfg(test)]
mod tests {
    use super::super::checkout::Checkout;
    use super::*;

    #[test]
    fn paths_are_found_and_comments_are_not() {
        let text = "//! std::env\nuse std::{fs, io::{self, Read}};\nfn f() { let x = std::net::lookup(vec![rand::random()]); }\n#[cfg(test)]\nmod tests { use std::env; }\n";
        let checkout = Checkout::of(&[("crates/core/event/src/a.rs", text)]);
        let paths: Vec<String> = words(&checkout.files[0]).into_iter().map(|word| word.path).collect();
        for wanted in ["std::fs", "std::io", "std::io::Read", "std::net::lookup", "rand::random"] {
            assert!(paths.iter().any(|path| path == wanted), "{wanted} in {paths:?}");
        }
        assert!(!paths.iter().any(|path| path == "std::env"), "{paths:?}");
    }
}
