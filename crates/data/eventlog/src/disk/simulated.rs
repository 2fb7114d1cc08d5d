//! A disk in memory that does no more than it promised.
//!
//! After a power cut every page that was not flushed is kept or lost by chance, the last write may
//! be torn between sectors, and names that were not made durable come and go. After a failed flush
//! the file still reads back what was written, and the next flush succeeds without writing it, as
//! Linux does. Everything follows from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::{Disk, File};

const PAGE: usize = 4096;
const SECTOR: usize = 512;
const NO_SPACE: i32 = 28;
const IO_ERROR: i32 = 5;

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with EIO; a write has done a part of its work, a flush any part.
    Io,
    /// The call fails with ENOSPC; a write has done a part of its work.
    NoSpace,
    /// The process ends inside the call: it and all later calls fail.
    Crash,
}

/// What a crash takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The process was killed: files keep all that was written.
    Process,
    /// The power went: only what was flushed is sure.
    Power,
}

/// A simulated directory, as one process sees it; clones are the same process.
#[derive(Clone)]
pub struct Simulated {
    world: Arc<Mutex<World>>,
    process: u64,
}

#[derive(Clone)]
struct World {
    random: u64,
    process: u64,
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    space: u64,
    calls: u64,
    fault: Option<(u64, Fault)>,
}

#[derive(Default, Clone)]
struct Inode {
    live: Content,
    durable: Content,
    dirty: BTreeSet<u64>,
    last_write: (u64, u64),
}

#[derive(Default, Clone)]
struct Content {
    size: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE]>>,
}

impl Simulated {
    /// Makes an empty disk of `space` bytes.
    pub fn new(seed: u64, space: u64) -> Simulated {
        let world = World {
            random: seed,
            process: 0,
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            space,
            calls: 0,
            fault: None,
        };
        Simulated { world: Arc::new(Mutex::new(world)), process: 0 }
    }

    /// Ends the process that uses the disk, and gives the disk as the next process finds it.
    pub fn crash(&self, loss: Loss) -> Simulated {
        let mut world = self.world.lock();
        world.process += 1;
        world.fault = None;
        if loss == Loss::Power {
            world.lose_power();
        }
        Simulated { world: Arc::clone(&self.world), process: world.process }
    }

    /// Copies the whole disk: what happens to one copy does not happen to the other.
    pub fn fork(&self) -> Simulated {
        Simulated { world: Arc::new(Mutex::new(self.world.lock().clone())), process: self.process }
    }

    /// Chooses the call, counted from the next as 1, that goes wrong.
    pub fn fail_call(&self, number: u64, fault: Fault) {
        let mut world = self.world.lock();
        world.fault = Some((world.calls + number, fault));
    }

    /// Says whether the chosen call is still to come; it never goes wrong then.
    pub fn disarm(&self) -> bool {
        self.world.lock().fault.take().is_some()
    }

    /// Sets the size of the disk.
    pub fn resize(&self, space: u64) {
        self.world.lock().space = space;
    }

    /// Gives how many calls were made.
    pub fn calls(&self) -> u64 {
        self.world.lock().calls
    }

    /// Flips one bit of a file, on the disk itself.
    pub fn flip(&self, name: &str, bit: u64) {
        let mut world = self.world.lock();
        let Some(inode) = world.names.get(name).copied() else { return };
        let (page, at) = (bit / 8 / PAGE as u64, (bit / 8) as usize % PAGE);
        let inode = &mut world.inodes[inode];
        for content in [&mut inode.live, &mut inode.durable] {
            content.pages.entry(page).or_insert_with(|| Box::new([0; PAGE]))[at] ^= 1 << (bit % 8);
        }
    }

    /// Counts a call, and says whether it is the one that goes wrong.
    fn enter(&self) -> io::Result<(MutexGuard<'_, World>, Option<Fault>)> {
        let mut world = self.world.lock();
        if world.process != self.process {
            return Err(io::Error::from_raw_os_error(IO_ERROR));
        }
        world.calls += 1;
        let fault = match world.fault {
            Some((call, fault)) if call == world.calls => {
                world.fault = None;
                if fault == Fault::Crash {
                    world.process += 1;
                }
                Some(fault)
            }
            _ => None,
        };
        Ok((world, fault))
    }
}

fn outcome(fault: Option<Fault>) -> io::Result<()> {
    match fault {
        None => Ok(()),
        Some(Fault::NoSpace) => Err(io::Error::from_raw_os_error(NO_SPACE)),
        Some(Fault::Io | Fault::Crash) => Err(io::Error::from_raw_os_error(IO_ERROR)),
    }
}

impl Inode {
    fn keep(&mut self, page: u64) {
        match self.live.pages.get(&page) {
            Some(bytes) => self.durable.pages.insert(page, bytes.clone()),
            None => self.durable.pages.remove(&page),
        };
    }

    fn write(&mut self, bytes: &[u8], position: u64) {
        let mut at = 0;
        while at < bytes.len() {
            let (number, start) = ((position as usize + at) / PAGE, (position as usize + at) % PAGE);
            let part = (PAGE - start).min(bytes.len() - at);
            let page = self.live.pages.entry(number as u64).or_insert_with(|| Box::new([0; PAGE]));
            page[start..start + part].copy_from_slice(&bytes[at..at + part]);
            self.dirty.insert(number as u64);
            at += part;
        }
        self.live.size = self.live.size.max(position + bytes.len() as u64);
        self.last_write = (position, position + bytes.len() as u64);
    }
}

