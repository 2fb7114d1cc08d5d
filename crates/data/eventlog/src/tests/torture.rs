//! R1 and R2: many lives of one log, each ended by a kill or a power cut at any call.

use std::ops::Range;

use crate::disk::{Fault, Loss, Simulated};
use crate::{Kind, Result};

use super::model::{Choices, Model};

const LIVES: u64 = 6;

/// Runs one life until the chosen crash or its natural end; `Err` when the crash came.
fn live(model: &mut Model, disk: &Simulated, choices: &mut Choices) -> Result<()> {
    let mut journal = model.open(disk)?;
    for _ in 0..1 + choices.below(20) {
        let batch = choices.batch();
        model.commit(&mut journal, batch)?;
        if choices.below(6) == 0 {
            let before = crate::Offset(choices.below(model.end().0 + 1));
            model.release(&journal, disk, before)?;
        }
    }
    model.check(&journal)?;
    if choices.below(4) == 0 {
        journal.mark_clean_end()?;
    }
    Ok(())
}

fn run(seed: u64) {
    let mut choices = Choices(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut disk = Simulated::new(seed, 1 << 30);
    let mut model = Model::default();
    for life in 0..LIVES {
        if choices.below(5) > 0 {
            disk.fail_call(1 + choices.below(120), Fault::Crash);
        }
        if let Err(error) = live(&mut model, &disk, &mut choices) {
            assert_eq!(error.kind(), Kind::Unavailable, "seed {seed}, life {life}: {error}");
        }
        let loss = if choices.below(3) == 0 { Loss::Process } else { Loss::Power };
        disk = disk.crash(loss);
    }
    if let Err(error) = model.open(&disk) {
        panic!("seed {seed}: {error}");
    }
}

/// The seeds to run: 2,000, or those of `TENREC_SEEDS=FIRST+COUNT`.
fn seeds() -> Range<u64> {
    let wanted = std::env::var("TENREC_SEEDS").unwrap_or_else(|_| "0+2000".to_owned());
    let (first, count) = wanted.split_once('+').expect("FIRST+COUNT");
    // A seed may be any number: the last ones stand for those that would come after them.
    let first = first.parse::<u64>().expect("a number").min(u64::MAX / 2);
    first..first + count.parse::<u64>().expect("a number")
}

#[test]
fn no_acknowledged_record_is_lost_doubled_or_changed() {
    let seeds = seeds();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let mine = seeds.clone().skip(thread).step_by(threads);
            scope.spawn(move || {
                for seed in mine {
                    let ran = std::panic::catch_unwind(|| run(seed));
                    assert!(ran.is_ok(), "seed {seed} failed: see the message above");
                }
            });
        }
    });
}
