//! How large a function may be: lines of code, parameters, bool parameters.

use super::checkout::{Checkout, Complaint, Source};
use syn::spanned::Spanned as _;
use syn::visit::Visit;

const LINES: usize = 80;
const PARAMETERS: usize = 5;
const BOOLS: usize = 1;

/// Functions that are too large.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust() {
        if let Some(tree) = &file.tree {
            Functions { file, found: &mut found }.visit_file(tree);
        }
    }
    found
}

struct Functions<'a> {
    file: &'a Source,
    found: &'a mut Vec<Complaint>,
}

impl Functions<'_> {
    /// A trait dictates the signature of what implements it, so there only the body counts.
    fn judge(&mut self, signature: &syn::Signature, block: Option<&syn::Block>, dictated: bool) {
        let line = signature.ident.span().start().line;
        let name = &signature.ident;
        let mut refuse = |text: String| self.found.push(self.file.refuse(line, text));
        if let Some(lines) = block.map(|block| code_lines(self.file, block)).filter(|lines| *lines > LINES) {
            refuse(format!("`{name}` has {lines} lines of code, at most {LINES}: name its steps"));
        }
        if dictated {
            return;
        }
        let inputs = signature.inputs.len();
        if inputs > PARAMETERS {
            refuse(format!("`{name}` takes {inputs} parameters, at most {PARAMETERS}: make them a struct"));
        }
        let bools = signature.inputs.iter().filter(|input| is_bool(input)).count();
        if bools > BOOLS {
            refuse(format!("`{name}` takes {bools} bools, at most {BOOLS}: make them an enum"));
        }
    }
}

fn is_bool(input: &syn::FnArg) -> bool {
    matches!(input, syn::FnArg::Typed(typed) if matches!(&*typed.ty, syn::Type::Path(path) if path.path.is_ident("bool")))
}

/// Lines between the braces that are neither empty nor only a comment.
fn code_lines(file: &Source, block: &syn::Block) -> usize {
    let (first, last) = (block.span().start().line, block.span().end().line);
    let inner = file.text.lines().take(last.saturating_sub(1)).skip(first);
    inner.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

impl<'tree> Visit<'tree> for Functions<'_> {
    fn visit_item_fn(&mut self, item: &'tree syn::ItemFn) {
        self.judge(&item.sig, Some(&item.block), false);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'tree syn::ItemImpl) {
        for part in &item.items {
            if let syn::ImplItem::Fn(function) = part {
                self.judge(&function.sig, Some(&function.block), item.trait_.is_some());
            }
        }
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'tree syn::TraitItemFn) {
        self.judge(&item.sig, item.default.as_ref(), false);
        syn::visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        complaints(&Checkout::of(&[("crates/core/event/src/a.rs", text)])).len()
    }

    #[test]
    fn large_functions_are_refused() {
        let body = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines));
        assert_eq!(count(&body(80)), 0);
        assert_eq!(count(&body(81)), 1);
        assert_eq!(count("fn f(a: u8, b: u8, c: u8, d: u8, e: u8) {}"), 0);
        assert_eq!(count("fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8) {}"), 1);
        assert_eq!(count("fn f(a: bool, b: bool) {}"), 1);
        assert_eq!(count("struct S; impl S { fn f(a: bool, b: bool) {} }"), 1);
        assert_eq!(count("struct S; impl T for S { fn f(a: bool, b: bool) {} }"), 0);
    }
}
