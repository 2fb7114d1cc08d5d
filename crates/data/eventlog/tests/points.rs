//! R1b: the writer stops at each named point, and the log is opened again.
//!
//! Run with `--features failpoints`. The points are process-wide, so everything is one test.

use std::path::Path;

use eventlog::{EventLog, Kind, Offset, Segments, Settings};
use telemetry::fault;

/// Every point in the crate that appending and releasing pass.
const POINTS: [&str; 9] = [
    "eventlog.before_write",
    "eventlog.after_write",
    "eventlog.after_sync",
    "eventlog.before_answer",
    "eventlog.before_rotate_rename",
    "eventlog.after_rotate_rename",
    "eventlog.after_rotate",
    "eventlog.after_release_remove",
    "eventlog.after_release_sync",
];
/// Passed when a log is opened that holds records.
const AT_OPEN: &str = "eventlog.after_tail_rewrite";
const STEPS: u64 = 24;
/// How often each point is passed before it strikes.
const SKIPS: [u64; 3] = [0, 1, 2];

fn settings() -> Settings {
    Settings {
        segment_bytes: 16 * 1024,
        max_bytes: 1 << 20,
        min_free_bytes: 0,
        max_record_bytes: 64 * 1024,
        // Records of one letter would all fit into one segment.
        pack_below_bytes: 0,
        ..Settings::default()
    }
}

fn record(step: u64) -> Vec<u8> {
    vec![step as u8; 3000 + step as usize]
}

/// Appends and releases until the point strikes; gives the steps that were acknowledged.
async fn run(directory: &Path, point: &'static str, skip: u64) -> Vec<(Offset, u64)> {
    let log = Segments::open(directory, settings()).expect("opens");
    fault::arm(point, skip, || panic!("struck"));
    let mut acknowledged = Vec::new();
    let mut struck = false;
    for step in 0..STEPS {
        match log.append(record(step).into()).await {
            Ok(offset) => acknowledged.push((offset, step)),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Unavailable, "{point}: {error}");
                assert!(log.is_poisoned(), "{point}");
                struck = true;
                break;
            }
        }
        if step % 6 == 5 && log.release(Offset(step - 5)).await.is_err() {
            struck = true;
            break;
        }
    }
    fault::disarm_all();
    assert!(struck, "{point} was not passed {skip} times");
    acknowledged
}

#[tokio::test]
async fn the_log_survives_a_stop_at_every_point() {
    std::panic::set_hook(Box::new(|panic| {
        if panic.payload_as_str() != Some("struck") {
            eprintln!("{panic}");
        }
    }));
    for point in POINTS {
        for skip in SKIPS {
            let directory = tempfile::tempdir().expect("makes a directory");
            let acknowledged = run(directory.path(), point, skip).await;
            if !acknowledged.is_empty() {
                fault::arm(AT_OPEN, 0, || panic!("struck"));
                let path = directory.path().to_owned();
                let struck = std::panic::catch_unwind(|| Segments::open(&path, settings()).map(drop));
                assert!(struck.is_err(), "{AT_OPEN} was not passed");
                fault::disarm_all();
            }
            let log = Segments::open(directory.path(), settings()).expect("opens again");
            let mut next = log.first();
            let mut kept = Vec::new();
            while next < log.durable() {
                for record in log.read(next, 10_000).await.expect("reads") {
                    next = record.offset.next();
                    kept.push((record.offset, record.bytes));
                }
            }
            for (offset, step) in acknowledged.into_iter().filter(|(offset, _)| *offset >= log.first()) {
                let found = kept.iter().filter(|(at, bytes)| *at == offset && *bytes == record(step)).count();
                assert_eq!(found, 1, "{point}, skip {skip}: acknowledged record {offset}");
            }
            log.append(record(0).into()).await.expect("takes records again");
        }
    }
    let hit: Vec<_> = fault::hits().into_iter().map(|(name, _)| name).collect();
    assert!(POINTS.iter().all(|point| hit.contains(point)), "{hit:?}");
    assert!(
        hit.iter().all(|name| POINTS.contains(name) || *name == AT_OPEN),
        "a point is missing from the list: {hit:?}"
    );
}
