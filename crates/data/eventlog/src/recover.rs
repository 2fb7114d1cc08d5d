//! Opening: every byte of every kept segment is checked before the log takes anything new.
//!
//! Checking at open, not only when a record is read, means that damage is found while the client
//! still holds nothing but its retry, and before new records are put behind the damage. It costs a
//! sequential read of what was not released yet.
//!
//! What may be wrong, and what follows:
//! - the last batch of the last segment is incomplete and nothing valid comes after it: its write
//!   was cut short, it was never acknowledged; it is overwritten with zeros, counted and logged;
//! - anything else: `Corrupt`, and the log does not open. A valid batch after an invalid one proves
//!   that the invalid one was acknowledged, because a batch is written only after the flush of the
//!   one before it returned.
//!
//! A flipped bit in the last batch alone looks like a cut-short write. `close` therefore ends the
//! data with an empty batch, so that after a clean stop this cannot be mistaken.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::batch::{Batch, HEAD};
use crate::disk::{Disk, File};
use crate::segment::{self, BLOCK, Header, Segment};
use crate::window::Window;
use crate::{Error, Kind, Offset, Result};

/// What opening found.
pub(crate) struct Recovered {
    /// Oldest first; empty for a new log.
    pub(crate) segments: VecDeque<Arc<Segment>>,
    /// Cut-short last writes: 0 or 1.
    pub(crate) torn_tails: u64,
}

/// Opens and checks all segments, cuts a torn tail, and makes what is left durable.
pub(crate) fn recover(disk: &dyn Disk) -> Result<Recovered> {
    let mut names = disk.list().map_err(|e| failed("list the log directory", e))?;
    if names.iter().any(|name| name == segment::UNFINISHED) {
        disk.remove(segment::UNFINISHED).map_err(|e| failed("delete an unfinished segment", e))?;
    }
    names.retain(|name| segment::is_name(name));
    names.sort();
    let segments =
        names.iter().map(|name| open(disk, name).map(Arc::new)).collect::<Result<VecDeque<_>>>()?;
    for (number, segment) in segments.iter().enumerate() {
        scan(segment, segments.get(number + 1))?;
    }
    let mut torn_tails = 0;
    if let Some(last) = segments.back() {
        torn_tails = u64::from(cut_torn_tail(last)?);
        make_durable(last)?;
        disk.sync_dir().map_err(|e| failed("make the log directory durable", e))?;
    }
    Ok(Recovered { segments, torn_tails })
}

fn failed(what: &str, error: io::Error) -> Error {
    Error::file(format!("cannot {what}"), error)
}

/// Opens one segment file and reads its header.
fn open(disk: &dyn Disk, name: &str) -> Result<Segment> {
    let file = disk.open(name).map_err(|e| failed(&format!("open segment {name}"), e))?;
    let mut block = [0; BLOCK as usize];
    file.read_at(&mut block, 0).map_err(|e| failed(&format!("read segment {name}"), e))?;
    let header = Header::decode(&block).map_err(|what| Error::corrupt(name, 0, what))?;
    if segment::name(header.base) != name {
        return Err(Error::corrupt(name, 24, "the file was renamed: its first offset is another"));
    }
    let size = file.size().map_err(|e| failed(&format!("measure segment {name}"), e))?;
    if size < header.capacity {
        return Err(Error::corrupt(name, size, "the file is shorter than it was made"));
    }
    Ok(Segment::new(header, file))
}

/// Finds the batches of a segment, up to the start of its successor when there is one.
fn scan(segment: &Segment, successor: Option<&Arc<Segment>>) -> Result<()> {
    let Header { id, salt, capacity, .. } = segment.header;
    let name = &segment.name;
    if successor.is_some_and(|next| next.header.id != id + 1) {
        return Err(Error::corrupt(name, capacity, "the segment after this one is missing"));
    }
    let until = successor.map(|next| next.header.base);
    let mut window = Window::new(segment.file.as_ref(), capacity);
    loop {
        let end = segment.end();
        if until == Some(end.offset) {
            return Ok(());
        }
        let batch =
            Batch::decode(&mut window, end.position, salt).map_err(|e| failed("read a segment", e))?;
        let whole = match &batch {
            None => false,
            Some(batch) if batch.base != end.offset => {
                return Err(Error::corrupt(name, end.position, "a batch starts at the wrong offset"));
            }
            Some(batch) => {
                batch.verify(&mut window, end.position).map_err(|e| failed("read a segment", e))?
            }
        };
        match (batch, until) {
            (Some(batch), Some(until)) if whole && batch.end() > until => {
                return Err(Error::corrupt(name, end.position, "a batch overlaps the next segment"));
            }
            (Some(batch), _) if whole => segment.extend(u64::from(batch.count), batch.disk_len()),
            (_, Some(_)) => {
                return Err(Error::corrupt(
                    name,
                    end.position,
                    "records are missing or damaged from here on",
                ));
            }
            (_, None) => return Ok(()),
        }
    }
}

