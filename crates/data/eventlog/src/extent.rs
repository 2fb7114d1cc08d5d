//! How far the whole batches of a segment file go, seen from outside: for backups of a log that is being written to.

use std::fs::File as Handle;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::batch::Batch;
use crate::disk::File;
use crate::recover::is_batch;
use crate::segment::{BLOCK, Header, is_name};
use crate::window::Window;
use crate::{Error, Offset, Result};

/// A segment file and the part of it that holds whole batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// One more than the id of the segment before.
    pub id: u64,
    /// Offset of its first record.
    pub first: Offset,
    /// Offset after its last whole record.
    pub end: Offset,
    /// Bytes up to the end of the last whole batch. What follows is zeros, or a batch on its way.
    pub bytes: u64,
    /// Length the file must have; a copy of the first `bytes` bytes is filled up with zeros.
    pub length: u64,
}

/// Says whether a file of a log's directory is a segment.
pub fn is_segment(name: &str) -> bool {
    is_name(name)
}

/// Reads a segment file from its start and checks every batch.
///
/// Every record whose append was answered before the call is below `end`: its batch was flushed as a whole.
///
/// # Errors
/// `Corrupt` when the file is no segment of this version; what the file system said.
pub fn measure(path: &Path) -> Result<Extent> {
    let shown = path.display().to_string();
    let failed = |e| Error::file(format!("cannot read segment {shown}"), e);
    let file = ReadOnly(Handle::open(path).map_err(failed)?);
    let mut block = [0; BLOCK as usize];
    file.read_at(&mut block, 0).map_err(failed)?;
    let header = Header::decode(&block).map_err(|what| Error::corrupt(&shown, 0, what))?;
    let mut extent =
        Extent { id: header.id, first: header.base, end: header.base, bytes: BLOCK, length: header.capacity };
    loop {
        let before = extent.bytes;
        extend(&file, &header, &mut extent).map_err(failed)?;
        // Behind a batch that is just being written there is nothing. When there is something, it was written by now:
        // look again, and if it still is not whole, it is damaged.
        if !has_more(&file, &header, extent.bytes)? {
            return Ok(extent);
        }
        if extent.bytes == before {
            return Err(Error::corrupt(&shown, extent.bytes, "valid records follow the damage"));
        }
    }
}

/// Takes in the whole batches that follow.
fn extend(file: &ReadOnly, header: &Header, extent: &mut Extent) -> io::Result<()> {
    let mut window = Window::new(file, header.capacity);
    while let Some(batch) = Batch::decode(&mut window, extent.bytes, header.salt)? {
        if batch.base != extent.end || !batch.verify(&mut window, extent.bytes)? {
            break;
        }
        extent.end = batch.end();
        extent.bytes += batch.disk_len();
    }
    Ok(())
}

/// Whether a batch begins anywhere behind a position.
fn has_more(file: &ReadOnly, header: &Header, position: u64) -> Result<bool> {
    const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    let failed = |e| Error::file("cannot read a segment", e);
    let mut window = Window::new(file, header.capacity);
    let mut at = position + BLOCK;
    while let Some(block) = window.slice(at, BLOCK as usize).map_err(failed)? {
        if block[..] != ZEROS && is_batch(file, at, header)? {
            return Ok(true);
        }
        at += BLOCK;
    }
    Ok(false)
}

/// A file that is only looked at.
struct ReadOnly(Handle);

impl File for ReadOnly {
    fn preallocate(&self, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn write_at(&self, _bytes: &[u8], _position: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match self.0.read_at(&mut into[filled..], position + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(filled)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventLog, Payload, Segments, Settings};

    #[test]
    fn a_copy_of_what_was_measured_opens_with_every_acked_record_while_the_log_goes_on() {
        let scratch = tempfile::tempdir().expect("folder");
        let (live, copy) = (scratch.path().join("live"), scratch.path().join("copy"));
        let log = Segments::open(&live, Settings::default()).expect("opens");
        for number in 0..50_u32 {
            log.append(Payload::from(number.to_le_bytes().to_vec())).wait().expect("acked");
        }
        let segment = live.join(format!("{:020}.segment", 0));
        let extent = measure(&segment).expect("measures");
        assert_eq!((extent.first, extent.end, extent.id), (Offset(0), Offset(50), 0));
        log.append(Payload::from(vec![7; 5000])).wait().expect("acked");
        let bytes = std::fs::read(&segment).expect("reads");
        assert_eq!(bytes.len() as u64, extent.length);
        std::fs::create_dir(&copy).expect("makes");
        let target = copy.join(segment.file_name().expect("name"));
        std::fs::write(&target, &bytes[..extent.bytes as usize]).expect("writes");
        Handle::options().write(true).open(&target).expect("opens").set_len(extent.length).expect("grows");
        let again = Segments::open_at(&copy, Settings::default(), Offset(50)).expect("opens");
        assert_eq!(again.durable(), Offset(50));
        assert!(measure(&scratch.path().join("none")).is_err());
        // A batch in the middle that lost a bit is no end.
        let file = Handle::options().write(true).open(&target).expect("opens");
        file.write_all_at(&[0xff; 4], BLOCK + 4).expect("writes");
        assert_eq!(measure(&target).expect_err("damaged").kind(), crate::Kind::Corrupt);
    }
}
