//! Names: honest verbs for functions, nouns or verbs for files, no `mod.rs`.

use super::checkout::{Checkout, Complaint, Source};
use syn::visit::Visit;

/// First words that hide what a function does.
const PREFIXES: &[&str] = &["get", "handle", "process", "do", "manage"];
/// Words that say nothing wherever they stand.
const EMPTY: &[&str] = &["manager", "util", "utils", "helper", "helpers", "common", "misc"];

/// Files and functions with refused names.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust() {
        let stem = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if stem == "mod" && !file.path.contains("/tests/") {
            found.push(file.refuse(1, "name the file after the module, beside its folder; no mod.rs"));
        }
        if file.path.split('/').any(|part| says_nothing(part.trim_end_matches(".rs"))) {
            found.push(file.refuse(1, format!("`{}` says nothing: name what is in it", file.path)));
        }
        if let Some(tree) = &file.tree {
            Names { file, found: &mut found }.visit_file(tree);
        }
    }
    found
}

fn says_nothing(name: &str) -> bool {
    name.split(['_', '-']).any(|word| EMPTY.contains(&word))
}

fn hides(name: &str) -> bool {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default();
    (words.next().is_some() && PREFIXES.contains(&first)) || says_nothing(name)
}

struct Names<'a> {
    file: &'a Source,
    found: &'a mut Vec<Complaint>,
}

impl Names<'_> {
    fn judge(&mut self, ident: &syn::Ident) {
        let line = ident.span().start().line;
        let name = ident.to_string();
        if hides(&name) && !self.file.is_test_line(line) {
            let text =
                format!("`{name}`: use an honest verb or noun (decode, normalize, fold, append, open)");
            self.found.push(self.file.refuse(line, text));
        }
    }
}

impl<'tree> Visit<'tree> for Names<'_> {
    fn visit_item_fn(&mut self, item: &'tree syn::ItemFn) {
        self.judge(&item.sig.ident);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'tree syn::ItemImpl) {
        // A foreign trait dictates the names of its methods.
        if item.trait_.is_none() {
            for part in &item.items {
                if let syn::ImplItem::Fn(function) = part {
                    self.judge(&function.sig.ident);
                }
            }
        }
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'tree syn::TraitItemFn) {
        self.judge(&item.sig.ident);
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'tree syn::ItemStruct) {
        let name = item.ident.to_string();
        if ["Manager", "Helper", "Util", "Utils"].iter().any(|word| name.ends_with(word)) {
            let text = format!("`{name}`: name what it owns");
            self.found.push(self.file.refuse(item.ident.span().start().line, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_refused() {
        let count = |path: &str, text: &str| complaints(&Checkout::of(&[(path, text)])).len();
        let path = "crates/core/event/src/a.rs";
        assert_eq!(count(path, "fn get_name() {}\nfn name() {}\nfn get() {}\n"), 1);
        assert_eq!(
            count(path, "struct S;\nimpl S { fn handle_it() {} }\nimpl T for S { fn handle_it() {} }\n"),
            1
        );
        assert_eq!(count(path, "struct KeyManager;\n"), 1);
        assert_eq!(count(path, "trait T { fn process_row(); }\n"), 1);
        assert_eq!(count("crates/core/event/src/util.rs", ""), 1);
        assert_eq!(count("crates/core/event/src/a/mod.rs", ""), 1);
        assert_eq!(count(path, "#[cfg(test)]\nmod tests { fn get_it() {} }\n"), 0);
    }
}
