//! How a body is kept in the log: as it came when it was gzip, else zstd when that pays.

use crate::error::{Error, Kind};
use std::borrow::Cow;
use std::cell::RefCell;
use zstd::zstd_safe::{self, DCtx};

/// Bodies shorter than this are left to the log, which compresses those of one write together: one by one they cost four
/// times as much and stay four times as large.
const COMPRESS_FROM: usize = 16 << 10;
/// zstd level 1: smaller and cheaper than level 3 on event bodies.
const LEVEL: i32 = 1;

/// How a body is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// JSON text.
    Plain,
    /// A gzip member, exactly as the client sent it.
    Gzip,
    /// A zstd frame made by [`pack`].
    Zstd,
}

impl Codec {
    /// The byte in a log record.
    pub fn byte(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Gzip => 1,
            Self::Zstd => 2,
        }
    }

    /// The codec of a byte, if known.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Plain),
            1 => Some(Self::Gzip),
            2 => Some(Self::Zstd),
            _ => None,
        }
    }
}

thread_local! {
    // A compressor holds about 1 MB of tables; one per thread is kept for reuse.
    static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    // Setting up a decoder costs more than unpacking one event with it.
    static DECODER: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Chooses how to keep `json` and returns the bytes to keep.
pub fn pack(json: &[u8]) -> (Codec, Cow<'_, [u8]>) {
    if json.len() < COMPRESS_FROM {
        return (Codec::Plain, Cow::Borrowed(json));
    }
    let packed = COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        slot.as_mut().and_then(|compressor| compressor.compress(json).ok())
    });
    match packed {
        Some(packed) if packed.len() < json.len() => (Codec::Zstd, Cow::Owned(packed)),
        _ => (Codec::Plain, Cow::Borrowed(json)),
    }
}

/// Undoes [`pack`] and the client's gzip, giving at most `budget` bytes.
///
/// # Errors
/// `Corrupt` when the bytes do not decompress: they did when they were accepted.
pub fn unpack(codec: Codec, body: &[u8], budget: usize) -> Result<Cow<'_, [u8]>, Error> {
    match codec {
        Codec::Plain => Ok(Cow::Borrowed(body)),
        Codec::Gzip => wire::encoding::decode_stored(wire::encoding::Codec::Gzip, body, budget)
            .map_err(|e| Error::because(Kind::Corrupt, "a gzip body in the log does not decompress", e)),
        Codec::Zstd => {
            let length = zstd_safe::get_frame_content_size(body).ok().flatten();
            let length = length.and_then(|length| usize::try_from(length).ok()).ok_or_else(|| {
                Error::new(Kind::Corrupt, "a zstd body in the log does not say how long it is")
            })?;
            if length > budget {
                return Err(Error::new(Kind::Corrupt, "a body in the log is larger than its limit"));
            }
            let mut out = Vec::with_capacity(length);
            let unpacked = DECODER.with_borrow_mut(|decoder| decoder.decompress(&mut out, body));
            unpacked.map_err(|code| {
                let reason = zstd_safe::get_error_name(code);
                Error::new(Kind::Corrupt, format!("a zstd body in the log does not decompress: {reason}"))
            })?;
            Ok(Cow::Owned(out))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_bodies_stay_plain_and_large_ones_shrink() {
        assert_eq!(pack(b"{}").0, Codec::Plain);
        let large = br#"{"event":"a","distinct_id":"b"}"#.repeat(1_000);
        let (codec, packed) = pack(&large);
        assert_eq!(codec, Codec::Zstd);
        assert!(packed.len() < large.len() / 4);
        assert_eq!(unpack(codec, &packed, large.len()).expect("unpack"), large.as_slice());
    }

    #[test]
    fn a_body_above_its_budget_is_refused() {
        let large = vec![b'a'; 20_000];
        let (codec, packed) = pack(&large);
        assert!(unpack(codec, &packed, 19_999).is_err());
    }

    #[test]
    fn noise_that_does_not_shrink_stays_plain() {
        let mut seed = 1_u64;
        let noise: Vec<u8> = (0..32_768)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            })
            .collect();
        assert_eq!(pack(&noise).0, Codec::Plain);
    }
}
