//! A link in a document leads to a file that exists.

use super::checkout::{Checkout, Complaint};

/// Relative Markdown links to files that the checkout does not hold.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut fenced = false;
        for (at, line) in file.text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            for target in targets(line).filter(|_| !fenced) {
                let path = resolve(folder, target);
                let exists = checkout.files.iter().any(|known| {
                    known.path == path || known.path.starts_with(&format!("{}/", path.trim_end_matches('/')))
                });
                if !exists {
                    found.push(file.refuse(at + 1, format!("`{target}` leads nowhere: correct the link")));
                }
            }
        }
    }
    found
}

/// The relative targets of `](...)` in a line, anchors cut off.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', '#', ' ']).next().unwrap_or_default();
        let is_file = !target.is_empty() && !target.contains(':') && !target.starts_with('/');
        is_file.then_some(target)
    })
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_refused() {
        let text =
            "[a](adr/1.md) [b](../README.md#x)\n[c](gone.md) [d](https://a.b/c)\n```\n[e](x.md)\n```\n";
        let checkout = Checkout::of(&[("docs/a.md", text), ("docs/adr/1.md", ""), ("README.md", "")]);
        let found = complaints(&checkout);
        assert_eq!((found.len(), found[0].line), (1, 2));
    }
}
