//! Finding the ends of things in JSON text that is known to be right, eight bytes at a time.
//!
//! The door reads a handful of properties out of fifty; stepping over the others is most of that work, and
//! a reader that checks them again takes three times as long.

const QUOTE: u8 = b'"';
const BACKSLASH: u8 = b'\\';

/// Position of the quote that ends a string whose contents start at `at`; the length of the text when none does.
pub fn string_end(json: &[u8], mut at: usize) -> usize {
    loop {
        match special(json, at) {
            None => return json.len(),
            Some(found) if json[found] == QUOTE => return found,
            Some(found) => at = found + 2,
        }
    }
}

/// Position of the next quote or backslash.
pub(crate) fn special(json: &[u8], mut at: usize) -> Option<usize> {
    while let Some(word) = json.get(at..at + 8).and_then(|bytes| bytes.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let hits = zeros(word ^ spread(QUOTE)) | zeros(word ^ spread(BACKSLASH));
        if hits != 0 {
            return Some(at + (hits.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    let rest = json.get(at..)?;
    rest.iter().position(|byte| matches!(*byte, QUOTE | BACKSLASH)).map(|found| at + found)
}

/// Marks the bytes of a word that are zero; right for the lowest of them, which is all that is asked.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(spread(0x01)) & !word & spread(0x80)
}

const fn spread(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// Position behind the value that starts at `at`.
pub fn value_end(json: &[u8], at: usize) -> usize {
    match json.get(at) {
        Some(b'"') => (string_end(json, at + 1) + 1).min(json.len()),
        Some(b'{' | b'[') => container_end(json, at),
        _ => {
            let rest = json.get(at..).unwrap_or_default();
            let end = rest
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t'));
            at + end.unwrap_or(rest.len())
        }
    }
}

fn container_end(json: &[u8], mut at: usize) -> usize {
    let mut depth = 0usize;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = string_end(json, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    json.len()
}

/// Position of the first byte from `at` on that is not white space.
pub fn skip_space(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Whether brackets outside of strings nest deeper than `max`. The text need not be right.
pub fn is_deeper(json: &[u8], max: usize) -> bool {
    // `[` and `{` differ in one bit. Where there are few of them in all, nothing can be deep; counting them
    // is one pass that the compiler makes wide.
    let opening = json
        .chunks(255)
        .map(|chunk| usize::from(chunk.iter().fold(0u8, |sum, byte| sum + u8::from(byte | 0x20 == b'{'))));
    if opening.sum::<usize>() <= max {
        return false;
    }
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = string_end(json, at + 1),
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_found_behind_escapes_and_nesting() {
        for (json, end) in [
            (r#""a","#, 3),
            (r#""a\"b\\" ,"#, 8),
            (r#""longer than one word \" and more" "#, 34),
            (r#"{"a":["}",{"b":"]"}]} x"#, 21),
            ("12.5e3,", 6),
            ("null}", 4),
            ("true", 4),
            (r#""open"#, 5),
            (r#""open\"#, 6),
            ("[[", 2),
        ] {
            assert_eq!(value_end(json.as_bytes(), 0), end, "{json}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_deeper(nested(128).as_bytes(), 128));
        assert!(is_deeper(nested(129).as_bytes(), 128));
        let quoted = format!("[\"{}\\\"{}\"]", "[".repeat(500), "{".repeat(500));
        assert!(!is_deeper(quoted.as_bytes(), 128));
        assert!(!is_deeper(format!("[{}[]]", "[],".repeat(1_000)).as_bytes(), 128));
        assert!(!is_deeper("[\"".repeat(200).as_bytes(), 128));
        assert!(is_deeper("[\"".repeat(400).as_bytes(), 128));
        assert!(!is_deeper(format!("{}\"\\", "[]".repeat(200)).as_bytes(), 128));
    }
}
