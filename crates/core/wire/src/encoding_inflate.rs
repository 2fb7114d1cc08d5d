//! Decompression with a byte budget: nothing grows past it, whatever the input claims.

use crate::encoding::broken;
use event::Rejection;
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::cell::Cell;
use std::io::Read;

/// The largest zstd window that is set aside before a byte is produced (the size RFC 8878 asks every decoder for).
const ZSTD_WINDOW: u64 = 8 * 1024 * 1024;
/// Members of a gzip file, or frames of a zstd one, that are joined. Each costs its decoder a fresh start, so a
/// body of nothing but empty ones would be all work and no bytes.
const MAX_PIECES: usize = 1024;
/// Deflate cannot shrink data more than this, so a claimed size beyond it is a lie.
const DEFLATE_RATIO: usize = 1032;

/// Why a layer could not be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not what it was said to be, or cut short.
    Broken,
    /// Grew past the budget.
    TooLarge,
}

impl Fault {
    pub(crate) fn named(self, what: &str, budget: usize) -> Rejection {
        match self {
            Self::Broken => broken(what),
            Self::TooLarge => Rejection::TooLarge(format!("decompressed body over {budget} bytes")),
        }
    }
}

/// The contents of a gzip file.
pub(crate) struct Inflated {
    pub bytes: Vec<u8>,
    /// It was one member with nothing behind it.
    pub whole: bool,
}

/// Undoes gzip. Further members are joined, as RFC 1952 says; other bytes behind the last are ignored.
pub(crate) fn gunzip(input: &[u8], budget: usize) -> Result<Inflated, Fault> {
    let mut bytes = Vec::new();
    let mut rest = member(input, &mut bytes, budget)?;
    let whole = rest.is_empty();
    let mut members = 1;
    while rest.starts_with(&[0x1f, 0x8b, 8]) {
        members += 1;
        if members > MAX_PIECES {
            return Err(Fault::TooLarge);
        }
        rest = member(rest, &mut bytes, budget)?;
    }
    Ok(Inflated { bytes, whole })
}

pub(crate) fn trailer(input: &[u8]) -> Option<(u32, u32)> {
    let (_, tail) = input.split_last_chunk::<8>()?;
    let [a, b, c, d, e, f, g, h] = *tail;
    Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])))
}

/// Undoes one gzip member onto `out`; gives what lies behind it.
fn member<'a>(input: &'a [u8], out: &mut Vec<u8>, budget: usize) -> Result<&'a [u8], Fault> {
    let body = skip_header(input).ok_or(Fault::Broken)?;
    let start = out.len();
    let claimed = trailer(input).map_or(0, |(_, size)| size as usize);
    let used = pooled(false, |state| inflate(state, body, out, Room { budget, claimed }))?;
    let (tail, rest) = body[used..].split_first_chunk::<8>().ok_or(Fault::Broken)?;
    let (crc, size) = trailer(tail).ok_or(Fault::Broken)?;
    let mut sum = Crc::new();
    sum.update(&out[start..]);
    if sum.sum() != crc || size != (out.len() - start) as u32 {
        return Err(Fault::Broken);
    }
    Ok(rest)
}

