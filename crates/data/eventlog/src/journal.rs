//! The write side of a log, without threads: what is written when, and what is durable after it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::batch::{self, Sealed};
use crate::disk::Disk;
use crate::error::is_shortage;
use crate::pack::Packer;
use crate::read::Chain;
use crate::recover;
use crate::segment::{self, BLOCK, Header, Segment};
use crate::{Error, Kind, Offset, Result, Settings};

/// How often the free space of the disk is looked at between rotations.
const SPACE_CHECK: Duration = Duration::from_secs(1);
/// A buffer above this is given back after use.
const KEEP_BUFFER: usize = 4 << 20;
/// Files take whole pages.
const PAGE: u64 = 4096;

/// Appends batches to the last segment of a chain.
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    settings: Settings,
    chain: Arc<Chain>,
    active: Arc<Segment>,
    packer: Packer,
    buffer: Vec<u8>,
    space_checked: Option<Instant>,
    poison: Option<Error>,
    pub(crate) torn_tails: u64,
}

impl Journal {
    /// Opens the log on a disk; see [`crate::Segments::open_at`].
    pub(crate) fn open(disk: Arc<dyn Disk>, settings: Settings, floor: Offset) -> Result<Journal> {
        settings.check()?;
        let recovered = recover::recover(disk.as_ref())?;
        let active = match recovered.segments.back() {
            Some(last) => {
                recover::check_floor(last.end().offset, floor)?;
                Arc::clone(last)
            }
            None => {
                let header =
                    Header { id: 0, base: floor, salt: disk.salt(), capacity: settings.segment_bytes };
                Arc::new(
                    create(disk.as_ref(), header)
                        .map_err(|e| Error::file("cannot create the first segment", e))?,
                )
            }
        };
        let fresh = recovered.segments.is_empty();
        let chain = Arc::new(Chain::new(recovered.segments));
        if fresh {
            chain.push(Arc::clone(&active), false);
        }
        let torn_tails = recovered.torn_tails;
        let packer = Packer::new(settings.pack_below_bytes);
        let journal = Journal {
            disk,
            settings,
            chain,
            active,
            packer,
            buffer: Vec::new(),
            space_checked: None,
            poison: None,
            torn_tails,
        };
        journal.report_size();
        Ok(journal)
    }

    /// Gives the segments for reading.
    pub(crate) fn chain(&self) -> Arc<Chain> {
        Arc::clone(&self.chain)
    }

    /// Gives the offset the next record will get.
    pub(crate) fn end(&self) -> Offset {
        self.active.end().offset
    }

    /// Gives the error that ended this journal's life, if one did.
    pub(crate) fn poison(&self) -> Option<&Error> {
        self.poison.as_ref()
    }

