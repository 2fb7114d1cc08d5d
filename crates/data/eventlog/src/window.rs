//! A moving view of a file: few large reads, many small slices that share their memory.

use std::io;

use bytes::Bytes;

use crate::disk::File;

/// How much is read at once when less was asked for.
const CHUNK: u64 = 256 * 1024;

/// Reads below a limit of one file.
pub(crate) struct Window<'a> {
    file: &'a dyn File,
    limit: u64,
    start: u64,
    bytes: Bytes,
}

impl<'a> Window<'a> {
    /// Looks at the bytes before `limit`.
    pub(crate) fn new(file: &'a dyn File, limit: u64) -> Window<'a> {
        Window { file, limit, start: 0, bytes: Bytes::new() }
    }

    /// Gives `length` bytes from a position, or `None` when they are not all below the limit.
    pub(crate) fn slice(&mut self, position: u64, length: usize) -> io::Result<Option<Bytes>> {
        let Some(end) = position.checked_add(length as u64).filter(|end| *end <= self.limit) else {
            return Ok(None);
        };
        if position < self.start || end > self.start + self.bytes.len() as u64 {
            let wanted = (self.limit - position).min(CHUNK.max(length as u64));
            let mut bytes = vec![0; wanted as usize];
            let read = self.file.read_at(&mut bytes, position)?;
            bytes.truncate(read);
            self.start = position;
            self.bytes = bytes.into();
            if read < length {
                return Ok(None);
            }
        }
        let from = (position - self.start) as usize;
        Ok(Some(self.bytes.slice(from..from + length)))
    }
}
