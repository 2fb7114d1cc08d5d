//! No statement shows a row of another project.

use crate::world::World;

/// Statements that try to reach rows of project 2 while asking for project 1.
const ATTEMPTS: &[&str] = &[
    "SELECT * FROM events LIMIT 50000",
    "SELECT * FROM events WHERE team_id = 2",
    "SELECT * FROM events WHERE team_id = 2 OR true",
    "SELECT * FROM events WHERE team_id <> 1",
    "SELECT * FROM events WHERE team_id IN (1, 2)",
    "SELECT * FROM (SELECT * FROM events) WHERE team_id = 2",
    "SELECT * FROM events UNION ALL SELECT * FROM events",
    "SELECT * FROM events UNION SELECT * FROM events WHERE team_id = 2",
    "SELECT * FROM events EXCEPT SELECT * FROM events WHERE team_id = 1",
    "SELECT * FROM events INTERSECT SELECT * FROM events",
    "WITH e AS (SELECT * FROM events WHERE team_id = 2) SELECT * FROM e",
    "WITH team_id AS (SELECT 2 AS team_id) SELECT e.* FROM events e, team_id",
    "SELECT a.* FROM events a JOIN events b ON a.team_id <> b.team_id OR true",
    "SELECT b.* FROM events a RIGHT JOIN events b ON a.uuid = b.uuid",
    "SELECT b.* FROM events a FULL JOIN events b ON a.uuid = b.uuid AND false",
    "SELECT * FROM events a CROSS JOIN persons p",
    "SELECT (SELECT max(event) FROM events WHERE team_id = 2)",
    "SELECT event FROM events WHERE EXISTS (SELECT 1 FROM events b WHERE b.team_id = 2)",
    "SELECT max(event), max(distinct_id), max(api_key), max(person_id), max(properties) FROM events",
    "SELECT array_agg(event) FROM events",
    "SELECT event, lag(event) OVER (ORDER BY team_id DESC) FROM events",
    "SELECT properties.$browser, properties.word FROM events",
    "SELECT * FROM events_resolved",
    "SELECT * FROM events_resolved WHERE team_id = 2",
    "SELECT * FROM persons_current",
    "SELECT * FROM persons",
    "SELECT * FROM person_distinct_ids",
    "SELECT * FROM sessions",
    "SELECT * FROM hogflare",
    "SELECT * FROM groups",
    "SELECT * FROM heatmaps",
    "SELECT * FROM ingestion_warnings",
    "SELECT * FROM dead_letter",
    "SELECT * FROM session_replay_blocks",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.columns LIMIT 5000",
    "SELECT p.*, e.* FROM persons_current p LEFT JOIN events_resolved e ON p.id = e.person_id",
    "SELECT * FROM events e, LATERAL (SELECT * FROM persons p WHERE p.id = e.person_id) x",
    "TABLE events",
    "EXPLAIN SELECT * FROM events WHERE team_id = 2",
    "SELECT event FROM events WHERE event LIKE 'SEC%' OR event > 'A'",
    "SELECT 1 FROM events WHERE CAST(event AS INT) > 0",
    "SELECT 1 FROM events WHERE CAST(CASE WHEN event LIKE 'SEC%' THEN event ELSE '1' END AS INT) > 0",
    "SELECT CAST(CASE WHEN event LIKE 'SEC%' THEN event ELSE '1' END AS INT) FROM events",
    "SELECT count(*) FROM events WHERE 1 % (team_id - 2) < 5 AND length(properties) > 0",
    "SELECT * FROM events ORDER BY team_id DESC LIMIT 1",
    "SELECT * FROM events WHERE timestamp BETWEEN '2026-01-09' AND '2026-01-10'",
    "SELECT * FROM \"events\"",
    "SELECT e.event FROM EVENTS e",
    "SELECT COALESCE(MAX(CASE WHEN team_id = 2 THEN event END), 'none') FROM events",
    "SELECT team_id, count(*) FROM events GROUP BY ROLLUP (team_id)",
    "SELECT DISTINCT team_id FROM (SELECT team_id FROM events UNION ALL SELECT team_id FROM persons)",
];

#[tokio::test]
async fn nothing_of_the_other_project_is_seen() {
    let world = World::open().await;
    for sql in ATTEMPTS {
        match world.ask(1, sql).await {
            Ok(answer) => {
                let body = query::answer::to_posthog_json(&answer, "");
                assert!(!body.contains("SECRET"), "{sql}\n{body}");
            }
            Err(error) => assert!(!error.to_string().contains("SECRET"), "{sql}\n{error:?}"),
        }
    }
    let others = world.rows(2, "SELECT event, count(*) FROM events GROUP BY event").await;
    assert_eq!(others, [["SECRET", "2"]]);
    assert_eq!(world.rows(3, "SELECT count(*) FROM events").await, [["0"]]);
    assert_eq!(world.rows(1, "SELECT DISTINCT team_id FROM events").await, [["1"]]);
}

#[tokio::test]
async fn no_row_of_the_other_project_is_even_computed_with() {
    let world = World::open().await;
    let fails_on_theirs = "CAST(CASE WHEN event LIKE 'SEC%' THEN event ELSE '1' END AS INT)";
    let filtered = format!("SELECT count(*) FROM events WHERE {fails_on_theirs} > 0");
    assert_eq!(world.rows(1, &filtered).await, [["10"]]);
    let divided = "SELECT count(*) FROM events WHERE 1 % (team_id - 2) < 5";
    assert_eq!(world.rows(1, divided).await, [["10"]]);
}

#[tokio::test]
async fn counts_agree_across_projects_after_a_commit() {
    let world = World::open().await;
    let count = "SELECT count(*), count(DISTINCT uuid), min(team_id), max(team_id) FROM events";
    for _ in 0..2 {
        assert_eq!(world.rows(1, count).await, [["10", "10", "1", "1"]]);
        assert_eq!(world.rows(2, count).await, [["2", "2", "2", "2"]]);
        world.warehouse.commit(5).await.expect("a commit");
    }
}