/// Clears what follows the last whole batch; true when there was something.
fn cut_torn_tail(segment: &Segment) -> Result<bool> {
    const CHUNK: u64 = 1 << 20;
    const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    let Header { capacity, .. } = segment.header;
    let start = segment.end().position;
    let mut torn_until = start;
    let mut chunk = vec![0; CHUNK.min(capacity) as usize];
    let mut position = start;
    while position < capacity {
        let length = (capacity - position).min(chunk.len() as u64) as usize;
        let chunk = &mut chunk[..length];
        let read = segment.file.read_at(chunk, position).map_err(|e| failed("read a segment", e))?;
        for (number, block) in chunk[..read].chunks(BLOCK as usize).enumerate() {
            let at = position + number as u64 * BLOCK;
            if *block == ZEROS[..block.len()] {
                continue;
            }
            if at > start && is_batch(segment.file.as_ref(), at, &segment.header)? {
                return Err(Error::corrupt(&segment.name, start, "valid records follow the damage"));
            }
            torn_until = at + block.len() as u64;
        }
        position += length as u64;
    }
    if torn_until == start {
        return Ok(false);
    }
    let torn = torn_until - start;
    tracing::warn!(
        segment = segment.name,
        position = start,
        bytes = torn,
        "cut off a write that the last stop of this process interrupted; it was never acknowledged"
    );
    telemetry::log::torn_tail();
    let zeros = vec![0; CHUNK.min(torn) as usize];
    // From the back, so that a crash in between leaves an invalid batch or none.
    let mut left = torn;
    while left > 0 {
        let length = left.min(zeros.len() as u64);
        left -= length;
        segment
            .file
            .write_at(&zeros[..length as usize], start + left)
            .map_err(|e| failed("clear a torn tail", e))?;
    }
    Ok(true)
}

/// Says whether the header of a batch stands here.
pub(crate) fn is_batch(file: &dyn File, position: u64, header: &Header) -> Result<bool> {
    if position + HEAD as u64 > header.capacity {
        return Ok(false);
    }
    let mut window = Window::new(file, header.capacity);
    let found = Batch::decode(&mut window, position, header.salt).map_err(|e| failed("read a segment", e))?;
    Ok(found.is_some())
}

/// Makes what was found durable, before anybody is told of it.
///
/// A killed process leaves its last write in the page cache, and after a failed flush the page
/// cache holds bytes the disk may not. At most one batch can be in that state, the last; writing
/// it again marks its pages dirty, and the flush then means what it says.
fn make_durable(segment: &Segment) -> Result<()> {
    let end = segment.end();
    let mut position = segment.locate(end.offset);
    let mut window = Window::new(segment.file.as_ref(), end.position);
    while position < end.position {
        let batch = Batch::decode(&mut window, position, segment.header.salt)
            .map_err(|e| failed("read a segment", e))?
            .ok_or_else(|| Error::new(Kind::Bug, "a batch that was whole a moment ago is not"))?;
        if position + batch.disk_len() >= end.position {
            let bytes = window
                .slice(position, (end.position - position) as usize)
                .map_err(|e| failed("read a segment", e))?
                .ok_or_else(|| Error::new(Kind::Bug, "a batch ends after its segment"))?;
            segment.file.write_at(&bytes, position).map_err(|e| failed("rewrite the last batch", e))?;
            break;
        }
        position += batch.disk_len();
    }
    telemetry::fail_point!("eventlog.after_tail_rewrite");
    segment.file.sync_data().map_err(|e| failed("make the last segment durable", e))
}

/// Checks that the log still holds all that somebody depends on.
pub(crate) fn check_floor(end: Offset, floor: Offset) -> Result<()> {
    if end < floor {
        let message = format!(
            "the log ends at offset {end} but records below {floor} were committed from it: \
             segments are missing"
        );
        return Err(Error::new(Kind::Corrupt, message));
    }
    Ok(())
}
