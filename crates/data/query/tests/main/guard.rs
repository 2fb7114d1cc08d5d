//! Statements that must not run.

use query::Kind;

use crate::world::World;

/// One statement a line; the server's tests send the same.
const REFUSED: &str = include_str!("../../../../../fixtures/query/refused.txt");

#[tokio::test]
async fn only_reading_our_tables_is_accepted() {
    let world = World::open().await;
    for sql in REFUSED.lines() {
        let error = match world.ask(1, sql).await {
            Ok(answer) => panic!("{sql} was answered: {:?}", crate::world::texts(&answer)),
            Err(error) => error,
        };
        assert!(matches!(error.kind, Kind::Invalid | Kind::NotFound), "{sql}: {error:?}");
        let problem = error.problem();
        assert_eq!(problem.family, "validation_error", "{sql}");
        assert!(!problem.detail.is_empty() && !problem.detail.contains("root:"), "{sql}: {}", problem.detail);
    }
    assert_eq!(world.rows(1, "SELECT count(*) FROM events").await, [["10"]]);
}

#[tokio::test]
async fn size_and_depth_are_bounded() {
    let world = World::open().await;
    let repeated = |part: &str, times: usize| part.repeat(times);
    let hostile = [
        format!("SELECT '{}'", repeated("x", 70_000)),
        format!("SELECT {}1{}", repeated("(", 5_000), repeated(")", 5_000)),
        format!("SELECT 1{}", repeated("+1", 9_000)),
        format!("SELECT {} true", repeated("NOT ", 5_000)),
        format!("SELECT {}1", repeated("- ", 9_000)),
        format!("SELECT 1 WHERE true{}", repeated(" AND true", 4_000)),
        format!("SELECT 1 WHERE 1=1{}", repeated(" OR 1=2", 4_000)),
        format!("SELECT {}1{}", repeated("abs(", 5_000), repeated(")", 5_000)),
        format!("SELECT * FROM {}events{}", repeated("(SELECT * FROM ", 2_000), repeated(")", 2_000)),
        format!("SELECT {} 1 {}", repeated("CASE WHEN true THEN ", 2_000), repeated(" END", 2_000)),
        format!("SELECT 1{}", repeated(" UNION ALL SELECT 1", 2_500)),
        format!("SELECT {}1{}", repeated("[", 5_000), repeated("]", 5_000)),
        format!("SELECT properties{} FROM events", repeated(".a", 9_000)),
        format!("SELECT properties{} FROM events", repeated("['a']", 4_000)),
        format!("SELECT {}", repeated("a,", 25_000)),
        format!("SELECT * FROM events{}", repeated(", events", 3_000)),
        format!("SELECT 'a'{}", repeated(" || 'a'", 5_000)),
        format!("SELECT 1{}", repeated("::int", 6_000)),
    ];
    for sql in &hostile {
        let done = world.ask(1, sql).await;
        if let Err(error) = done {
            let known = matches!(error.kind, Kind::Invalid | Kind::NotFound | Kind::Limit);
            assert!(known, "{}: {error:?}", &sql[..60]);
        }
    }
    let wide = format!("SELECT count(*) FROM events WHERE event IN ({}'x')", "'purchase', ".repeat(2_000));
    assert_eq!(world.rows(1, &wide).await, [["2"]]);
    let long =
        format!("SELECT count(*) FROM events WHERE event = 'x'{}", " OR event = 'purchase'".repeat(300));
    assert_eq!(world.rows(1, &long).await, [["2"]]);
}

#[tokio::test]
async fn faults_are_told_in_useful_words() {
    let world = World::open().await;
    let cases = [
        ("SELECT * FROM evnts", "table_not_found", "Did you mean \"events\"?"),
        ("SELECT * FROM session", "table_not_found", "Did you mean \"sessions\"?"),
        ("SELECT distinctid FROM events", "column_not_found", "Did you mean \"distinct_id\"?"),
        ("SELECT e.evnt FROM events e", "column_not_found", "Did you mean \"event\"?"),
        ("SELEC 1", "syntax_error", "cannot be read"),
        ("SELECT nofunction(1)", "invalid_input", "nofunction"),
        ("SELECT 1 % 0", "invalid_input", "zero"),
        ("SELECT * FROM events WHERE timestamp > 'yesterdayish'", "invalid_input", "yesterdayish"),
        ("DROP TABLE events", "not_allowed", "DROP"),
    ];
    for (sql, code, part) in cases {
        let error = world.ask(1, sql).await.expect_err(sql);
        assert_eq!(error.code, code, "{sql}: {error:?}");
        assert!(error.context.contains(part), "{sql}: {}", error.context);
        assert_eq!(error.status(), 400, "{sql}");
    }
}
