//! How far the whole batches of a segment file go, seen from outside: for backups of a log that is being written to.

use std::fs::File as Handle;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::batch::Batch;
use crate::disk::File;
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
    let mut window = Window::new(&file, header.capacity);
    while let Some(batch) = Batch::decode(&mut window, extent.bytes, header.salt).map_err(failed)? {
        if batch.base != extent.end || !batch.verify(&mut window, extent.bytes).map_err(failed)? {
            break;
        }
        extent.end = batch.end();
        extent.bytes += batch.disk_len();
    }
    Ok(extent)
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
    }
}
