//! The open segments in order, and reading across them.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::batch::Batch;
use crate::disk::Disk;
use crate::segment::{End, Segment};
use crate::window::Window;
use crate::{Error, Kind, Offset, Record, Result};

/// The segments of a log, oldest first; there is always one, and the last is written to.
pub(crate) struct Chain {
    segments: RwLock<VecDeque<Arc<Segment>>>,
    /// Serialises releases; true when a removal is not durable yet.
    release: Mutex<bool>,
}

impl Chain {
    pub(crate) fn new(segments: VecDeque<Arc<Segment>>) -> Chain {
        Chain { segments: RwLock::new(segments), release: Mutex::new(false) }
    }

    /// Adds the segment that will be written to; it may take the place of an empty last one.
    pub(crate) fn push(&self, segment: Arc<Segment>, replaces: bool) {
        let mut segments = self.segments.write();
        if replaces {
            segments.pop_back();
        }
        segments.push_back(segment);
    }

    /// Gives the oldest offset that can be read.
    pub(crate) fn first(&self) -> Offset {
        self.segments.read().front().map_or(Offset::ZERO, |segment| segment.header.base)
    }

    /// Gives (segments, bytes they take on disk, bytes of batches in them).
    pub(crate) fn sizes(&self) -> (usize, u64, u64) {
        let segments = self.segments.read();
        let disk = segments.iter().map(|segment| segment.header.capacity).sum();
        let used = segments.iter().map(|segment| segment.end().position).sum();
        (segments.len(), disk, used)
    }

    /// Reads records from `from` on, below `durable`.
    pub(crate) fn read(&self, from: Offset, durable: Offset, max_bytes: usize) -> Result<Vec<Record>> {
        // One view of the chain: a release meanwhile changes nothing, open files stay readable.
        let segments: Vec<_> = self.segments.read().iter().cloned().collect();
        let first = segments.first().map_or(Offset::ZERO, |segment| segment.header.base);
        if from < first {
            let message = format!("offset {from} was released, the log starts at {first}");
            return Err(Error::new(Kind::NotFound, message));
        }
        let start = segments.partition_point(|segment| segment.header.base <= from).saturating_sub(1);
        let mut gathered = Gathered { records: Vec::new(), next: from, room: max_bytes };
        for segment in &segments[start..] {
            if gathered.next >= durable || gathered.take_from(segment, durable)? {
                break;
            }
        }
        Ok(gathered.records)
    }

    /// Deletes the segments that end at or below `before`, oldest first, never the last.
    ///
    /// Each removal is made durable before the next, or a power cut could leave a hole.
    pub(crate) fn release(&self, disk: &dyn Disk, before: Offset) -> Result<()> {
        let mut unsynced = self.release.lock();
        loop {
            if *unsynced {
                disk.sync_dir()
                    .map_err(|e| Error::file("cannot make the removal of a segment durable", e))
                    .map_err(|e| e.with_kind(Kind::Unavailable))?;
                *unsynced = false;
                telemetry::fail_point!("eventlog.after_release_sync");
            }
            let oldest = {
                let segments = self.segments.read();
                match segments.front() {
                    Some(oldest) if segments.len() > 1 && oldest.end().offset <= before => Arc::clone(oldest),
                    _ => return Ok(()),
                }
            };
            match disk.remove(&oldest.name) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    let error = Error::file(format!("cannot delete segment {}", oldest.name), e);
                    return Err(error.with_kind(Kind::Unavailable));
                }
            }
            telemetry::fail_point!("eventlog.after_release_remove");
            self.segments.write().pop_front();
            *unsynced = true;
        }
    }
}

/// What a read has found so far.
struct Gathered {
    records: Vec<Record>,
    next: Offset,
    room: usize,
}

impl Gathered {
    /// Takes records out of one segment; true when there is no room for the next.
    fn take_from(&mut self, segment: &Segment, durable: Offset) -> Result<bool> {
        let End { offset: end, position: limit } = segment.end();
        let end = end.min(durable);
        let failed =
            |e| Error::file(format!("cannot read segment {}", segment.name), e).with_kind(Kind::Unavailable);
        let mut window = Window::new(segment.file.as_ref(), limit);
        let mut position = segment.locate(self.next);
        while self.next < end {
            let batch = Batch::decode(&mut window, position, segment.header.salt)
                .map_err(failed)?
                .ok_or_else(|| {
                    Error::corrupt(
                        &segment.name,
                        position,
                        "the batch header or its index does not match its checksum",
                    )
                })?;
            if batch.base > self.next {
                return Err(Error::corrupt(&segment.name, position, "records are missing before this batch"));
            }
            // The mark the search started at may lie before the batch that holds the next record.
            if batch.end() <= self.next {
                position += batch.disk_len();
                continue;
            }
            let damaged = || {
                Error::corrupt(&segment.name, position, "a record of this batch does not match its checksum")
            };
            let records = batch.records(&mut window, position).map_err(failed)?.ok_or_else(damaged)?;
            let mut at = 0;
            for (number, (length, crc)) in batch.entries().enumerate() {
                let offset = Offset(batch.base.0 + number as u64);
                if offset >= end {
                    break;
                }
                if offset == self.next {
                    if length > self.room && !self.records.is_empty() {
                        return Ok(true);
                    }
                    let bytes = records
                        .slice(&mut window, at, length)
                        .map_err(failed)?
                        .filter(|bytes| crc32fast::hash(bytes) == crc)
                        .ok_or_else(damaged)?;
                    self.room = self.room.saturating_sub(length);
                    self.records.push(Record { offset, bytes });
                    self.next = offset.next();
                }
                at += length as u64;
            }
            position += batch.disk_len();
        }
        Ok(false)
    }
}