/// RFC 1952, 2.3: ten fixed bytes, then the optional parts that the flags name.
fn skip_header(input: &[u8]) -> Option<&[u8]> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    let (head, mut rest) = input.split_first_chunk::<10>()?;
    if head[..3] != [0x1f, 0x8b, 8] {
        return None;
    }
    let flags = head[3];
    if flags & EXTRA != 0 {
        let (size, after) = rest.split_first_chunk::<2>()?;
        rest = after.get(usize::from(u16::from_le_bytes(*size))..)?;
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            rest = &rest[memchr::memchr(0, rest)? + 1..];
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

/// Undoes an HTTP `deflate` body: zlib when the first byte says so, else the raw stream.
pub(crate) fn deflate(input: &[u8], budget: usize) -> Result<Vec<u8>, Fault> {
    let zlib = input.first() == Some(&0x78);
    let mut out = Vec::new();
    pooled(zlib, |state| inflate(state, input, &mut out, Room { budget, claimed: 0 }))?;
    Ok(out)
}

#[derive(Clone, Copy)]
struct Room {
    /// Bytes that `out` may hold in the end.
    budget: usize,
    /// Bytes the input says it will give; believed only where deflate can reach them.
    claimed: usize,
}

thread_local! {
    /// The last decoder of this thread: making one costs more than inflating a single event.
    static SPARE: Cell<Option<Decompress>> = const { Cell::new(None) };
}

/// Runs `work` with a decoder that is as good as new.
fn pooled<T>(zlib: bool, work: impl FnOnce(&mut Decompress) -> T) -> T {
    let mut state = match SPARE.take() {
        Some(mut state) => {
            state.reset(zlib);
            state
        }
        None => Decompress::new(zlib),
    };
    let done = work(&mut state);
    SPARE.set(Some(state));
    done
}

/// Inflates one stream onto `out`; gives the number of input bytes used.
fn inflate(state: &mut Decompress, input: &[u8], out: &mut Vec<u8>, room: Room) -> Result<usize, Fault> {
    let limit = room.budget.saturating_add(1);
    let reachable = input.len().saturating_mul(DEFLATE_RATIO);
    let first = if room.claimed == 0 { input.len().saturating_mul(4) } else { room.claimed };
    // One byte more than claimed lets the decoder see the end of the stream without another turn.
    let mut want = first.min(reachable).saturating_add(1).max(64);
    loop {
        let free = limit.saturating_sub(out.len());
        // Growing by less than the half would copy the output again and again.
        let grow = if out.capacity() - out.len() >= want { 0 } else { want.max(out.len()) };
        out.reserve_exact(grow.min(free));
        let used = usize::try_from(state.total_in()).map_err(|_| Fault::TooLarge)?;
        let before = out.len();
        let status =
            state.decompress_vec(&input[used..], out, FlushDecompress::None).map_err(|_| Fault::Broken)?;
        if out.len() > room.budget {
            return Err(Fault::TooLarge);
        }
        let now_used = usize::try_from(state.total_in()).map_err(|_| Fault::TooLarge)?;
        match status {
            Status::StreamEnd => return Ok(now_used),
            Status::Ok | Status::BufError => {
                let stuck = now_used == used && out.len() == before;
                if stuck && out.len() < out.capacity() {
                    return Err(Fault::Broken);
                }
                want = out.len().max(64);
            }
        }
    }
}

/// Undoes zstd, frame after frame.
pub(crate) fn zstd(input: &[u8], budget: usize) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    let mut rest = input;
    for frame in 0.. {
        if rest.is_empty() {
            break;
        }
        if frame == MAX_PIECES {
            return Err(Fault::TooLarge);
        }
        if zstd_window(rest).ok_or(Fault::Broken)? > ZSTD_WINDOW.max(budget as u64) {
            return Err(Fault::TooLarge);
        }
        let mut frame = ruzstd::decoding::StreamingDecoder::new(&mut rest).map_err(|_| Fault::Broken)?;
        read_capped(&mut frame, &mut out, budget)?;
    }
    Ok(out)
}

/// What a frame makes its decoder set aside (RFC 8878, 3.1.1.1): its window, or all of it.
fn zstd_window(frame: &[u8]) -> Option<u64> {
    let head = frame.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?;
    let descriptor = *head.first()?;
    if descriptor & 0x20 == 0 {
        let window = *head.get(1)?;
        let base = 1u64 << (10 + u32::from(window >> 3));
        let size = base + base / 8 * u64::from(window & 7);
        // Beyond the asked-for minimum nothing is set aside on trust.
        return Some(if size > ZSTD_WINDOW { u64::MAX } else { size });
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let at = 1 + dictionary;
    let field = |bytes: usize| head.get(at..at + bytes);
    let little = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    match descriptor >> 6 {
        0 => field(1).map(little),
        1 => field(2).map(|bytes| little(bytes) + 256),
        2 => field(4).map(little),
        _ => field(8).map(little),
    }
}

/// Undoes brotli (RFC 7932, whose window is at most 16 MiB; the large-window variant is refused).
pub(crate) fn brotli(input: &[u8], budget: usize) -> Result<Vec<u8>, Fault> {
    const LARGE_WINDOW: u8 = 0x11;
    if input.first().is_none_or(|byte| byte & 0x7f == LARGE_WINDOW) {
        return Err(Fault::Broken);
    }
    let mut out = Vec::new();
    read_capped(&mut brotli_decompressor::Decompressor::new(input, 4096), &mut out, budget)?;
    Ok(out)
}

fn read_capped(reader: &mut impl Read, out: &mut Vec<u8>, budget: usize) -> Result<(), Fault> {
    let left = budget.saturating_sub(out.len()) as u64;
    reader.take(left + 1).read_to_end(out).map_err(|_| Fault::Broken)?;
    if out.len() > budget { Err(Fault::TooLarge) } else { Ok(()) }
}
