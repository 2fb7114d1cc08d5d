//! What may come through the SQL front, told a second time and in another way: for tests and fuzzing.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    LimitClause, ObjectName, Statement, TableFactor, Visit as _, Visitor, visit_relations,
};

use super::{Prepared, prepare};
use crate::Limits;

/// Nodes of a syntax tree that do more than read, as its debug text names them.
const FORBIDDEN: &[&str] = &[
    "Insert(",
    "Update(",
    "Delete(",
    "Merge(",
    "Insert {",
    "Update {",
    "Delete {",
    "Merge {",
    "Drop {",
    "CreateTable",
    "CreateView",
    "Copy {",
    "into: Some",
    "locks: [LockClause",
    "for_clause: Some",
    "settings: Some",
    "format_clause: Some",
    "sample: Some",
    "TableFunction {",
    "JsonTable {",
    "OpenJsonTable {",
    "XmlTable {",
    "SemanticView {",
    "MatchRecognize {",
    "Placeholder(",
];

/// Reads a statement as a user's; true when it was taken.
///
/// # Panics
/// When it was taken and does more than read tables that have one word for a name.
pub fn examine(text: &str) -> bool {
    let limits = Limits::default();
    let Ok(Prepared { statement, window, .. }) = prepare(text, &limits, None) else { return false };
    let inner = match &statement {
        Statement::Explain { statement, .. } => statement,
        other => other,
    };
    let Statement::Query(query) = inner else { panic!("not a query: {text}") };
    assert!(window.limit <= limits.rows, "{} rows: {text}", window.limit);
    assert!(
        matches!(query.limit_clause, Some(LimitClause::LimitOffset { limit: Some(_), .. })),
        "no limit: {text}"
    );
    let tree = without_text(&format!("{statement:?}"));
    for node in FORBIDDEN {
        assert!(!tree.contains(node), "{node} came through: {text}");
    }
    assert!(!tree.contains("pipe_operators: [") || tree.contains("pipe_operators: []"), "a pipe: {text}");
    let named = visit_relations(&statement, |name| {
        if is_ours(name) { ControlFlow::Continue(()) } else { ControlFlow::Break(name.clone()) }
    });
    assert!(named.is_continue(), "{named:?} is named: {text}");
    let mut functions = Functions;
    assert!(statement.visit(&mut functions).is_continue(), "a function makes a table: {text}");
    true
}

/// A debug text without what stands in quotes.
fn without_text(debug: &str) -> String {
    let mut kept = String::new();
    let mut quoted = false;
    // A quote as a single character opens nothing.
    let debug = debug.replace("'\"'", "");
    let mut signs = debug.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '"' => quoted = !quoted,
            '\\' if quoted => drop(signs.next()),
            _ if quoted => {}
            _ => kept.push(sign),
        }
    }
    kept
}

fn is_ours(name: &ObjectName) -> bool {
    let shown = name.to_string().to_lowercase();
    name.0.len() == 1 || matches!(shown.as_str(), "information_schema.tables" | "information_schema.columns")
}

/// Looks for tables that a function makes out of more than numbers and lists.
struct Functions;

