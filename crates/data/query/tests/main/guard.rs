//! Statements that must not run.

use query::Kind;

use crate::world::World;

const REFUSED: &[&str] = &[
    "",
    ";",
    "-- nothing",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE events",
    "DROP TABLE events",
    "DROP VIEW sessions",
    "CREATE TABLE x (a INT)",
    "CREATE TABLE x AS SELECT * FROM events",
    "CREATE VIEW x AS SELECT * FROM events",
    "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE SCHEMA x",
    "CREATE DATABASE x",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "INSERT INTO events SELECT * FROM events",
    "INSERT INTO events VALUES (1)",
    "UPDATE events SET event = 'x'",
    "DELETE FROM events",
    "TRUNCATE TABLE events",
    "MERGE INTO events USING persons ON true WHEN MATCHED THEN DELETE",
    "ALTER TABLE events ADD COLUMN x INT",
    "COPY events TO '/tmp/x.csv'",
    "COPY (SELECT 1) TO '/tmp/x.parquet' STORED AS PARQUET",
    "COPY events FROM '/etc/passwd'",
    "SET datafusion.execution.batch_size = 1",
    "SET TIME ZONE 'UTC'",
    "RESET datafusion.execution.batch_size",
    "SHOW ALL",
    "SHOW datafusion.execution.batch_size",
    "SHOW VARIABLES",
    "SHOW FUNCTIONS",
    "SHOW DATABASES",
    "SHOW CREATE TABLE events",
    "USE other",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "START TRANSACTION",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "GRANT ALL ON events TO x",
    "REVOKE ALL ON events FROM x",
    "ANALYZE TABLE events",
    "VACUUM",
    "CALL f()",
    "KILL 1",
    "LOAD 'x'",
    "INSTALL httpfs",
    "ATTACH 'x' AS y",
    "DETACH y",
    "PRAGMA x",
    "EXPLAIN ANALYZE SELECT * FROM events",
    "EXPLAIN VERBOSE SELECT * FROM events",
    "EXPLAIN DELETE FROM events",
    "EXPLAIN INSERT INTO events SELECT * FROM events",
    "WITH x AS (DELETE FROM events RETURNING *) SELECT * FROM x",
    "WITH x AS (INSERT INTO events VALUES (1) RETURNING *) SELECT * FROM x",
    "SELECT * INTO other FROM events",
    "SELECT * FROM events FOR UPDATE",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM 'data.parquet'",
    "SELECT * FROM `file:///etc/passwd`",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('x')",
    "SELECT * FROM url('http://127.0.0.1/')",
    "SELECT * FROM file('/etc/passwd')",
    "SELECT * FROM s3('x')",
    "SELECT * FROM parquet_metadata('x')",
    "SELECT * FROM metadata_cache()",
    "SELECT * FROM TABLE(read_csv('x'))",
    "SELECT * FROM information_schema.df_settings",
    "SELECT * FROM information_schema.views",
    "SELECT * FROM information_schema.routines",
    "SELECT * FROM information_schema.schemata",
    "SELECT * FROM information_schema.parameters",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM datafusion.public.events",
    "SELECT * FROM tenrec.tables.events",
    "SELECT * FROM system.tables",
    "SELECT version()",
    "SELECT load_file('/etc/passwd')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT current_setting('x')",
    "SELECT $1",
    "SELECT ?",
    "SELECT @@version",
    "SELECT * FROM events WHERE event = $1",
    "SELECT * FROM events LIMIT (SELECT 5)",
    "SELECT * FROM events LIMIT -1",
    "SELECT * FROM events FORMAT JSON",
    "SELECT repeat('x', 2000000000)",
    "SELECT lpad('x', 2000000000)",
    "SELECT range(0, 10000000000)",
    "SELECT array_repeat('x', 2000000000)",
    "SELECT replace(repeat('a', 100000), 'a', repeat('b', 100000))",
    "SELECT generate_series(0, 10000000000)",
    "SELECT generate_series(timestamp '2000-01-01', timestamp '2026-01-01', interval '1 microsecond')",
    "SELECT array_repeat(array_repeat(1, 10000), 10000)",
    "SELECT repeat('x', 15000000) FROM generate_series(1, 8192)",
    "SELECT regexp_replace(repeat('a', 60000), '', repeat('b', 60000), 'g')",
    "SELECT sum(length(regexp_replace(repeat('a', 5000), '', repeat('b', value), 'g'))) FROM generate_series(1, 8192)",
    "WITH a AS (SELECT repeat('x', value + 60000) AS t FROM generate_series(1, 1)), b AS (SELECT t || t || t || t || t || t || t || t AS t FROM a), c AS (SELECT t || t || t || t || t || t || t || t AS t FROM b), d AS (SELECT t || t || t || t || t || t || t || t AS t FROM c) SELECT length(t) FROM d",
    "SELECT levenshtein(repeat('a', value), repeat('b', value)) FROM generate_series(100000, 100000)",
    "SELECT * FROM events SAMPLE 0.5",
];

#[tokio::test]
async fn only_reading_our_tables_is_accepted() {
    let world = World::open().await;
    for sql in REFUSED {
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
