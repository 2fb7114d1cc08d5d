//! Request signatures: an HMAC of the body as sent, keyed with a shared secret.
//!
//! # Compat
//! Hogflare's scheme: `X-POSTHOG-SIGNATURE: sha256=<hex>` and `X-HUB-SIGNATURE: sha1=<hex>` (each also accepts the
//! other algorithm by name, and a bare digest in its own). Hogflare leaves `/e` and `/flags` unsigned; here every
//! write route is checked. Upper-case hex is accepted too.

use event::Rejection;
use hmac::{Hmac, Mac};
use http::HeaderMap;
use sha1::Sha1;
use sha2::Sha256;

/// Checks a body against the signature headers. Any one valid header is enough.
pub fn verify(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> Result<(), Rejection> {
    let mut present = false;
    for (name, bare) in [("x-posthog-signature", "sha256"), ("x-hub-signature", "sha1")] {
        let Some(value) = headers.get(name).and_then(|v| v.to_str().ok()) else { continue };
        present = true;
        let (algorithm, digest) = value.trim().split_once('=').unwrap_or((bare, value.trim()));
        let Ok(digest) = hex::decode(digest) else { continue };
        let valid = match algorithm {
            "sha256" => matches::<Hmac<Sha256>>(secret, body, &digest),
            "sha1" => matches::<Hmac<Sha1>>(secret, body, &digest),
            _ => false,
        };
        if valid {
            return Ok(());
        }
    }
    Err(if present { Rejection::BadSignature } else { Rejection::NoSignature })
}

/// Compares in constant time.
fn matches<M: Mac + hmac::digest::KeyInit>(secret: &[u8], body: &[u8], digest: &[u8]) -> bool {
    <M as Mac>::new_from_slice(secret).is_ok_and(|mut mac| {
        mac.update(body);
        mac.verify_slice(digest).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"what do ya want for nothing?";
    // RFC 4231 test case 2 and RFC 2202 test case 2, key "Jefe".
    const SHA256: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const SHA1: &str = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";

    fn check(headers: &[(&'static str, String)]) -> Result<(), Rejection> {
        let headers = headers
            .iter()
            .map(|(k, v)| (http::HeaderName::from_static(k), v.parse().expect("header")))
            .collect();
        verify(b"Jefe", &headers, BODY)
    }

    #[test]
    fn known_answers_pass_in_every_spelling() {
        for (name, value) in [
            ("x-posthog-signature", format!("sha256={SHA256}")),
            ("x-posthog-signature", SHA256.to_owned()),
            ("x-posthog-signature", format!("sha256={}", SHA256.to_uppercase())),
            ("x-posthog-signature", format!("sha1={SHA1}")),
            ("x-hub-signature", format!("sha1={SHA1}")),
            ("x-hub-signature", SHA1.to_owned()),
            ("x-hub-signature", format!("sha256={SHA256}")),
        ] {
            assert_eq!(check(&[(name, value.clone())]), Ok(()), "{name}: {value}");
        }
    }

    #[test]
    fn missing_and_wrong_are_told_apart() {
        assert_eq!(check(&[]), Err(Rejection::NoSignature));
        for value in ["", "sha256=", "md5=00", "sha256=zz", &SHA256[2..], SHA1] {
            assert_eq!(
                check(&[("x-posthog-signature", value.to_owned())]),
                Err(Rejection::BadSignature),
                "{value}"
            );
        }
    }

    #[test]
    fn one_valid_header_is_enough() {
        let wrong = ("x-posthog-signature", "sha256=00".to_owned());
        assert_eq!(check(&[wrong, ("x-hub-signature", format!("sha1={SHA1}"))]), Ok(()));
    }
}
