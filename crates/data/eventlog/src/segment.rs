//! A segment file: its header, its name, and what is known of it while the log is open.
//!
//! A file is one block of header, then batches, each starting on a block boundary, then zeros.
//! Numbers are little-endian.
//!
//! | bytes | header field |
//! |---|---|
//! | 0..8 | magic `TenrecLg` |
//! | 8..12 | CRC-32 of bytes 12..512 |
//! | 12..16 | format version, now 1 |
//! | 16..24 | segment id, one more than its predecessor's |
//! | 24..32 | base: the offset of its first record |
//! | 32..40 | salt of the batch checksums |
//! | 40..48 | length of the file |
//! | 48..512 | zero |

use parking_lot::Mutex;

use crate::Offset;
use crate::batch::number;
use crate::disk::File;

/// Batches start at multiples of this, so that no disk sector is written for two batches: a
/// torn write cannot reach back into a batch that was acknowledged.
pub(crate) const BLOCK: u64 = 512;
/// How far apart the remembered positions are.
const MARK_EVERY: u64 = 64 * 1024;
const MAGIC: &[u8; 8] = b"TenrecLg";
const VERSION: u32 = 1;
const SUFFIX: &str = ".segment";
/// The name of a segment that is still being made.
pub(crate) const UNFINISHED: &str = "next.unfinished";

/// The facts that never change about a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: u64,
    pub(crate) base: Offset,
    pub(crate) salt: u64,
    pub(crate) capacity: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; BLOCK as usize] {
        let mut block = [0; BLOCK as usize];
        block[..8].copy_from_slice(MAGIC);
        block[12..16].copy_from_slice(&VERSION.to_le_bytes());
        for (field, at) in [(self.id, 16), (self.base.0, 24), (self.salt, 32), (self.capacity, 40)] {
            block[at..at + 8].copy_from_slice(&field.to_le_bytes());
        }
        let crc = crc32fast::hash(&block[12..]);
        block[8..12].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// Reads a header, or says what is wrong with it.
    pub(crate) fn decode(block: &[u8; BLOCK as usize]) -> Result<Header, &'static str> {
        if &block[..8] != MAGIC {
            return Err("this is not a log segment");
        }
        if number::<4>(block, 8) != u64::from(crc32fast::hash(&block[12..])) {
            return Err("the checksum of the file header does not match");
        }
        if number::<4>(block, 12) != u64::from(VERSION) {
            return Err("another version of Tenrec wrote this segment");
        }
        Ok(Header {
            id: number::<8>(block, 16),
            base: Offset(number::<8>(block, 24)),
            salt: number::<8>(block, 32),
            capacity: number::<8>(block, 40),
        })
    }
}

/// Gives the file name of the segment that starts at an offset; names sort as offsets do.
pub(crate) fn name(base: Offset) -> String {
    format!("{:020}{SUFFIX}", base.0)
}

/// Says whether a name is one [`name`] gives.
pub(crate) fn is_name(name: &str) -> bool {
    name.strip_suffix(SUFFIX)
        .is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// An open segment; the writer moves its end, readers read below it.
pub(crate) struct Segment {
    pub(crate) header: Header,
    pub(crate) name: String,
    pub(crate) file: Box<dyn File>,
    extent: Mutex<Extent>,
}

struct Extent {
    end: End,
    /// (offset, position) of some batches, ascending, about [`MARK_EVERY`] bytes apart.
    marks: Vec<(Offset, u64)>,
}

/// Where the durable batches of a segment end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// The offset after the last record.
    pub(crate) offset: Offset,
    /// The byte after the last batch.
    pub(crate) position: u64,
}

impl Segment {
    /// Starts with no batches.
    pub(crate) fn new(header: Header, file: Box<dyn File>) -> Segment {
        let extent = Extent { end: End { offset: header.base, position: BLOCK }, marks: Vec::new() };
        Segment { header, name: name(header.base), file, extent: Mutex::new(extent) }
    }

    /// Gives the end of the durable batches.
    pub(crate) fn end(&self) -> End {
        self.extent.lock().end
    }

    /// Takes in the batch that starts where the last one ended.
    pub(crate) fn extend(&self, records: u64, bytes: u64) {
        let mut extent = self.extent.lock();
        let start = extent.end;
        if extent.marks.last().is_none_or(|(_, position)| start.position - position >= MARK_EVERY) {
            extent.marks.push((start.offset, start.position));
        }
        extent.end = End { offset: Offset(start.offset.0 + records), position: start.position + bytes };
    }

    /// Gives the position of a batch at or shortly before the one that holds an offset.
    pub(crate) fn locate(&self, offset: Offset) -> u64 {
        let extent = self.extent.lock();
        let after = extent.marks.partition_point(|(marked, _)| *marked <= offset);
        after.checked_sub(1).map_or(BLOCK, |at| extent.marks[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_and_every_flipped_bit_is_found() {
        let header = Header { id: 7, base: Offset(1 << 40), salt: 0xfeed, capacity: 65536 };
        let block = header.encode();
        assert_eq!(Header::decode(&block), Ok(header));
        for bit in 0..block.len() * 8 {
            let mut damaged = block;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn names_sort_as_offsets_do() {
        let offsets = [0, 9, 10, 999, u64::MAX];
        let names: Vec<_> = offsets.iter().map(|o| name(Offset(*o))).collect();
        assert!(names.is_sorted() && names.iter().all(|name| is_name(name)));
        assert!(!is_name("lock") && !is_name(UNFINISHED) && !is_name("1.segment"));
    }
}
