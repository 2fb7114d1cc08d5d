//! Who may import whom: the table of ARCHITECTURE.md against every Cargo.toml.

use super::checkout::{Checkout, Complaint, Source};

/// Crate, then the workspace crates it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("wire", &["event"]),
    ("identity", &["event"]),
    ("flags", &["event"]),
    ("replay", &["event"]),
    ("telemetry", &[]),
    ("eventlog", &["event", "telemetry"]),
    ("metastore", &["event", "identity", "flags", "telemetry"]),
    ("table", &["event", "identity", "telemetry"]),
    ("query", &["event", "wire", "table", "telemetry"]),
    ("ingest", &["event", "wire", "identity", "replay", "eventlog", "metastore", "table", "telemetry"]),
    ("backup", &["eventlog", "metastore", "table", "telemetry"]),
    ("outbound", &[]),
    ("connectors", &["event", "table", "telemetry", "outbound"]),
    ("server", &[CORE, DATA]),
    ("edge", &[CORE, "connectors"]),
    ("cli", &[CORE, DATA, "server"]),
    ("client", &[]),
    ("testkit", &[]),
    ("xtask", &["testkit"]),
];

const CORE: &str = "core";
const DATA: &str = "data";

/// Dependencies outside the table, and crates that the table does not know.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let homes: Vec<(String, String)> = checkout
        .manifests()
        .filter_map(|(file, _)| file.home().map(|(name, room)| (name.to_owned(), room.to_owned())))
        .collect();
    let mut found = Vec::new();
    for (file, manifest) in checkout.manifests() {
        let Some((name, _)) = file.home() else { continue };
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            found
                .push(file.refuse(1, format!("add `{name}` to the import table in xtask/src/tidy/arrow.rs")));
            continue;
        };
        for (section, dependency) in dependencies(&manifest) {
            let Some((_, room)) = homes.iter().find(|(known, _)| *known == dependency) else { continue };
            let is_test = section == "dev-dependencies";
            let may = allowed.iter().any(|entry| *entry == dependency || entry == room)
                || (is_test && (dependency == "testkit" || is_below(name, &dependency)));
            if !may {
                let text =
                    format!("`{name}` may not import `{dependency}`: pass what it needs as an argument");
                found.push(file.refuse(line_of(file, &dependency), text));
            }
        }
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")).is_some();
        if !inherits {
            found.push(file.refuse(1, "add `[lints] workspace = true`"));
        }
    }
    found
}

/// Whether arrows lead from `upper` to `lower` at last: its tests may then make what the crates between take.
fn is_below(upper: &str, lower: &str) -> bool {
    let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == upper) else { return false };
    allowed.iter().any(|next| *next == lower || is_below(next, lower))
}

/// `(section, crate name)` of every dependency, targets included.
pub fn dependencies(manifest: &toml::Table) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let tables = targets.into_iter().flat_map(|table| table.values().filter_map(toml::Value::as_table));
    for table in std::iter::once(manifest).chain(tables) {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(entries) = table.get(section).and_then(toml::Value::as_table) else { continue };
            for (key, value) in entries {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(key);
                found.push((section.to_owned(), package.to_owned()));
            }
        }
    }
    found
}

/// The line of a dependency in its manifest.
pub fn line_of(file: &Source, dependency: &str) -> usize {
    let starts =
        |line: &str| line.strip_prefix(dependency).is_some_and(|rest| rest.starts_with([' ', '.', '=']));
    file.text.lines().position(starts).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_pointing_up_is_refused() {
        let lints = "[lints]\nworkspace = true\n";
        let checkout = Checkout::of(&[
            ("crates/core/event/Cargo.toml", &format!("{lints}[dependencies]\ntable.workspace = true\n")),
            ("crates/data/table/Cargo.toml", &format!("{lints}[dependencies]\nevent.workspace = true\n")),
            ("crates/apps/server/Cargo.toml", &format!("{lints}[dependencies]\ntable.workspace = true\n")),
            ("crates/data/novel/Cargo.toml", lints),
            (
                "crates/data/query/Cargo.toml",
                "[dev-dependencies]\ntestkit.workspace = true\nidentity.workspace = true\n",
            ),
            (
                "crates/core/identity/Cargo.toml",
                &format!("{lints}[dev-dependencies]\ntable.workspace = true\n"),
            ),
            ("crates/dev/testkit/Cargo.toml", lints),
        ]);
        let found = complaints(&checkout);
        let lines: Vec<(&str, usize)> = found.iter().map(|one| (one.path.as_str(), one.line)).collect();
        assert_eq!(
            lines,
            [
                ("crates/core/event/Cargo.toml", 4),
                ("crates/data/novel/Cargo.toml", 1),
                ("crates/data/query/Cargo.toml", 1),
                ("crates/core/identity/Cargo.toml", 4),
            ]
        );
    }
}
