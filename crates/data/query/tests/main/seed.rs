//! The two queries of seed 001, word for word.

use crate::world::World;

const STARTUP: &str = "-- Correlation: startup time vs user retention
SELECT
  CASE
    WHEN m.time_to_ready_ms < 30000 THEN 'fast (<30s)'
    WHEN m.time_to_ready_ms < 60000 THEN 'medium (30-60s)'
    ELSE 'slow (>60s)'
  END as startup_speed,
  COUNT(DISTINCT e.distinct_id) as users,
  COUNT(DISTINCT CASE WHEN retained.distinct_id IS NOT NULL THEN e.distinct_id END) as retained_users
FROM events e
JOIN machine_metrics m ON e.properties.machine_id = m.machine_id
LEFT JOIN (
  SELECT DISTINCT distinct_id
  FROM events
  WHERE event = 'session_started'
    AND timestamp > now() - interval '7 days'
) retained ON e.distinct_id = retained.distinct_id
WHERE e.event = 'machine_created'
  AND e.timestamp > now() - interval '30 days'
  AND m.metric_type = 'startup'
GROUP BY startup_speed";

const UNHEALTHY: &str = "-- Which orgs have the most machine health issues?
SELECT
  m.org_id,
  COUNT(*) as unhealthy_events,
  AVG(m.cpu_percent) as avg_cpu_when_unhealthy
FROM machine_metrics m
WHERE m.metric_type = 'resource'
  AND (m.cpu_percent > 90 OR m.memory_percent > 90)
GROUP BY m.org_id
ORDER BY unhealthy_events DESC";

#[tokio::test]
async fn startup_speed_and_retention() {
    let world = World::open().await;
    let mut rows = world.rows(1, STARTUP).await;
    rows.sort();
    assert_eq!(rows, [["fast (<30s)", "1", "1"], ["slow (>60s)", "1", "0"]]);
    let answer = world.ask(1, STARTUP).await.expect("an answer");
    assert_eq!(answer.columns, ["startup_speed", "users", "retained_users"]);
}

#[tokio::test]
async fn unhealthy_machines_by_org() {
    let world = World::open().await;
    let mut rows = world.rows(1, UNHEALTHY).await;
    rows.sort();
    assert_eq!(rows, [["org-a", "1", "95.0"], ["org-b", "1", "40.0"]]);
    assert_eq!(world.rows(2, UNHEALTHY).await.len(), 2, "a table without team_id is for all projects");
}
