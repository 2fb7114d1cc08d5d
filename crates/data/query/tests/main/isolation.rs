//! No statement shows a row of another project.

use crate::world::World;

/// Statements that try to reach rows of project 2 while asking for project 1.
const ATTEMPTS: &str = include_str!("../../../../../fixtures/query/other-project.txt");

#[tokio::test]
async fn nothing_of_the_other_project_is_seen() {
    let world = World::open().await;
    for sql in ATTEMPTS.lines() {
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
