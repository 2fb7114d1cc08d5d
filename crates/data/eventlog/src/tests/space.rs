//! The disk's reserve, which belongs to others even while a segment has room.

use std::sync::Arc;

use crate::batch::Sealed;
use crate::disk::{Disk as _, Simulated};
use crate::journal::Journal;
use crate::{Kind, Offset, Settings};

use super::model::settings;

const RESERVE: u64 = 4096;
const SPACE: u64 = 1 << 20;

#[test]
fn nothing_is_written_while_the_reserve_is_touched_and_everything_after() {
    let disk = Simulated::new(1, SPACE);
    let settings = Settings { min_free_bytes: RESERVE, ..settings() };
    let mut journal = Journal::open(Arc::new(disk.clone()), settings, Offset::ZERO).expect("a new log");
    let record = [Sealed::new(vec![7; 40].into())];
    let used = SPACE - disk.free_space().expect("a number");
    // Somebody else takes the space.
    for _ in 0..3 {
        disk.resize(used + RESERVE - 1);
        let error = journal.commit(record.iter()).expect_err("the reserve is touched");
        assert!(matches!(error.kind(), Kind::Busy { .. }), "{error}");
        assert_eq!(journal.end(), Offset::ZERO);
    }
    disk.resize(used + RESERVE);
    assert_eq!(journal.commit(record.iter()).expect("the reserve is whole"), Offset::ZERO);
    assert_eq!(journal.end(), Offset(1));
}
