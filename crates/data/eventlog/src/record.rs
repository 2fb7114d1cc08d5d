//! What goes in and what comes out.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Numbers a record: the first is 0, the next one more, across segments and restarts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset of the first record ever.
    pub const ZERO: Offset = Offset(0);

    /// Gives the number itself.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Gives the offset of the record after this one.
    pub const fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Offset {
    fn from(value: u64) -> Self {
        Offset(value)
    }
}

impl From<Offset> for u64 {
    fn from(offset: Offset) -> Self {
        offset.0
    }
}

/// A durable record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the log.
    pub offset: Offset,
    /// Its bytes. They share memory with their neighbours: copy what is kept for long.
    pub bytes: Bytes,
}

/// The bytes of a record to be, in up to two parts so that a header needs no copy of its body.
///
/// The record read back is the parts one after the other; the log does not remember where they met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    head: Bytes,
    body: Bytes,
}

impl Payload {
    /// Joins a header and a body.
    pub const fn new(head: Bytes, body: Bytes) -> Self {
        Payload { head, body }
    }

    /// Gives the length of the record in bytes.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Says whether the record has no bytes, which is allowed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the parts in order.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        [&self.head, &self.body]
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Payload::new(bytes, Bytes::new())
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<&'static [u8]> for Payload {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}
