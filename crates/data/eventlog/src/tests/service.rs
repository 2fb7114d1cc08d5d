//! The log as its callers see it: many tasks, a real directory, limits.

use std::sync::Arc;

use crate::disk::{Fault, Loss, Simulated};
use crate::{Error, EventLog, Kind, Offset, Payload, Segments, Settings};

use super::model::settings;

fn is_busy(error: &Error) -> bool {
    matches!(error.kind(), Kind::Busy { .. })
}

async fn all(log: &Segments) -> Vec<(Offset, Vec<u8>)> {
    let mut records = Vec::new();
    let mut next = log.first();
    while next < log.durable() {
        for record in log.read(next, 4096).await.expect("reads") {
            next = record.offset.next();
            records.push((record.offset, record.bytes.to_vec()));
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appends_come_back_in_order_after_a_restart() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let log = Arc::new(Segments::open(directory.path(), settings()).expect("opens"));
    let tasks: Vec<_> = (0..16u32)
        .map(|task| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for number in 0..50u32 {
                    let bytes = [task.to_le_bytes(), number.to_le_bytes()].concat();
                    let offset = log.append(bytes.clone().into()).await.expect("appends");
                    assert!(log.durable() > offset, "durable moves before the answer");
                    mine.push((offset, bytes));
                }
                mine
            })
        })
        .collect();
    let mut appended = Vec::new();
    for task in tasks {
        let mine = task.await.expect("runs");
        assert!(mine.is_sorted(), "a caller's records keep their order");
        appended.extend(mine);
    }
    appended.sort();
    assert_eq!(all(&log).await, appended);
    log.close().await.expect("closes");
    let refused = log.append(Payload::default()).await.expect_err("is closed");
    assert_eq!(refused.kind(), Kind::Unavailable);
    drop(log);
    let log = Segments::open(directory.path(), settings()).expect("opens again");
    assert_eq!(all(&log).await, appended);
    assert_eq!(log.stats().torn_tails, 0);
}

#[tokio::test]
async fn a_second_process_is_told_who_is_in_the_way() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let log = Segments::open(directory.path(), settings()).expect("opens");
    let error = Segments::open(directory.path(), settings()).err().expect("is refused");
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("another process uses the log directory"), "{error}");
    drop(log);
    Segments::open(directory.path(), settings()).expect("the directory is free again");
}

#[tokio::test]
async fn a_full_log_is_busy_until_it_is_released() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let limits = Settings { max_bytes: 144 * 1024, ..settings() };
    let log = Segments::open(directory.path(), limits).expect("opens");
    let record = || Payload::from(vec![1; 10_000]);
    let error = loop {
        if let Err(error) = log.append(record()).await {
            break error;
        }
    };
    assert!(is_busy(&error), "{error}");
    let full = log.durable();
    log.release(full).await.expect("releases");
    assert_eq!(log.append(record()).await.expect("takes records again"), full);
    assert!(log.first() > Offset::ZERO);
    let released = log.read(Offset::ZERO, 1).await.expect_err("is gone");
    assert_eq!(released.kind(), Kind::NotFound);
    let stats = log.stats();
    assert!(stats.disk_bytes <= 144 * 1024 && stats.segments < 9, "{stats:?}");
}

#[tokio::test]
async fn a_full_disk_is_busy_until_there_is_space() {
    let disk = Simulated::new(3, 40 * 1024);
    let log = Segments::open_on(Arc::new(disk.clone()), settings(), Offset::ZERO).expect("opens");
    let record = || Payload::from(vec![1; 7_000]);
    let mut taken = 0;
    let error = loop {
        match log.append(record()).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(is_busy(&error), "{error}");
    assert_eq!(taken, 4, "two segments of two records fit");
    assert!(!log.is_poisoned());
    disk.resize(1 << 20);
    assert_eq!(log.append(record()).await.expect("needs no restart"), Offset(4));
    assert_eq!(log.durable(), Offset(5));
}

#[tokio::test]
async fn a_failed_flush_ends_the_log_and_nothing_hangs() {
    for (number, fault) in [(2, Fault::Io), (3, Fault::Io), (2, Fault::Crash)] {
        let disk = Simulated::new(5, 1 << 30);
        let log = Segments::open_on(Arc::new(disk.clone()), settings(), Offset::ZERO).expect("opens");
        log.append(vec![1].into()).await.expect("appends");
        // From here: write, flush (the space was measured a moment ago).
        disk.fail_call(number - 1, fault);
        let waiting: Vec<_> = (0..3).map(|byte| log.append(vec![byte].into())).collect();
        let mut refused = 0;
        for append in waiting {
            if let Err(error) = append.await {
                assert_eq!(error.kind(), Kind::Unavailable, "{error}");
                refused += 1;
            }
        }
        assert!(refused > 0 && log.is_poisoned());
        let error = log.append(vec![9].into()).await.expect_err("takes no more");
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(log.read(Offset::ZERO, 1).await.is_ok() || fault == Fault::Crash, "reads go on");
        log.close().await.expect_err("says so at the end, too");
        drop(log);
        let disk = disk.crash(Loss::Power);
        let log = Segments::open_on(Arc::new(disk), settings(), Offset(1)).expect("opens");
        assert!(!log.is_poisoned());
    }
}

#[tokio::test]
async fn limits_are_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let log = Segments::open(directory.path(), settings()).expect("opens");
    let too_large = log.append(vec![0; 64 * 1024 + 1].into()).await.expect_err("is refused");
    assert_eq!(too_large.kind(), Kind::Invalid);
    let largest = log.append(vec![0; 64 * 1024].into()).await.expect("is taken");
    assert_eq!(largest, Offset::ZERO);
    let wrong = Settings { max_bytes: 1, ..settings() };
    let other = tempfile::tempdir().expect("makes a directory");
    let error = Segments::open(other.path(), wrong).err().expect("is refused");
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("max_bytes"), "{error}");
    Settings::default().check().expect("the defaults fit each other");
}

#[tokio::test]
async fn a_full_queue_is_busy_at_once() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let limits = Settings { max_queue_bytes: 64 * 1024, ..settings() };
    let log = Segments::open(directory.path(), limits).expect("opens");
    let waiting: Vec<_> = (0..500).map(|_| log.append(vec![7; 60_000].into())).collect();
    let mut answers = Vec::new();
    for append in waiting {
        answers.push(append.await);
    }
    assert!(answers.iter().any(|answer| answer.as_ref().is_err_and(is_busy)));
    assert!(answers.iter().any(Result::is_ok));
    assert_eq!(log.stats().queued_bytes, 0);
}

#[tokio::test]
async fn followers_wake_when_records_are_durable() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let log = Segments::open(directory.path(), settings()).expect("opens");
    let mut durable = log.subscribe();
    assert!(log.read(Offset::ZERO, 100).await.expect("reads").is_empty());
    let append = log.append(Payload::new(b"head ".as_slice().into(), b"body".as_slice().into()));
    durable.changed().await.expect("the log lives");
    assert_eq!(*durable.borrow(), Offset(1));
    let records = log.read(Offset::ZERO, 0).await.expect("gives one even when there is no room");
    assert_eq!(records[0].bytes.as_ref(), b"head body");
    append.await.expect("appends");
}
