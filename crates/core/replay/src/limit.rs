//! Every bound of a block, with its unit.

/// How far from the moment of arrival an item's own clock may lie, in milliseconds (7 days).
pub const CLOCK_MS: f64 = 7.0 * 24.0 * 60.0 * 60.0 * 1000.0;
/// Distinct addresses kept per block.
pub const URLS: usize = 25;
/// Characters kept of one address.
pub const URL_CHARS: usize = 4096;
/// Characters kept of `snapshot_source` and `snapshot_library`.
pub const ORIGIN_CHARS: usize = 1000;
/// Characters kept of each argument of a console call.
pub const LOG_ARGUMENT_CHARS: usize = 2999;
/// Silence after which activity counts as over, in milliseconds.
pub const IDLE_MS: f64 = 5000.0;
/// Longest inflated block [`crate::block::decode`] should be asked for, in bytes.
pub const BLOCK_BYTES: usize = 256 * 1024 * 1024;

/// The first `chars` characters of `text`.
pub(crate) fn cut(text: &str, chars: usize) -> &str {
    match text.char_indices().nth(chars) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}