impl World {
    fn chance(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }

    fn lose_power(&mut self) {
        for number in 0..self.inodes.len() {
            for page in std::mem::take(&mut self.inodes[number].dirty) {
                self.lose_page(number, page);
            }
            if self.chance(2) == 0 {
                self.inodes[number].durable.size = self.inodes[number].live.size;
            }
            self.inodes[number].live = self.inodes[number].durable.clone();
        }
        let all: BTreeSet<String> = self.names.keys().chain(self.durable_names.keys()).cloned().collect();
        for name in all {
            if self.chance(2) == 0 {
                continue;
            }
            match self.names.get(&name) {
                Some(inode) => self.durable_names.insert(name, *inode),
                None => self.durable_names.remove(&name),
            };
        }
        self.names = self.durable_names.clone();
    }

    /// Decides what the disk holds of a page that was not flushed.
    fn lose_page(&mut self, number: usize, page: u64) {
        let (from, to) = self.inodes[number].last_write;
        let start = page * PAGE as u64;
        let in_last_write = from < start + PAGE as u64 && start < to;
        match self.chance(if in_last_write { 3 } else { 2 }) {
            0 => {}
            1 => self.inodes[number].keep(page),
            _ => {
                let live = self.inodes[number].live.pages.get(&page).cloned();
                let Some(live) = live else { return };
                for sector in (0..PAGE).step_by(SECTOR) {
                    if self.chance(2) == 0 {
                        let durable = self.inodes[number].durable.pages.entry(page);
                        durable.or_insert_with(|| Box::new([0; PAGE]))[sector..sector + SECTOR]
                            .copy_from_slice(&live[sector..sector + SECTOR]);
                    }
                }
            }
        }
    }

    fn free(&self) -> u64 {
        let taken: u64 = self.names.values().map(|inode| self.inodes[*inode].live.size).sum();
        self.space.saturating_sub(taken)
    }
}

impl Disk for Simulated {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        let (mut world, fault) = self.enter()?;
        outcome(fault)?;
        if world.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.inodes.push(Inode::default());
        let inode = world.inodes.len() - 1;
        world.names.insert(name.to_owned(), inode);
        Ok(Box::new(Opened { disk: self.clone(), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let (world, fault) = self.enter()?;
        outcome(fault)?;
        let inode = *world.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Opened { disk: self.clone(), inode }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (mut world, fault) = self.enter()?;
        outcome(fault)?;
        let inode = world.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        world.names.insert(to.to_owned(), inode);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (mut world, fault) = self.enter()?;
        outcome(fault)?;
        world.names.remove(name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let (world, fault) = self.enter()?;
        outcome(fault)?;
        Ok(world.names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let (mut world, fault) = self.enter()?;
        outcome(fault)?;
        world.durable_names = world.names.clone();
        Ok(())
    }

    fn free_space(&self) -> io::Result<u64> {
        let (world, fault) = self.enter()?;
        outcome(fault)?;
        Ok(world.free())
    }

    fn salt(&self) -> u64 {
        self.world.lock().chance(u64::MAX)
    }
}

struct Opened {
    disk: Simulated,
    inode: usize,
}

impl File for Opened {
    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        let (mut world, fault) = self.disk.enter()?;
        outcome(fault)?;
        let size = world.inodes[self.inode].live.size;
        if bytes > size && bytes - size > world.free() {
            return outcome(Some(Fault::NoSpace));
        }
        world.inodes[self.inode].live.size = size.max(bytes);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let (mut world, fault) = self.disk.enter()?;
        let done = match fault {
            None => bytes.len(),
            Some(_) => world.chance(bytes.len() as u64 + 1) as usize,
        };
        world.inodes[self.inode].write(&bytes[..done], position);
        outcome(fault)
    }

    fn sync_data(&self) -> io::Result<()> {
        let (mut world, fault) = self.disk.enter()?;
        if fault == Some(Fault::Crash) {
            return outcome(fault);
        }
        for page in std::mem::take(&mut world.inodes[self.inode].dirty) {
            if fault.is_none() || world.chance(2) == 0 {
                world.inodes[self.inode].keep(page);
            }
        }
        let inode = &mut world.inodes[self.inode];
        inode.durable.size = inode.live.size;
        outcome(fault)
    }

    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        let (world, fault) = self.disk.enter()?;
        outcome(fault)?;
        let content = &world.inodes[self.inode].live;
        let length = content.size.saturating_sub(position).min(into.len() as u64) as usize;
        let mut at = 0;
        while at < length {
            let (page, start) = ((position as usize + at) / PAGE, (position as usize + at) % PAGE);
            let part = (PAGE - start).min(length - at);
            match content.pages.get(&(page as u64)) {
                Some(bytes) => into[at..at + part].copy_from_slice(&bytes[start..start + part]),
                None => into[at..at + part].fill(0),
            }
            at += part;
        }
        Ok(length)
    }

    fn size(&self) -> io::Result<u64> {
        let (world, fault) = self.disk.enter()?;
        outcome(fault)?;
        Ok(world.inodes[self.inode].live.size)
    }
}