impl Visitor for Functions {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let name = match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                name.to_string()
            }
            _ => return ControlFlow::Continue(()),
        };
        let plain = name.trim_matches(['"', '`', '[', ']']).to_lowercase();
        match plain.as_str() {
            "range" | "generate_series" | "unnest" => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Statements that run, in records of `tests/slt`, and one a line.
    const RECORDS: &[&str] = &[
        include_str!("../../tests/slt/select.slt"),
        include_str!("../../tests/slt/spelling.slt"),
        include_str!("../../tests/slt/property.slt"),
        include_str!("../../tests/slt/view.slt"),
    ];
    const HARMLESS: &str = include_str!("../../../../../fixtures/query/other-project.txt");
    /// Statements that must not run, one a line.
    const REFUSED: &str = include_str!("../../../../../fixtures/query/refused.txt");

    /// Pieces that make a statement do more, or mean something else, where they fit.
    const PIECES: &[&str] = &[
        "; DROP TABLE events",
        "INTO x",
        "FOR UPDATE",
        "UNION ALL SELECT * FROM persons",
        "FROM read_parquet('x')",
        "FROM 's3://x/y.parquet'",
        "FROM a.b.c",
        "INSERT INTO events VALUES (1)",
        "(DELETE FROM events)",
        "WITH x AS (UPDATE events SET a = 1 RETURNING *)",
        "FORMAT JSON",
        "SETTINGS a = 1",
        "|> WHERE true",
        "/*",
        "*/",
        "--",
        "$$",
        "'",
        "\"",
        "`",
        "\\",
        "(",
        ")",
        "[",
        "{x}",
        "$1",
        "?",
        ".*",
        "LATERAL",
        "TABLE(f(1))",
        "JSON_TABLE(a, '$' COLUMNS(b INT PATH '$'))",
        "EXPLAIN",
        "LIMIT 999999999",
        "LIMIT ALL",
        "properties.a.b['c'][1]",
        "\u{0}",
        "\u{feff}",
        "é",
    ];

    /// splitmix64.
    fn draw(state: &mut u64, below: usize) -> usize {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 16) as usize % below.max(1)
    }

    /// The statement of a record.
    fn statement(record: &str) -> String {
        let lines = record.lines().filter(|line| !line.starts_with('#')).skip(1);
        lines.take_while(|line| *line != "----").collect::<Vec<_>>().join(" ")
    }

    /// A statement that runs, changed in some places: words left out, doubled, taken from another, pieces and bytes
    /// thrown in.
    fn damaged(tame: &[String], wild: &[&str], state: &mut u64) -> String {
        let mut words: Vec<&str> = tame[draw(state, tame.len())].split(' ').collect();
        for _ in 0..=draw(state, 2) {
            let at = draw(state, words.len());
            let other = match draw(state, 2) {
                0 => tame[draw(state, tame.len())].as_str(),
                _ => wild[draw(state, wild.len())],
            };
            let other: Vec<&str> = other.split(' ').collect();
            match draw(state, 6) {
                0 if words.len() > 1 => drop(words.remove(at)),
                1 => words.insert(at, words[at]),
                2 => words[at] = other[draw(state, other.len())],
                3 => words.insert(at, PIECES[draw(state, PIECES.len())]),
                4 => words.extend(&other[draw(state, other.len())..]),
                _ => words.splice(at..=at, ["("].into_iter().chain(other).chain([")"])).for_each(drop),
            }
        }
        let mut bytes = words.join(" ").into_bytes();
        if draw(state, 4) == 0 && !bytes.is_empty() {
            let at = draw(state, bytes.len());
            bytes[at] = draw(state, 128) as u8;
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[test]
    fn nothing_comes_through_that_does_more_than_read() {
        let rounds: u64 =
            std::env::var("FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
        let records =
            RECORDS.iter().flat_map(|text| text.split("\n\n")).map(|record| statement(record.trim()));
        let tame: Vec<String> =
            records.chain(HARMLESS.lines().map(str::to_owned)).filter(|text| examine(text)).collect();
        let wild: Vec<&str> = REFUSED.lines().collect();
        assert!(tame.len() > 100, "{} statements", tame.len());
        let mut taken = 0;
        for round in 0..rounds {
            let mut state = round << 20;
            let text = damaged(&tame, &wild, &mut state);
            let outcome = std::panic::catch_unwind(|| examine(&text));
            assert!(outcome.is_ok(), "round {round}: {text}");
            taken += u64::from(outcome.is_ok_and(|taken| taken));
        }
        // A front that takes nothing would pass, and prove nothing.
        assert!(taken > rounds / 20, "{taken} of {rounds} were taken");
    }

    #[test]
    fn words_in_quotes_are_no_nodes_and_a_sample_of_a_query_is_one() {
        for text in [
            "SELECT 'Insert( into: Some'",
            "SELECT \"Delete {\" FROM events",
            "EXPLAIN SELECT 1",
            "SHOW TABLES",
        ] {
            assert!(examine(text), "{text}");
        }
        assert!(!examine("SELECT event FROM (SELECT event FROM events) SAMPLE 0.5"));
    }
}
