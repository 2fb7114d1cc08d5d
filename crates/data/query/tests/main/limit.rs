//! Time, memory, rows, bytes and turns are bounded.

use std::time::{Duration, Instant};

use query::{Kind, Limits};

use crate::world::{World, limits};

const ENDLESS: &str = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b \
                       WHERE a.value % 7 = b.value % 11";

#[tokio::test]
async fn a_slow_query_is_stopped() {
    let world = World::with(Limits { time: Duration::from_millis(300), ..limits() }).await;
    let started = Instant::now();
    let error = world.ask(1, ENDLESS).await.expect_err("too slow");
    assert_eq!((error.kind, error.code), (Kind::Limit, "timeout_exceeded"));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    // A stretch of work that does not pause ends before its thread is free; on a busy machine that takes a while.
    while world.ask(1, "SELECT 1").await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(120), "the threads are free again");
    }
}

#[tokio::test]
async fn a_recursive_query_ends() {
    let world = World::with(Limits { time: Duration::from_millis(500), ..limits() }).await;
    let sql = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r";
    let error = world.ask(1, sql).await.expect_err("endless");
    assert_eq!(error.kind, Kind::Limit, "{error:?}");
}

#[tokio::test]
async fn a_large_query_is_refused_or_spills() {
    let small = Limits { memory_bytes: 4 << 20, time: Duration::from_secs(120), ..limits() };
    let grouped = "SELECT max(v) FROM (SELECT value % 400000 AS v, count(*) AS n \
                   FROM generate_series(1, 400000) GROUP BY 1)";
    let world = World::with(small.clone()).await;
    let error = world.ask(1, grouped).await.expect_err("too large");
    assert_eq!((error.kind, error.code), (Kind::Limit, "memory_limit_exceeded"), "{error:?}");
    let sorted = "SELECT array_agg(value) FROM generate_series(1, 3000000)";
    let error = world.ask(1, sorted).await.expect_err("too large");
    assert_eq!(error.kind, Kind::Limit, "{error:?}");
    let dir = tempfile::TempDir::new().expect("a folder");
    let spilling = Limits { memory_bytes: 32 << 20, spill_dir: Some(dir.path().join("spill")), ..small };
    let world = World::with(spilling).await;
    assert_eq!(world.rows(1, grouped).await, [["399999"]]);
}

#[tokio::test]
async fn rows_are_cut_and_more_is_told() {
    let world = World::open().await;
    let cases = [
        ("SELECT value FROM generate_series(1, 500)", 100, true, 100, 0),
        ("SELECT value FROM generate_series(1, 100)", 100, false, 100, 0),
        ("SELECT value FROM generate_series(1, 500) LIMIT 7", 7, true, 7, 0),
        ("SELECT value FROM generate_series(1, 5) LIMIT 7", 5, false, 7, 0),
        ("SELECT value FROM generate_series(1, 10) LIMIT 7 OFFSET 5", 5, false, 7, 5),
        ("SELECT value FROM generate_series(1, 100000) LIMIT 99999", 50_000, true, 50_000, 0),
        ("SELECT value FROM generate_series(1, 5) LIMIT 0", 0, true, 0, 0),
        ("SELECT count(*) FROM events", 1, false, 100, 0),
    ];
    for (sql, rows, more, limit, offset) in cases {
        let answer = world.ask(1, sql).await.expect(sql);
        assert_eq!(
            (answer.rows(), answer.has_more, answer.limit, answer.offset),
            (rows, more, limit, offset),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn a_large_answer_is_refused() {
    let world = World::with(Limits { answer_bytes: 1 << 20, ..limits() }).await;
    let sql = "SELECT repeat('x', 10000) FROM generate_series(1, 1000) LIMIT 1000";
    let error = world.ask(1, sql).await.expect_err("too large");
    assert_eq!((error.kind, error.code), (Kind::Limit, "result_too_large"));
}

#[tokio::test]
async fn too_many_at_once_are_told_so() {
    let few = Limits {
        concurrent: 1,
        waiting: 1,
        patience: Duration::from_millis(50),
        time: Duration::from_millis(700),
        ..limits()
    };
    let world = World::with(few).await;
    let slow = world.ask(1, ENDLESS);
    let late = async {
        tokio::task::yield_now().await;
        world.ask(1, "SELECT 1").await
    };
    let (slow, late) = tokio::join!(slow, late);
    assert_eq!(slow.expect_err("too slow").kind, Kind::Limit);
    let late = late.expect_err("busy");
    assert_eq!((late.kind, late.status(), late.problem().family), (Kind::Busy, 429, "throttled_error"));
}

#[tokio::test]
async fn a_light_query_runs_beside_a_heavy_one() {
    let world = World::with(Limits { concurrent: 2, time: Duration::from_secs(3), ..limits() }).await;
    let heavy = world.ask(1, ENDLESS);
    let light = async {
        tokio::task::yield_now().await;
        let started = Instant::now();
        let rows = world.rows(1, "SELECT count(*) FROM events").await;
        (rows, started.elapsed())
    };
    let (heavy, (rows, took)) = tokio::join!(heavy, light);
    assert_eq!(heavy.expect_err("too slow").kind, Kind::Limit);
    assert_eq!(rows, [["10"]]);
    assert!(took < Duration::from_secs(3), "{took:?}");
}
