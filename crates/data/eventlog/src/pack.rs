//! Compressing the records of one write together.
//!
//! Requests of one moment look alike: a hundred of them in one zstd frame take a quarter of the bytes that they take one
//! by one, and a quarter of the time, because most of the work on a small input is building its tables.

use std::cell::RefCell;
use std::io;

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use crate::batch::Sealed;

/// zstd level 1: smaller and cheaper than level 3 on event bodies.
const LEVEL: i32 = 1;
/// Fewer bytes than this are kept as they are.
const WORTHWHILE: u64 = 256;
/// Memory above this is given back after use.
const KEEP: usize = 4 << 20;

thread_local! {
    /// Setting one up costs more than unpacking one small batch; one per thread is kept for reuse.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Packs batches; keeps its memory between them.
pub(crate) struct Packer {
    below: u64,
    /// About 1 MB of tables, made when there is something to pack.
    compressor: Option<Compressor<'static>>,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    /// Packs batches whose records are smaller than `below` bytes on average; 0 packs none. Larger bodies are the
    /// caller's affair, who can compress them on many threads while one writes.
    pub(crate) fn new(below: u64) -> Packer {
        Packer { below, compressor: None, plain: Vec::new(), packed: Vec::new() }
    }

    /// Gives one frame of all records, which take `total` bytes; `None` when that does not pay.
    pub(crate) fn pack<'a>(
        &mut self,
        records: impl ExactSizeIterator<Item = &'a Sealed>,
        total: u64,
    ) -> Option<&[u8]> {
        if total < WORTHWHILE || total / records.len() as u64 >= self.below {
            return None;
        }
        for kept in [&mut self.plain, &mut self.packed] {
            kept.clear();
            kept.shrink_to(KEEP);
        }
        for record in records {
            record.payload.parts().iter().for_each(|part| self.plain.extend_from_slice(part));
        }
        if self.compressor.is_none() {
            self.compressor = Compressor::new(LEVEL).ok();
        }
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.plain.len()));
        let length = self.compressor.as_mut()?.compress_to_buffer(&self.plain, &mut self.packed).ok()?;
        ((length as u64) < total - total / 8).then_some(self.packed.as_slice())
    }
}

/// Undoes [`Packer::pack`] for records of `total` bytes in all; `None` when the bytes are not such a frame.
pub(crate) fn unpack(packed: &[u8], total: usize) -> io::Result<Option<Bytes>> {
    let plain = DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(kept) => kept,
            None => slot.insert(Decompressor::new()?),
        };
        io::Result::Ok(decompressor.decompress(packed, total))
    })?;
    Ok(plain.ok().filter(|plain| plain.len() == total).map(Bytes::from))
}
