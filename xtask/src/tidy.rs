//! The house rules as code. Each rule is one file beside this one: a function from the checkout to complaints.

mod arrow;
mod attribute;
mod checkout;
mod function;
mod header;
mod heavy;
mod link;
mod lock;
mod metric;
mod name;
mod origin;
mod outward;
mod place;
mod point;
mod room;
mod size;
mod unwrap;
mod word;

use checkout::{Checkout, Complaint, Weight};
use std::collections::BTreeSet;
use std::path::Path;

/// A rule: its name, and what it finds.
type Rule = (&'static str, fn(&Checkout) -> Vec<Complaint>);

/// Every rule, in the order it reports.
const RULES: &[Rule] = &[
    ("arrow", arrow::complaints),
    ("heavy", heavy::complaints),
    ("lock", lock::complaints),
    ("room", room::complaints),
    ("outward", outward::complaints),
    ("place", place::complaints),
    ("metric", metric::complaints),
    ("point", point::complaints),
    ("size", size::complaints),
    ("function", function::complaints),
    ("attribute", attribute::complaints),
    ("unwrap", unwrap::complaints),
    ("header", header::complaints),
    ("name", name::complaints),
    ("origin", origin::complaints),
    ("link", link::complaints),
];

/// The names of all fail points in the code of the checkout at `root`.
pub fn fail_points(root: &Path) -> anyhow::Result<BTreeSet<String>> {
    let checkout = Checkout::open(root)?;
    Ok(point::points(&checkout).into_iter().map(|point| point.name.to_owned()).collect())
}

/// Checks the checkout at `root` and prints `path:line: [rule] what to do` per complaint.
pub fn run(root: &Path) -> anyhow::Result<()> {
    let checkout = Checkout::open(root)?;
    let mut refused = 0;
    for (rule, complaints) in RULES {
        for complaint in complaints(&checkout) {
            let weight = match complaint.weight {
                Weight::Refuse => {
                    refused += 1;
                    "refused"
                }
                Weight::Warn => "warning",
            };
            println!("{}:{}: [{rule}] {weight}: {}", complaint.path, complaint.line, complaint.text);
        }
    }
    println!("tidy: {} rules, {} files, {refused} refused", RULES.len(), checkout.files.len());
    anyhow::ensure!(refused == 0, "tidy refused {refused} places");
    Ok(())
}
