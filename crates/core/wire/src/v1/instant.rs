//! RFC 3339, to the letter.

use jiff::Timestamp;

/// Reads a time of RFC 3339 and of no other form.
///
/// v0 forgives much; v1 clients are new and are told about a wrong clock format, event by event.
pub fn rfc3339(text: &str) -> Option<Timestamp> {
    const SHAPE: &[u8; 19] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let (civil, rest) = bytes.split_at_checked(SHAPE.len())?;
    let fits = civil.iter().zip(SHAPE).all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        b'T' => matches!(byte, b'T' | b't'),
        exact => byte == exact,
    });
    if !fits {
        return None;
    }
    let (fraction, zone) = rest.split_at(fraction_length(rest)?);
    let zone_fits = match zone {
        b"Z" | b"z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()),
        _ => false,
    };
    if !zone_fits {
        return None;
    }
    // Nothing finer than a nanosecond can be kept; "-00:00" means UTC here.
    let kept = &fraction[..fraction.len().min(10)];
    let zone = if zone == b"-00:00" { b"Z".as_slice() } else { zone };
    let parts = [civil, kept, zone].concat();
    let text = std::str::from_utf8(&parts).ok()?;
    text.parse().ok().or_else(|| last_days(text))
}

/// The last two days of the year 9999, which some programs write for "never ends", are right and past what a
/// [`Timestamp`] holds: they count as its last moment.
fn last_days(text: &str) -> Option<Timestamp> {
    let rest = text.strip_prefix("9999")?;
    let is_right = rest.starts_with("-12-3") && format!("2000{rest}").parse::<Timestamp>().is_ok();
    is_right.then_some(Timestamp::MAX)
}

/// Bytes of the fraction at the start of `rest`, 0 without one; `None` for a dot without digits.
fn fraction_length(rest: &[u8]) -> Option<usize> {
    if rest.first() != Some(&b'.') {
        return Some(0);
    }
    match rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => None,
        digits => Some(1 + digits),
    }
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn only_rfc_3339() {
        let good = [
            ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"),
            ("2026-11-20t12:00:00z", "2026-11-20T12:00:00Z"),
            ("2026-11-20T12:00:00.5Z", "2026-11-20T12:00:00.5Z"),
            ("2026-11-20T12:00:00.123456+00:00", "2026-11-20T12:00:00.123456Z"),
            ("2026-11-20T12:00:00.123456789123Z", "2026-11-20T12:00:00.123456789Z"),
            ("2026-11-20T12:00:00+03:30", "2026-11-20T08:30:00Z"),
            ("2026-11-20T12:00:00-00:00", "2026-11-20T12:00:00Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999Z", "9999-12-30T22:00:00.999999999Z"),
            ("9999-12-31T23:59:59-05:00", "9999-12-30T22:00:00.999999999Z"),
        ];
        for (text, expected) in good {
            assert_eq!(rfc3339(text).unwrap().to_string(), expected, "{text}");
        }
        let bad = [
            "",
            "now",
            "2026-11-20",
            "2026-11-20 12:00:00Z",
            "2026-11-20T12:00:00",
            "2026-11-20T12:00Z",
            "2026-11-20T12:00:00+03",
            "2026-11-20T12:00:00+0300",
            "2026-11-20T12:00:00.Z",
            "1700000000000",
            "2026-13-20T12:00:00Z",
            "2026-11-31T12:00:00Z",
            "2026-11-20T25:00:00Z",
            "2026-11-20T12:00:00Z ",
            "2026-11-20T12:00:00Z[UTC]",
            "2026-11-20T12:00:00+25:99é",
            "２０２６-11-20T12:00:00Z",
            "+002026-11-20T12:00:00Z",
            "2026-11-20T12:00:00,5Z",
            "9999-12-32T00:00:00Z",
            "9999-12-31T23:59:59+99:00",
        ];
        for text in bad {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
