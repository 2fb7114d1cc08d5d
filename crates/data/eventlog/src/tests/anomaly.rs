//! R3: the N-th call fails, for every N.

use crate::disk::{Fault, Loss, Simulated};
use crate::journal::Journal;
use crate::{Error, Kind, Offset};

use super::model::{Choices, Model};

/// Opens until it works; a failed open is a process that exits and is started again.
fn open(model: &mut Model, disk: &mut Simulated, loss: Loss) -> Journal {
    for _ in 0..2 {
        match model.open(disk) {
            Ok(journal) => return journal,
            Err(error) => {
                assert_ne!(error.kind(), Kind::Corrupt, "{error}");
                *disk = restart(disk, loss);
            }
        }
    }
    model.open(disk).expect("one failed call fails one open")
}

/// Restarts the process without losing track of the call that is to fail.
fn restart(disk: &Simulated, loss: Loss) -> Simulated {
    assert!(!disk.disarm(), "a call failed before its turn");
    disk.crash(loss)
}

/// The whole life of a small log; true when the chosen call was reached.
fn run(number: u64, fault: Fault, loss: Loss) -> bool {
    let mut disk = Simulated::new(number, 1 << 30);
    disk.fail_call(number, fault);
    let mut model = Model::default();
    let mut choices = Choices(42);
    let mut journal = open(&mut model, &mut disk, loss);
    for step in 0..25 {
        let batch = choices.batch();
        while let Err(error) = model.commit(&mut journal, batch.clone()) {
            expect(&error, fault);
            if matches!(error.kind(), Kind::Busy { .. }) {
                continue;
            }
            drop(journal);
            disk = restart(&disk, loss);
            let before = model.end();
            journal = open(&mut model, &mut disk, loss);
            if model.end() > before {
                break;
            }
        }
        if step % 8 == 7 {
            let before = Offset(model.end().0 / 2);
            while let Err(error) = model.release(&journal, &disk, before) {
                assert_eq!(error.kind(), Kind::Unavailable, "{error}");
            }
        }
    }
    if model.check(&journal).is_err() {
        model.check(&journal).expect("a failed read can be repeated");
    }
    let fired = !disk.disarm();
    disk = disk.crash(loss);
    model.open(&disk).expect("the log opens");
    fired
}

fn expect(error: &Error, fault: Fault) {
    let busy = matches!(error.kind(), Kind::Busy { .. });
    let allowed = error.kind() == Kind::Unavailable || (busy && fault == Fault::NoSpace);
    assert!(allowed, "{error:?}");
}

#[test]
fn any_one_failing_call_loses_nothing() {
    for fault in [Fault::Io, Fault::NoSpace] {
        for loss in [Loss::Process, Loss::Power] {
            let clean = (1..5000).find(|number| !run(*number, fault, loss));
            let calls = clean.expect("the loop ends when no call is left to fail");
            assert!(calls > 100, "only {calls} calls were tried");
        }
    }
}

/// After a failed flush the file reads back whole while the disk may hold none of it.
#[test]
fn a_batch_whose_flush_failed_is_durable_once_the_next_process_shows_it() {
    let mut shown = 0;
    for seed in 0..100 {
        let disk = Simulated::new(seed, 1 << 30);
        let mut model = Model::default();
        let mut journal = model.open(&disk).expect("opens");
        model.commit(&mut journal, vec![vec![1; 9000]]).expect("commits");
        // The space was measured a moment ago: the next calls are the write and the flush.
        disk.fail_call(2, Fault::Io);
        model.commit(&mut journal, vec![vec![2; 6000]]).expect_err("the flush fails");
        let disk = disk.crash(Loss::Process);
        drop(model.open(&disk).expect("opens"));
        shown += u32::from(model.end() == Offset(2));
        let disk = disk.crash(Loss::Power);
        model.open(&disk).expect("holds what the process before it showed");
    }
    assert!(shown > 0, "the failed batch was never seen by the next process");
}

#[test]
fn a_torn_tail_is_counted_once() {
    let disk = Simulated::new(1, 1 << 30);
    let mut model = Model::default();
    let mut journal = model.open(&disk).expect("opens");
    model.commit(&mut journal, vec![vec![1; 100]]).expect("commits");
    disk.fail_call(1, Fault::Crash);
    model.commit(&mut journal, vec![vec![2; 8000]]).expect_err("crashes while it writes");
    let mut disk = disk;
    for torn_tails in [1, 0, 0] {
        disk = disk.crash(Loss::Process);
        assert_eq!(model.open(&disk).expect("opens").torn_tails, torn_tails);
    }
}
