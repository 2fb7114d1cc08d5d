//! What a log must hold, written down beside it while a test runs.

use std::sync::Arc;

use crate::batch::Sealed;
use crate::disk::Simulated;
use crate::journal::Journal;
use crate::{Offset, Record, Result, Settings};

/// Small segments, so that a short test rotates often.
pub(super) fn settings() -> Settings {
    Settings {
        segment_bytes: 16 * 1024,
        max_bytes: 1 << 20,
        min_free_bytes: 0,
        max_queue_bytes: 1 << 20,
        max_record_bytes: 64 * 1024,
        max_batch_bytes: 32 * 1024,
        pack_below_bytes: 512,
    }
}

/// Choices that follow from a seed.
pub(super) struct Choices(pub(super) u64);

impl Choices {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % limit
    }

    /// Mostly small records, sometimes none, sometimes one larger than a segment.
    pub(super) fn record(&mut self) -> Vec<u8> {
        let length = match self.below(40) {
            0 => 0,
            1 => 20_000,
            2..=9 => self.below(4000),
            _ => self.below(300),
        };
        let mut bytes = vec![0; length as usize];
        // Half of them can be packed.
        let letters = if self.below(2) == 0 { 256 } else { 3 };
        bytes.iter_mut().for_each(|byte| *byte = self.below(letters) as u8);
        bytes
    }

    pub(super) fn batch(&mut self) -> Vec<Vec<u8>> {
        (0..1 + self.below(6)).map(|_| self.record()).collect()
    }
}

/// Everything acknowledged, and the one batch that may have become durable unacknowledged.
#[derive(Default)]
pub(super) struct Model {
    records: Vec<Vec<u8>>,
    doubtful: Vec<Vec<u8>>,
    released: Offset,
}

impl Model {
    pub(super) fn end(&self) -> Offset {
        Offset(self.records.len() as u64)
    }

    /// Commits a batch and writes down how it went.
    pub(super) fn commit(&mut self, journal: &mut Journal, batch: Vec<Vec<u8>>) -> Result<()> {
        let sealed: Vec<_> = batch.iter().map(|bytes| Sealed::new(bytes.clone().into())).collect();
        match journal.commit(sealed.iter()) {
            Ok(base) => {
                assert_eq!(base, self.end(), "offsets continue without a gap");
                self.records.extend(batch);
                Ok(())
            }
            Err(error) => {
                if journal.poison().is_some() {
                    self.doubtful = batch;
                }
                Err(error)
            }
        }
    }

    pub(super) fn release(&mut self, journal: &Journal, disk: &Simulated, before: Offset) -> Result<()> {
        self.released = self.released.max(before);
        journal.chain().release(disk, before)
    }

    /// Opens the log and compares all it holds; a doubtful batch must be there whole or not at all.
    pub(super) fn open(&mut self, disk: &Simulated) -> Result<Journal> {
        let journal = Journal::open(Arc::new(disk.clone()), settings(), Offset::ZERO)?;
        let with_doubtful = self.end().0 + self.doubtful.len() as u64;
        if journal.end().0 == with_doubtful {
            self.records.append(&mut self.doubtful);
        }
        self.doubtful.clear();
        assert_eq!(journal.end(), self.end(), "every acknowledged record and nothing else");
        self.check(&journal)?;
        Ok(journal)
    }

    /// Reads everything twice, in large and in small steps.
    pub(super) fn check(&self, journal: &Journal) -> Result<()> {
        for max_bytes in [usize::MAX, 1000] {
            let chain = journal.chain();
            let mut next = chain.first();
            assert!(next <= self.released, "records above the release are kept");
            while next < self.end() {
                let records = chain.read(next, journal.end(), max_bytes)?;
                assert!(!records.is_empty(), "a durable record is given");
                for Record { offset, bytes } in records {
                    assert_eq!(offset, next, "records come in order");
                    assert_eq!(bytes, self.records[offset.0 as usize], "record {offset}");
                    next = offset.next();
                }
            }
        }
        Ok(())
    }
}
