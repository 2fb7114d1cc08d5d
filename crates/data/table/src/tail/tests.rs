use super::*;
use crate::row::tests::event;
use crate::schema::EVENTS;
use arrow::array::AsArray;
use event::ProjectId;
use jiff::Timestamp;

fn tail() -> Tail {
    Tail::new(EVENTS.bound().unwrap())
}

fn push(tail: &mut Tail, number: u64) {
    let origin = Origin { project: ProjectId(1), at: Timestamp::UNIX_EPOCH, spot: number.into() };
    tail.push(&event(number), origin, Some(EventKey::from(number))).unwrap();
}

fn uuids(batches: &[RecordBatch]) -> Vec<u128> {
    let read = |batch: &RecordBatch| {
        let column = batch.column_by_name("uuid").unwrap().as_string::<i32>();
        column
            .iter()
            .map(|text| text.unwrap().parse::<uuid::Uuid>().unwrap().as_u128() - 1)
            .collect::<Vec<_>>()
    };
    batches.iter().flat_map(read).collect()
}

#[test]
fn many_small_looks_stay_few_batches() {
    let mut tail = tail();
    for number in 0..3000 {
        push(&mut tail, number);
        if number % 3 == 0 {
            assert_eq!(
                tail.batches().unwrap().iter().map(RecordBatch::num_rows).sum::<usize>(),
                number as usize + 1
            );
        }
    }
    let batches = tail.batches().unwrap();
    assert!(batches.len() <= 14, "{} batches", batches.len());
    assert_eq!(uuids(&batches), (0..3000).collect::<Vec<_>>());
    let real: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
    assert!(tail.bytes() >= real && tail.bytes() < real + 3000 * 100, "{} against {real}", tail.bytes());
}

#[test]
fn full_batches_are_not_merged() {
    let mut tail = tail();
    for number in 0..(BATCH_ROWS as u64 * 2 + 10) {
        push(&mut tail, number);
    }
    let sizes: Vec<_> = tail.batches().unwrap().iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [BATCH_ROWS, BATCH_ROWS, 10]);
}

#[test]
fn a_masked_row_is_gone_wherever_it_sits() {
    let mut tail = tail();
    (0..10).for_each(|number| push(&mut tail, number));
    tail.batches().unwrap();
    (10..20).for_each(|number| push(&mut tail, number));
    for number in [0, 5, 9, 10, 19] {
        assert!(tail.mask(EventKey::from(number as u64)).unwrap(), "{number}");
        assert!(!tail.mask(EventKey::from(number as u64)).unwrap(), "{number} twice");
    }
    assert!(!tail.mask(99).unwrap());
    assert_eq!(tail.len(), 15);
    let expected: Vec<u128> = (0..20).filter(|n| ![0, 5, 9, 10, 19].contains(n)).collect();
    assert_eq!(uuids(&tail.batches().unwrap()), expected);
    push(&mut tail, 5);
    assert!(tail.mask(11).unwrap());
    assert_eq!(tail.len(), 15);
    assert_eq!(*uuids(&tail.batches().unwrap()).last().unwrap(), 5);
    let all: Vec<u64> = (0..20).filter(|n| ![0, 9, 10, 11, 19].contains(n)).collect();
    for number in all {
        assert!(tail.mask(EventKey::from(number)).unwrap());
    }
    assert_eq!(tail.len(), 0);
    assert!(tail.batches().unwrap().is_empty());
}

#[test]
fn frozen_rows_come_back_in_front() {
    let mut tail = tail();
    (0..5).for_each(|number| push(&mut tail, number));
    let frozen = tail.freeze().unwrap();
    assert_eq!((frozen.rows(), tail.len()), (5, 0));
    (5..8).for_each(|number| push(&mut tail, number));
    assert!(!tail.mask(2).unwrap());
    tail.thaw(frozen, 5);
    assert!(tail.tried());
    assert!(tail.mask(2).unwrap());
    assert_eq!(uuids(&tail.batches().unwrap()), [0, 1, 3, 4, 5, 6, 7]);
    assert_eq!(tail.high(), &Reach::from(8));
}

#[test]
fn rows_an_unclear_attempt_committed_are_forgotten() {
    let mut tail = tail();
    (0..5).for_each(|number| push(&mut tail, number));
    let frozen = tail.freeze().unwrap();
    (5..8).for_each(|number| push(&mut tail, number));
    tail.thaw(frozen, 5);
    tail.drop_committed(4).unwrap();
    assert_eq!(tail.len(), 8);
    let frozen = tail.freeze().unwrap();
    push(&mut tail, 8);
    tail.thaw(frozen, 8);
    tail.drop_committed(5).unwrap();
    assert_eq!(uuids(&tail.batches().unwrap()), [5, 6, 7, 8]);
    assert!(!tail.mask(1).unwrap());
    assert!(tail.mask(6).unwrap());
    tail.drop_committed(8).unwrap();
    assert_eq!(uuids(&tail.batches().unwrap()), [8]);
    assert!(!tail.tried());
}
