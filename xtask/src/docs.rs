//! `docs/reference/`: what the binary says about itself, written to files or compared with them.

use crate::run;
use std::path::Path;
use std::process::Command;

/// The pages, each printed by `tenrec reference NAME`.
const PAGES: &[&str] = &["cli", "columns", "errors", "metrics", "settings"];

/// Options of `cargo xtask docs`.
#[derive(clap::Args)]
pub struct Options {
    /// Change nothing; fail when a page is out of date.
    #[arg(long)]
    check: bool,
}

/// Builds the binary, then writes or checks every page.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let binary = testkit::build(root, testkit::Profile::Debug)?;
    if options.check {
        return check(root, &binary);
    }
    std::fs::create_dir_all(root.join("docs/reference"))?;
    for name in PAGES {
        let path = root.join("docs/reference").join(format!("{name}.md"));
        std::fs::write(&path, page(&binary, name)?)?;
        println!("wrote docs/reference/{name}.md");
    }
    Ok(())
}

/// Fails with the list of pages that do not say what the binary says.
pub fn check(root: &Path, binary: &Path) -> anyhow::Result<()> {
    let mut stale = Vec::new();
    for name in PAGES {
        let path = root.join("docs/reference").join(format!("{name}.md"));
        if std::fs::read_to_string(&path).unwrap_or_default() != page(binary, name)? {
            println!("docs/reference/{name}.md:1: [docs] refused: out of date, run `cargo xtask docs`");
            stale.push(*name);
        }
    }
    anyhow::ensure!(stale.is_empty(), "out of date: {}", stale.join(", "));
    Ok(())
}

fn page(binary: &Path, name: &str) -> anyhow::Result<String> {
    let text = run::quiet(Command::new(binary).args(["reference", name]))?;
    let note = "<!-- Written by `cargo xtask docs` from the binary. Change the code, not this page. -->";
    Ok(format!("{note}\n\n{}\n", text.trim_end()))
}
