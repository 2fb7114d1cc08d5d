//! Where a subject falls between 0 and 1: the hash that every PostHog SDK computes, to the last bit.

use sha1::{Digest, Sha1};

/// 2^60 as a number: the largest 60-bit integer rounds to it.
const SCALE: f64 = 0x0FFF_FFFF_FFFF_FFFF_u64 as f64;

/// The first 60 bits of the SHA-1 of the parts in a row, as a share of 2^60.
///
/// Both sides become numbers first and are divided once, as PostHog does: an exact division differs in the last bit.
pub fn share(parts: [&str; 3]) -> f64 {
    bits(parts) as f64 / SCALE
}

/// The integer that [`share`] divides.
pub fn bits(parts: [&str; 3]) -> u64 {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut head = [0; 8];
    head.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(head) >> 4
}

/// Whether a subject is in the first `percentage` of a flag. Nobody without a name is hashed: as PostHog, they are at 0.
pub(crate) fn is_within(prefix: &str, id: &str, percentage: f64) -> bool {
    percentage == 100.0 || place(prefix, id, "") <= percentage / 100.0
}

/// Where a subject of a flag is, 0 when it has no name.
pub(crate) fn place(prefix: &str, id: &str, salt: &str) -> f64 {
    if id.is_empty() { 0.0 } else { share([prefix, id, salt]) }
}

/// Whether a subject is held out of the experiments of a project.
pub(crate) fn is_held_out(id: &str, percentage: f64) -> bool {
    percentage >= 100.0 || share(["holdout-", id, ""]) <= percentage.clamp(0.0, 100.0) / 100.0
}
