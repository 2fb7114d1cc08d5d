//! The settings of a local log.

use serde::{Deserialize, Serialize};

use crate::{Error, Kind, Result};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// How a local log uses memory and disk. All sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Size of a segment file, taken from the disk when it is created. A batch above it gets a
    /// segment of its own size.
    pub segment_bytes: u64,
    /// Size all segments may take together; above it appends are `Busy` until some are released.
    /// At least two of the largest, because the segment that is written to is never released.
    pub max_bytes: u64,
    /// Space left free on the disk for everything else; below it appends are `Busy`.
    pub min_free_bytes: u64,
    /// Size of records taken and not durable yet; above it appends are `Busy`.
    pub max_queue_bytes: u64,
    /// Size of the largest record; above it an append is `Invalid`.
    pub max_record_bytes: u64,
    /// Size after which one write takes no further record. Larger writes make the appends in them
    /// wait longer and do not raise throughput.
    pub max_batch_bytes: u64,
    /// Average size of the records of one write below which they are compressed together; 0 for never. Larger records
    /// are better compressed by the caller.
    pub pack_below_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            segment_bytes: 64 * MIB,
            max_bytes: 4 * GIB,
            min_free_bytes: 256 * MIB,
            max_queue_bytes: 64 * MIB,
            max_record_bytes: 32 * MIB,
            max_batch_bytes: MIB,
            pack_below_bytes: 16 * KIB,
        }
    }
}

impl Settings {
    /// Checks that the sizes fit each other.
    ///
    /// # Errors
    /// `Invalid`, naming the setting.
    pub fn check(&self) -> Result<()> {
        let rules = [
            (self.segment_bytes >= 8 * KIB, "segment_bytes is at least 8 KiB"),
            (self.segment_bytes <= 4 * GIB, "segment_bytes is at most 4 GiB"),
            (self.max_bytes / 2 >= self.segment_bytes, "max_bytes is at least twice segment_bytes"),
            (
                self.max_bytes / 2 >= self.max_record_bytes + 8 * KIB,
                "max_bytes is at least twice max_record_bytes and 16 KiB",
            ),
            (self.max_record_bytes >= 1, "max_record_bytes is at least 1"),
            (self.max_record_bytes <= GIB, "max_record_bytes is at most 1 GiB"),
            (self.max_queue_bytes >= self.max_record_bytes, "max_queue_bytes is at least max_record_bytes"),
            (self.max_batch_bytes >= 4 * KIB, "max_batch_bytes is at least 4 KiB"),
        ];
        match rules.into_iter().find(|(kept, _)| !kept) {
            Some((_, rule)) => Err(Error::new(Kind::Invalid, format!("log settings: {rule}"))),
            None => Ok(()),
        }
    }
}
