//! Inflates a v1 body.

use super::Error;
use crate::encoding;
use std::borrow::Cow;

/// Compressions that `Content-Encoding` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `gzip`.
    Gzip,
    /// `deflate`: zlib when the first byte is 0x78, else raw.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

impl Encoding {
    /// The encoding of that name, in whatever case.
    pub fn named(name: &str) -> Option<Self> {
        let known = [Self::Gzip, Self::Deflate, Self::Brotli, Self::Zstd];
        known.into_iter().find(|encoding| name.eq_ignore_ascii_case(encoding.name()))
    }

    /// Its name in `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }
}

/// Undoes `encoding`; gives at most `budget` bytes.
///
/// Memory stays within the budget whatever the body promises.
///
/// # Errors
/// `empty_body`, `request_decoding_error`, or `payload_too_large` above the budget.
pub fn decode(body: &[u8], encoding: Option<Encoding>, budget: usize) -> Result<Cow<'_, [u8]>, Error> {
    if body.is_empty() {
        return Err(Error::EmptyBody);
    }
    let decoded = match encoding {
        None if body.len() > budget => {
            return Err(Error::PayloadTooLarge(format!("body over {budget} bytes")));
        }
        None => Cow::Borrowed(body),
        Some(encoding) => {
            let decoded = encoding::undo_named(encoding.name(), body, budget);
            Cow::Owned(decoded.expect("every encoding of this type has its decoder")?)
        }
    };
    if decoded.is_empty() { Err(Error::EmptyBody) } else { Ok(decoded) }
}
