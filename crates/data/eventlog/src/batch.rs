//! A batch: the records that shared one write and one flush.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `TnBt` |
//! | 4..8 | CRC-32 of the segment's salt, bytes 8..32 and the index |
//! | 8..16 | offset of the first record |
//! | 16..20 | how many records; 0 marks a clean end, written by `close` |
//! | 20..24 | how the records are stored: 0 as they are, 1 as one zstd frame |
//! | 24..32 | bytes that they take here |
//! | 32.. | the index: length and CRC-32 of each record, 4 bytes each |
//! | then | the records, one after the other, then zeros up to the next block |
//!
//! Lengths and checksums of the index are those of the plain records. The checksum covers the index and the index holds the checksums of the records, so every byte
//! that matters is covered once. The salt is in it because records hold what strangers sent: a
//! body shaped like a batch must not pass for one when the log looks for the end of its data.

use std::io;

use bytes::Bytes;

use crate::pack::{self, Packer};
use crate::segment::BLOCK;
use crate::window::Window;
use crate::{Offset, Payload};

pub(crate) const HEAD: usize = 32;
const ENTRY: usize = 8;
const MAGIC: &[u8; 4] = b"TnBt";
const PLAIN: u32 = 0;
const ZSTD: u32 = 1;

/// A payload with its checksum, made by the thread that appends it.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) payload: Payload,
    crc: u32,
}

impl Sealed {
    pub(crate) fn new(payload: Payload) -> Sealed {
        let mut hasher = crc32fast::Hasher::new();
        payload.parts().iter().for_each(|part| hasher.update(part));
        Sealed { crc: hasher.finalize(), payload }
    }
}

/// A batch whose header and index are whole; its records are checked one by one.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) base: Offset,
    pub(crate) count: u32,
    packed: bool,
    stored: u64,
    index: Bytes,
}

/// Where the records of a batch are taken from.
pub(crate) enum Records {
    /// They lie in the file as they are, from this position on.
    InFile(u64),
    /// They were packed; here they are.
    Unpacked(Bytes),
}

impl Records {
    /// Gives `length` bytes that start `at` bytes after the first record; `None` when the file ends before.
    pub(crate) fn slice(&self, window: &mut Window<'_>, at: u64, length: usize) -> io::Result<Option<Bytes>> {
        match self {
            Records::InFile(start) => window.slice(start + at, length),
            Records::Unpacked(bytes) => {
                let at = at as usize;
                Ok((at + length <= bytes.len()).then(|| bytes.slice(at..at + length)))
            }
        }
    }
}

impl Batch {
    /// Reads the batch at a position; `None` when there is none or it is damaged.
    pub(crate) fn decode(window: &mut Window<'_>, position: u64, salt: u64) -> io::Result<Option<Batch>> {
        let Some(head) = window.slice(position, HEAD)? else { return Ok(None) };
        if &head[..4] != MAGIC {
            return Ok(None);
        }
        let count = number::<4>(&head, 16) as u32;
        let Some(index) = window.slice(position + HEAD as u64, count as usize * ENTRY)? else {
            return Ok(None);
        };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&salt.to_le_bytes());
        hasher.update(&head[8..]);
        hasher.update(&index);
        if u64::from(hasher.finalize()) != number::<4>(&head, 4) {
            return Ok(None);
        }
        let packed = match number::<4>(&head, 20) as u32 {
            PLAIN => false,
            ZSTD => true,
            _ => return Ok(None),
        };
        let base = Offset(number::<8>(&head, 8));
        Ok(Some(Batch { base, count, packed, stored: number::<8>(&head, 24), index }))
    }

    /// Gives the offset after the last record.
    pub(crate) fn end(&self) -> Offset {
        Offset(self.base.0 + u64::from(self.count))
    }

    /// Gives the bytes the batch takes in the file.
    pub(crate) fn disk_len(&self) -> u64 {
        ((HEAD + self.index.len()) as u64 + self.stored).next_multiple_of(BLOCK)
    }

    /// Makes the records of the batch at a position ready to be taken; `None` when they are damaged or not all there.
    pub(crate) fn records(&self, window: &mut Window<'_>, position: u64) -> io::Result<Option<Records>> {
        let start = position + (HEAD + self.index.len()) as u64;
        if !self.packed {
            return Ok(Some(Records::InFile(start)));
        }
        let Some(packed) = window.slice(start, self.stored as usize)? else { return Ok(None) };
        let total = self.entries().map(|(length, _)| length).sum();
        Ok(pack::unpack(&packed, total)?.map(Records::Unpacked))
    }

    /// Gives length and checksum of each record, in order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.index
            .chunks_exact(ENTRY)
            .map(|entry| (number::<4>(entry, 0) as usize, number::<4>(entry, 4) as u32))
    }

    /// Reads every record and compares its checksum.
    pub(crate) fn verify(&self, window: &mut Window<'_>, position: u64) -> io::Result<bool> {
        let Some(records) = self.records(window, position)? else { return Ok(false) };
        let mut at = 0;
        for (length, crc) in self.entries() {
            match records.slice(window, at, length)? {
                Some(bytes) if crc32fast::hash(&bytes) == crc => at += length as u64,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Writes a batch into `buffer`, replacing what is there, all but what [`seal`] fills in.
pub(crate) fn encode<'a>(
    buffer: &mut Vec<u8>,
    packer: &mut Packer,
    records: impl ExactSizeIterator<Item = &'a Sealed> + Clone,
) {
    let total: u64 = records.clone().map(|record| record.payload.len() as u64).sum();
    let packed = packer.pack(records.clone(), total);
    let stored = packed.map_or(total, |packed| packed.len() as u64);
    let length = ((HEAD + records.len() * ENTRY) as u64 + stored).next_multiple_of(BLOCK) as usize;
    buffer.clear();
    buffer.reserve(length);
    buffer.extend_from_slice(MAGIC);
    buffer.extend_from_slice(&[0; 12]);
    buffer.extend_from_slice(&(records.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&(if packed.is_some() { ZSTD } else { PLAIN }).to_le_bytes());
    buffer.extend_from_slice(&stored.to_le_bytes());
    for record in records.clone() {
        buffer.extend_from_slice(&(record.payload.len() as u32).to_le_bytes());
        buffer.extend_from_slice(&record.crc.to_le_bytes());
    }
    match packed {
        Some(packed) => buffer.extend_from_slice(packed),
        None => records
            .for_each(|record| record.payload.parts().iter().for_each(|part| buffer.extend_from_slice(part))),
    }
    buffer.resize(length, 0);
}

/// Puts an encoded batch of `count` records in its place: into the segment with this salt, as the records from `base` on.
pub(crate) fn seal(buffer: &mut [u8], salt: u64, base: Offset, count: usize) {
    buffer[8..16].copy_from_slice(&base.0.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&buffer[8..HEAD + count * ENTRY]);
    buffer[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
}

/// Reads a little-endian number of `N` bytes, `N` at most 8.
pub(crate) fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut whole = [0; 8];
    whole[..N].copy_from_slice(&bytes[at..at + N]);
    u64::from_le_bytes(whole)
}
