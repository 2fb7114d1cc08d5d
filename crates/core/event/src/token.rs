//! Whether a string can be a project key at all.

use crate::{Rejection, limit};

/// Trims `raw` and gives it back when it can be a project key.
///
/// No prefix is required, since self-hosted projects choose their own keys; a personal key (`phx_`) is
/// refused because it is a secret that must not be used where everybody can read it.
///
/// # Errors
/// [`Rejection::InvalidToken`] with `empty`, `too_long`, `not_ascii`, `personal_api_key` or `null_byte`.
///
/// # Compat
/// PostHog `rust/capture/src/token.rs`.
pub fn validate(raw: &str) -> Result<&str, Rejection> {
    let token = raw.trim();
    let reason = if token.is_empty() {
        "empty"
    } else if token.len() > limit::TOKEN_BYTES {
        "too_long"
    } else if !token.is_ascii() {
        "not_ascii"
    } else if token.starts_with("phx_") {
        "personal_api_key"
    } else if token.contains('\0') {
        "null_byte"
    } else {
        return Ok(token);
    };
    Err(Rejection::InvalidToken(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_reason() {
        let long = "a".repeat(65);
        let full = "a".repeat(64);
        for (raw, expect) in [
            ("phc_x", Ok("phc_x")),
            (" T\n", Ok("T")),
            (full.as_str(), Ok(full.as_str())),
            ("", Err("empty")),
            (" \t", Err("empty")),
            (long.as_str(), Err("too_long")),
            ("🦀", Err("not_ascii")),
            ("phx_secret", Err("personal_api_key")),
            ("a\0b", Err("null_byte")),
        ] {
            assert_eq!(validate(raw), expect.map_err(Rejection::InvalidToken), "{raw:?}");
        }
    }
}
