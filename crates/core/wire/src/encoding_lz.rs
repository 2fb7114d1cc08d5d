//! lz-string's base64 form, which very old browser SDKs send. Bounded, unlike the usual implementations.
//!
//! Every dictionary entry is a run of the output written so far, so entries are kept as (start, length) and
//! the dictionary never grows faster than the input.

use crate::encoding_inflate::Fault;

/// UTF-16 units the output may have, whatever the budget: such SDKs send a few kilobytes.
const MAX_UNITS: usize = 16 * 1024 * 1024;
const LITERAL_8: u32 = 0;
const LITERAL_16: u32 = 1;
const END: u32 = 2;

/// Undoes `LZString.compressToBase64`; gives UTF-8, lone surrogates replaced.
pub(crate) fn decode(input: &[u8], budget: usize) -> Result<Vec<u8>, Fault> {
    let units = units(input.trim_ascii(), budget.min(MAX_UNITS))?;
    let text = String::from_utf16_lossy(&units);
    if text.len() > budget {
        return Err(Fault::TooLarge);
    }
    Ok(text.into_bytes())
}

fn units(input: &[u8], limit: usize) -> Result<Vec<u16>, Fault> {
    let mut bits = Bits { input, at: 0, mask: 32 };
    let mut output = Output { units: Vec::new(), limit };
    let first = match bits.read(2)? {
        END => return Ok(output.units),
        code => bits.literal(code)?,
    };
    output.push(first)?;
    let mut entries: Vec<(u32, u32)> = vec![(0, 0), (0, 0), (0, 0), (0, 1)];
    let mut last = (0, 1);
    let mut width = Width { bits: 3, left: 4 };
    loop {
        let code = bits.read(width.bits)?;
        let start = position(output.units.len())?;
        let entry = match code {
            END => return Ok(output.units),
            LITERAL_8 | LITERAL_16 => {
                output.push(bits.literal(code)?)?;
                entries.push((start, 1));
                width.take_one();
                (start, 1)
            }
            code => {
                let (from, length) = match entries.get(code as usize) {
                    Some(entry) => *entry,
                    None if code as usize == entries.len() => (last.0, last.1 + 1),
                    None => return Err(Fault::Broken),
                };
                output.repeat(from, length)?;
                (start, length)
            }
        };
        entries.push((last.0, last.1 + 1));
        width.take_one();
        last = entry;
    }
}

fn position(length: usize) -> Result<u32, Fault> {
    u32::try_from(length).map_err(|_| Fault::TooLarge)
}

/// How many bits a code has: one more each time the codes of a width are used up.
struct Width {
    bits: u32,
    left: u64,
}

impl Width {
    fn take_one(&mut self) {
        self.left -= 1;
        if self.left == 0 {
            self.left = 1 << self.bits;
            self.bits += 1;
        }
    }
}

struct Output {
    units: Vec<u16>,
    limit: usize,
}

impl Output {
    fn push(&mut self, unit: u16) -> Result<(), Fault> {
        if self.units.len() >= self.limit {
            return Err(Fault::TooLarge);
        }
        self.units.push(unit);
        Ok(())
    }

    /// Copies a run to the end; the run may reach into its own copy by one.
    fn repeat(&mut self, from: u32, length: u32) -> Result<(), Fault> {
        if self.units.len() + length as usize > self.limit {
            return Err(Fault::TooLarge);
        }
        for at in from..from + length {
            let unit = *self.units.get(at as usize).ok_or(Fault::Broken)?;
            self.units.push(unit);
        }
        Ok(())
    }
}

/// Six bits a character, highest first.
struct Bits<'a> {
    input: &'a [u8],
    at: usize,
    mask: u8,
}

impl Bits<'_> {
    /// Reads `count` bits, lowest first.
    fn read(&mut self, count: u32) -> Result<u32, Fault> {
        if count > 31 {
            return Err(Fault::Broken);
        }
        let mut value = 0;
        for place in 0..count {
            let six = sextet(*self.input.get(self.at).ok_or(Fault::Broken)?).ok_or(Fault::Broken)?;
            if six & self.mask != 0 {
                value |= 1 << place;
            }
            self.mask >>= 1;
            if self.mask == 0 {
                self.mask = 32;
                self.at += 1;
            }
        }
        Ok(value)
    }

    fn literal(&mut self, code: u32) -> Result<u16, Fault> {
        let unit = match code {
            LITERAL_8 => self.read(8)?,
            LITERAL_16 => self.read(16)?,
            _ => return Err(Fault::Broken),
        };
        u16::try_from(unit).map_err(|_| Fault::Broken)
    }
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        b'=' => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(text: &str) -> String {
        lz_str::compress_to_base64(text)
    }

    #[test]
    fn undoes_what_lz_string_makes() {
        let long = "{\"event\":\"a\",\"n\":12345}".repeat(500);
        for text in ["{}", "aaaaaaaaaaaaaaaaaaaa", "é🦀ü漢字", long.as_str()] {
            let packed = pack(text);
            assert_eq!(decode(packed.as_bytes(), 1 << 20), Ok(text.as_bytes().to_vec()), "{packed}");
        }
    }

    #[test]
    fn stops_at_the_budget() {
        let packed = pack(&"a".repeat(200_000));
        assert!(packed.len() < 2_000);
        assert_eq!(decode(packed.as_bytes(), 1_000), Err(Fault::TooLarge));
        assert_eq!(decode(b"!!!!", 1_000), Err(Fault::Broken));
        assert_eq!(decode(&packed.as_bytes()[..20], 1_000_000), Err(Fault::Broken));
    }
}
