//! `unwrap` says nothing to whoever reads the panic: outside tests a fault is a value.

use super::checkout::{Checkout, Complaint};
use proc_macro2::{TokenStream, TokenTree};

/// Calls of `.unwrap()` outside tests, also inside macros.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust().filter(|file| !file.is_test()) {
        let Ok(tokens) = file.text.parse::<TokenStream>() else { continue };
        let mut lines = Vec::new();
        collect(tokens, &mut lines);
        for line in lines.into_iter().filter(|line| !file.is_test_line(*line)) {
            let text = "return an error, or `expect(\"the invariant\")` where it cannot fail";
            found.push(file.refuse(line, format!("`unwrap()`: {text}")));
        }
    }
    found
}

fn collect(tokens: TokenStream, lines: &mut Vec<usize>) {
    let mut after_dot = false;
    let mut named = None;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                if let Some(line) = named.filter(|_| group.stream().is_empty()) {
                    lines.push(line);
                }
                named = None;
                after_dot = false;
                collect(group.stream(), lines);
            }
            TokenTree::Ident(ident) => {
                named = (after_dot && ident == "unwrap").then(|| ident.span().start().line);
                after_dot = false;
            }
            TokenTree::Punct(punct) => {
                after_dot = punct.as_char() == '.';
                named = None;
            }
            TokenTree::Literal(_) => {
                after_dot = false;
                named = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwrap_outside_tests_is_refused() {
        let text = "fn f() {\n    a.unwrap();\n    vec![b.unwrap()];\n    c.unwrap_or(1);\n}\n#[test]\nfn g() { a.unwrap(); }\n";
        let found = complaints(&Checkout::of(&[("crates/core/event/src/a.rs", text)]));
        let lines: Vec<usize> = found.iter().map(|one| one.line).collect();
        assert_eq!(lines, [2, 3]);
    }
}
