//! R14: flipped bits are found, or do not matter; missing files are found.

use std::sync::Arc;

use crate::disk::{Disk, Loss, Simulated};
use crate::journal::Journal;
use crate::segment::{self, BLOCK};
use crate::{Kind, Offset};

use super::model::{Choices, Model, settings};

/// Writes a log of several segments, and gives its files with the bytes used in each.
fn written(clean: bool) -> (Simulated, Model, Vec<(String, u64)>) {
    let disk = Simulated::new(7, 1 << 30);
    let mut model = Model::default();
    let mut choices = Choices(7);
    let mut journal = model.open(&disk).expect("opens");
    while journal.chain().sizes().0 < 3 || journal.end().0 < 40 {
        let batch = choices.batch();
        model.commit(&mut journal, batch).expect("commits");
    }
    if clean {
        journal.mark_clean_end().expect("marks");
    }
    let mut names: Vec<_> = disk.list().expect("lists").into_iter().filter(|n| segment::is_name(n)).collect();
    names.sort();
    let used = |name: &String| {
        let file = disk.open(name).expect("opens");
        let mut bytes = vec![0; file.size().expect("has a size") as usize];
        file.read_at(&mut bytes, 0).expect("reads");
        let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) as u64;
        last.next_multiple_of(BLOCK).max(BLOCK)
    };
    let files = names.into_iter().map(|name| (name.clone(), used(&name))).collect();
    (disk, model, files)
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let (disk, model, files) = written(true);
    let mut choices = Choices(11);
    let mut found = 0;
    const FLIPS: u32 = 1500;
    for _ in 0..FLIPS {
        let (name, used) = &files[choices.below(files.len() as u64) as usize];
        let copy = disk.fork();
        copy.flip(name, choices.below(used * 8));
        match Journal::open(Arc::new(copy), settings(), Offset::ZERO) {
            Err(error) => {
                assert_eq!(error.kind(), Kind::Corrupt, "{error}");
                assert!(error.to_string().contains(name.as_str()), "the message names the file: {error}");
                found += 1;
            }
            // Padding between batches is not covered: all records must be as they were.
            Ok(journal) => model.check(&journal).expect("reads"),
        }
    }
    assert!(found > FLIPS * 3 / 4, "only {found} of {FLIPS} flips were found");
}

#[test]
fn a_bit_that_flips_while_the_log_is_open_is_found_by_the_reader() {
    let (disk, mut model, files) = written(true);
    let journal = model.open(&disk).expect("opens");
    let mut choices = Choices(13);
    for _ in 0..500 {
        let (name, used) = &files[choices.below(files.len() as u64) as usize];
        let bit = BLOCK * 8 + choices.below((used - BLOCK) * 8);
        disk.flip(name, bit);
        if let Err(error) = model.check(&journal) {
            assert_eq!(error.kind(), Kind::Corrupt, "{error}");
        }
        disk.flip(name, bit);
    }
}

#[test]
fn without_a_clean_end_only_the_last_batch_can_pass_for_torn() {
    let (disk, model, files) = written(false);
    let (name, used) = files.last().expect("has segments");
    let mut torn = 0;
    for bit in (BLOCK * 8..used * 8).step_by(37) {
        let copy = disk.fork();
        copy.flip(name, bit);
        match Journal::open(Arc::new(copy), settings(), Offset::ZERO) {
            Err(error) => assert_eq!(error.kind(), Kind::Corrupt, "{error}"),
            Ok(journal) if journal.torn_tails == 1 => {
                let whole = model.end().0 - journal.end().0;
                assert!((1..=6).contains(&whole), "one batch at most: {whole} records");
                torn += 1;
            }
            Ok(journal) => model.check(&journal).expect("reads"),
        }
    }
    assert!(torn > 0, "a flip in the last batch is cut and counted");
}

#[test]
fn a_missing_segment_is_found() {
    let (disk, model, files) = written(true);
    disk.remove(&files[1].0).expect("removes");
    let error = Journal::open(Arc::new(disk), settings(), Offset::ZERO).err().expect("refuses");
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains(&files[0].0), "{error}");

    let (disk, _, files) = written(true);
    disk.remove(&files.last().expect("has segments").0).expect("removes");
    let error = Journal::open(Arc::new(disk), settings(), model.end()).err().expect("refuses");
    assert_eq!(error.kind(), Kind::Corrupt, "the floor tells that the end is missing: {error}");
}

#[test]
fn an_empty_directory_continues_at_the_floor() {
    let disk = Simulated::new(1, 1 << 30);
    let journal = Journal::open(Arc::new(disk.clone()), settings(), Offset(77)).expect("opens");
    assert_eq!((journal.chain().first(), journal.end()), (Offset(77), Offset(77)));
    drop(journal);
    let disk = disk.crash(Loss::Power);
    let journal = Journal::open(Arc::new(disk), settings(), Offset::ZERO).expect("opens");
    assert_eq!(journal.end(), Offset(77));
}

#[test]
fn a_body_shaped_like_a_batch_does_not_pass_for_one() {
    let (disk, mut model, files) = written(false);
    let file = disk.open(&files[0].0).expect("opens");
    let mut forged = vec![0; 8192];
    file.read_at(&mut forged, BLOCK).expect("reads");
    let mut journal = model.open(&disk).expect("opens");
    // The copied batches carry another segment's salt, and stand where a batch could stand.
    let padding = vec![1; BLOCK as usize - crate::batch::HEAD - 8];
    let body = [padding, forged].concat();
    disk.fail_call(1, crate::disk::Fault::Crash);
    model.commit(&mut journal, vec![body]).expect_err("crashes while it writes");
    let disk = disk.crash(Loss::Process);
    model.open(&disk).expect("what follows the tear is not taken for records");
}

/// Records as like each other as requests of one second.
fn alike() -> Vec<Vec<u8>> {
    (0..100)
        .map(|n| format!("{{\"event\":\"$pageview\",\"distinct_id\":\"visitor {n}\"}}").into_bytes())
        .collect()
}

#[test]
fn packed_records_are_small_read_back_as_written_and_no_damage_to_them_is_missed() {
    let disk = Simulated::new(5, 1 << 30);
    let mut model = Model::default();
    let mut journal = model.open(&disk).expect("opens");
    model.commit(&mut journal, alike()).expect("commits");
    journal.mark_clean_end().expect("ends");
    let (_, _, used) = journal.chain().sizes();
    let plain: usize = alike().iter().map(Vec::len).sum();
    assert!(used < BLOCK * 2 + plain as u64 / 2, "{used} bytes for {plain}");
    model.check(&journal).expect("as written");
    drop(journal);
    let name = disk.list().expect("lists").remove(0);
    for at in (BLOCK..used - BLOCK).step_by(7) {
        let flipped = disk.clone().crash(Loss::Process);
        let file = flipped.open(&name).expect("opens");
        let mut byte = [0];
        file.read_at(&mut byte, at).expect("reads");
        file.write_at(&[byte[0] ^ 4], at).expect("writes");
        // Padding may change; records may not, and the log says so before it takes anything new.
        if let Ok(journal) = Journal::open(Arc::new(flipped), settings(), crate::Offset::ZERO) {
            model.check(&journal).expect("only padding differs");
        }
    }
}
