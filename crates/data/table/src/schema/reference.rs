//! The column reference, as Markdown.

use super::{NAMESPACE, TABLES};
use std::fmt::Write;

/// Renders every table and column as Markdown, for `docs/reference/columns.md`.
pub fn reference() -> String {
    let mut tables = TABLES;
    tables.sort_by_key(|def| def.name);
    let mut text = String::from("# Columns\n\nGenerated from `crates/data/table/src/schema`. ");
    text.push_str("Ids are text, timestamps are UTC with microseconds, JSON is text.\n");
    text.push_str(
        "A promoted column repeats one event property as text: a string's content, the JSON text of ",
    );
    text.push_str(
        "anything else, null when the property is null or absent. It is named `p_` and the property ",
    );
    text.push_str("without `$`.\n");
    for def in tables {
        let _ = write!(text, "\n## {NAMESPACE}.{}\n\n{}\n\n", def.name, def.doc);
        let _ = write!(text, "Partitioned by `team_id` and the day of `{}`; ", def.partition.day_of);
        let _ = write!(text, "files are sorted by `{}`.\n\n", def.sort.join("`, `"));
        text.push_str("| id | column | type | null | promoted from | meaning |\n|---|---|---|---|---|---|\n");
        for column in def.columns {
            let null = if column.required { "no" } else { "yes" };
            let property = column.promoted_from.map_or(String::new(), |name| format!("`{name}`"));
            let _ = writeln!(
                text,
                "| {} | `{}` | {} | {null} | {property} | {} |",
                column.id,
                column.name,
                column.kind.label(),
                column.doc
            );
        }
    }
    text
}
