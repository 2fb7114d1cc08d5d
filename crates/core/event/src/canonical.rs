//! Whether JSON text is already what our own writer would write, so that it can be stored by copying it.
//!
//! Canonical text has no white space outside of strings, no escape that has a shorter form, no name twice in one
//! object, and numbers as they are written after being read. Saying no to text that is canonical costs time only;
//! the other way round a stored value would look different from one that was read and written.

use crate::scan;

/// Names of one object that are compared with each other; an object with more is read and written instead.
const NAMES: usize = 32;
/// Levels looked at; a value that nests deeper is read and written instead.
const DEPTH: usize = 100;
/// Digits of a number that surely survive being read as a float.
const FLOAT_DIGITS: usize = 15;
/// Digits of a number that surely fit a 64-bit integer.
const INTEGER_DIGITS: usize = 18;

/// Position behind the value that starts at `at`, if the value is canonical. The text is known to be right JSON.
pub(crate) fn end(json: &[u8], at: usize) -> Option<usize> {
    value(json, at, DEPTH)
}

fn value(json: &[u8], at: usize, depth: usize) -> Option<usize> {
    match json.get(at)? {
        b'"' => string(json, at),
        b'{' => object(json, at, depth.checked_sub(1)?),
        b'[' => array(json, at, depth.checked_sub(1)?),
        b't' | b'n' => Some(at + 4),
        b'f' => Some(at + 5),
        _ => {
            let end = scan::value_end(json, at);
            is_number(json.get(at..end)?).then_some(end)
        }
    }
}

/// Position behind the string whose opening quote is at `at`, if none of its escapes has a shorter form.
pub(crate) fn string(json: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        let found = scan::special(json, at)?;
        if json[found] == b'"' {
            return Some(found + 1);
        }
        if !matches!(json.get(found + 1)?, b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') {
            return None;
        }
        at = found + 2;
    }
}

fn array(json: &[u8], at: usize, depth: usize) -> Option<usize> {
    let mut at = at + 1;
    if json.get(at) == Some(&b']') {
        return Some(at + 1);
    }
    loop {
        at = value(json, at, depth)?;
        match json.get(at)? {
            b',' => at += 1,
            b']' => return Some(at + 1),
            _ => return None,
        }
    }
}

fn object(json: &[u8], at: usize, depth: usize) -> Option<usize> {
    let mut names: [&[u8]; NAMES] = [b""; NAMES];
    let mut at = at + 1;
    if json.get(at) == Some(&b'}') {
        return Some(at + 1);
    }
    for count in 0..NAMES {
        let end = (json.get(at) == Some(&b'"')).then(|| string(json, at))??;
        let name = json.get(at..end)?;
        if names[..count].contains(&name) || json.get(end) != Some(&b':') {
            return None;
        }
        names[count] = name;
        at = value(json, end + 1, depth)?;
        match json.get(at)? {
            b',' => at += 1,
            b'}' => return Some(at + 1),
            _ => return None,
        }
    }
    None
}

/// Whether a number is written as it would be after being read.
fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let Some(point) = digits.iter().position(|byte| !byte.is_ascii_digit()) else {
        return digits.len() <= INTEGER_DIGITS && text != b"-0";
    };
    let (whole, fraction) = (&digits[..point], &digits[point + 1..]);
    // Small fractions and whole numbers of many digits are written with an exponent.
    digits[point] == b'.'
        && digits.len() <= FLOAT_DIGITS
        && fraction.iter().all(u8::is_ascii_digit)
        && (fraction == b"0" || !fraction.ends_with(b"0"))
        && (whole != b"0" || fraction == b"0" || !fraction.starts_with(b"000"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn rewritten(text: &str) -> String {
        serde_json::from_str::<Value>(text).unwrap().to_string()
    }

    #[test]
    fn what_is_canonical_is_written_as_it_was_read() {
        let numbers =
            ["0", "-1", "1.5", "0.0", "-0.0", "0.001", "123456.75", "999999999999999999", "1.0", "-7.25"];
        let others = [
            "null",
            "true",
            "false",
            "\"\"",
            r#""a\n\"\\\t\b\f\r é €""#,
            "[]",
            "{}",
            r#"[1,"a",[null],{}]"#,
            r#"{"a":{"b":[1,2.5]},"c":"d"}"#,
        ];
        for text in numbers.into_iter().chain(others) {
            assert_eq!(end(text.as_bytes(), 0), Some(text.len()), "{text}");
            assert_eq!(rewritten(text), text);
        }
    }

    #[test]
    fn what_would_be_written_otherwise_is_not_canonical() {
        let numbers =
            ["-0", "1e5", "1.50", "1.0e5", "0.0000001", "1E3", "18446744073709551616", "1e999", "12.00"];
        let others = [
            r#""\/""#,
            r#""\u0041""#,
            "[1, 2]",
            "[ ]",
            r#"{"a": 1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":1 }"#,
            r#"[{"b":"\u00e9"}]"#,
        ];
        for text in numbers.into_iter().chain(others) {
            assert_eq!(end(text.as_bytes(), 0), None, "{text}");
        }
        let wide: Vec<String> = (0..40).map(|n| format!("\"{n}\":0")).collect();
        assert_eq!(end(format!("{{{}}}", wide.join(",")).as_bytes(), 0), None);
        assert_eq!(end(format!("{}{}", "[".repeat(120), "]".repeat(120)).as_bytes(), 0), None);
    }

    #[test]
    fn every_short_number_is_judged_rightly() {
        // Every text of up to five of these characters that is a number.
        let alphabet = ["0", "1", "5", "9", ".", "-", "e"];
        let mut texts = vec![String::new()];
        for _ in 0..5 {
            texts = texts.iter().flat_map(|text| alphabet.map(|c| format!("{text}{c}"))).collect();
            for text in texts.iter().filter(|text| serde_json::from_str::<Value>(text).is_ok()) {
                assert!(!is_number(text.as_bytes()) || rewritten(text) == *text, "{text}");
            }
        }
        // And decimals of every length and magnitude that is taken.
        let mut seed = 1_u64;
        for _ in 0..200_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let digits = format!("{:020}", seed >> 3);
            let (whole, fraction) = (1 + (seed >> 60) as usize, 1 + (seed >> 56 & 15) as usize);
            let text = format!("{}.{}", &digits[..whole], &digits[whole..(whole + fraction).min(20)]);
            let text = text.trim_start_matches('0');
            let text = if text.starts_with('.') { format!("0{text}") } else { text.to_owned() };
            assert!(!is_number(text.as_bytes()) || rewritten(&text) == text, "{text}");
        }
    }
}