    /// Writes records as one batch and flushes them; gives the offset of the first.
    ///
    /// After `Ok` they are durable. After `Busy` nothing was stored and the next commit may work.
    /// After `Unavailable` nothing works any more.
    pub(crate) fn commit<'a>(
        &mut self,
        records: impl ExactSizeIterator<Item = &'a Sealed> + Clone,
    ) -> Result<Offset> {
        if let Some(error) = &self.poison {
            return Err(error.clone());
        }
        let count = records.len();
        // Before the records are compressed: a full disk must not cost a full core.
        let made_room = self.check_space().and_then(|()| {
            batch::encode(&mut self.buffer, &mut self.packer, records);
            self.make_room(self.buffer.len() as u64)
        });
        if let Err(error) = made_room {
            telemetry::log::refused("no_space", count as u64);
            return Err(error);
        }
        self.write(count)
    }

    /// Ends the data with an empty batch, so that a damaged last batch cannot pass for a torn one.
    pub(crate) fn mark_clean_end(&mut self) -> Result<()> {
        if self.active.header.capacity - self.active.end().position < BLOCK {
            return Ok(());
        }
        batch::encode(&mut self.buffer, &mut self.packer, [].iter());
        self.write(0).map(|_| ())
    }

    /// Writes the encoded batch of `count` records where it is known to fit, and flushes it.
    fn write(&mut self, count: usize) -> Result<Offset> {
        let end = self.active.end();
        batch::seal(&mut self.buffer, self.active.header.salt, end.offset, count);
        let length = self.buffer.len() as u64;
        let count = count as u64;
        telemetry::fail_point!("eventlog.before_write");
        if let Err(e) = self.active.file.write_at(&self.buffer, end.position) {
            // Where space is not really preallocated a write can find none. It was not flushed,
            // and the next write goes to the same place.
            let context = format!("cannot write to segment {}", self.active.name);
            return Err(if is_shortage(&e) { Error::file(context, e) } else { self.die(context, e) });
        }
        telemetry::fail_point!("eventlog.after_write");
        let started = Instant::now();
        if let Err(e) = self.active.file.sync_data() {
            let context = format!("cannot flush segment {}", self.active.name);
            return Err(self.die(context, e));
        }
        telemetry::fail_point!("eventlog.after_sync");
        self.active.extend(count, length);
        telemetry::log::committed(count, length, started.elapsed());
        if self.buffer.capacity() > KEEP_BUFFER {
            self.buffer = Vec::new();
        }
        Ok(end.offset)
    }

    /// Refuses when the disk's reserve is touched; looks at most once per [`SPACE_CHECK`].
    fn check_space(&mut self) -> Result<()> {
        let now = Instant::now();
        if self.space_checked.is_some_and(|last| now - last < SPACE_CHECK) {
            return Ok(());
        }
        self.space_checked = None;
        self.require_space(0)?;
        self.space_checked = Some(now);
        Ok(())
    }

    /// Refuses when `wanted` more bytes would touch the disk's reserve.
    fn require_space(&self, wanted: u64) -> Result<()> {
        let reserve = self.settings.min_free_bytes;
        match self.disk.free_space() {
            Ok(free) if free < reserve.saturating_add(wanted) => {
                let message = format!("the log disk has {free} bytes free and keeps {reserve} in reserve");
                Err(Error::busy(message))
            }
            Ok(_) => Ok(()),
            Err(error) => {
                // Taking the space will tell.
                tracing::warn!(%error, "cannot measure the free space of the log disk");
                Ok(())
            }
        }
    }

    /// Sees to it that the active segment has room for a batch of `length` bytes.
    fn make_room(&mut self, length: u64) -> Result<()> {
        if length > self.active.header.capacity - self.active.end().position {
            self.rotate(length)?;
        }
        Ok(())
    }

    /// Starts a new segment with room for a batch of `length` bytes.
    fn rotate(&mut self, length: u64) -> Result<()> {
        let capacity = self.settings.segment_bytes.max((BLOCK + length).next_multiple_of(PAGE));
        // Two segments cannot start at the same offset: an empty one is replaced.
        let replaces = self.end() == self.active.header.base;
        let (_, disk_bytes, _) = self.chain.sizes();
        let taken = disk_bytes - if replaces { self.active.header.capacity } else { 0 };
        if taken + capacity > self.settings.max_bytes {
            let limit = self.settings.max_bytes;
            let message = format!("the log holds {taken} bytes of at most {limit}: the tables lag behind");
            return Err(Error::busy(message));
        }
        self.require_space(capacity)?;
        let id = self.active.header.id + u64::from(!replaces);
        let header = Header { id, base: self.end(), salt: self.disk.salt(), capacity };
        match create(self.disk.as_ref(), header) {
            Ok(segment) => {
                self.active = Arc::new(segment);
                self.chain.push(Arc::clone(&self.active), replaces);
                self.report_size();
                Ok(())
            }
            Err(e) if is_shortage(&e) => {
                // A leftover is replaced by the next try, so a failure here changes nothing.
                self.disk.remove(segment::UNFINISHED).ok();
                Err(Error::file("no space for the next log segment", e))
            }
            Err(e) => Err(self.die("cannot create the next log segment".into(), e)),
        }
    }

    fn report_size(&self) {
        let (segments, disk, _) = self.chain.sizes();
        telemetry::log::size(segments as u64, disk);
    }

    fn die(&mut self, context: String, source: io::Error) -> Error {
        tracing::error!(error = %source, "{context}: the log takes no more appends, restart the process");
        telemetry::log::poisoned();
        let error = Error::file(context, source).with_kind(Kind::Unavailable);
        self.poison = Some(error.clone());
        error
    }
}

/// Makes a segment file that is whole and durable before it has its name.
fn create(disk: &dyn Disk, header: Header) -> io::Result<Segment> {
    let file = match disk.create(segment::UNFINISHED) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(segment::UNFINISHED)?;
            disk.create(segment::UNFINISHED)?
        }
        created => created?,
    };
    file.preallocate(header.capacity)?;
    file.write_at(&header.encode(), 0)?;
    file.sync_data()?;
    telemetry::fail_point!("eventlog.before_rotate_rename");
    disk.rename(segment::UNFINISHED, &segment::name(header.base))?;
    telemetry::fail_point!("eventlog.after_rotate_rename");
    disk.sync_dir()?;
    telemetry::fail_point!("eventlog.after_rotate");
    Ok(Segment::new(header, file))
}
