//! A strict reader of multipart forms that lie in memory.
//!
//! Written here because the kept crates for this (`multer` and what builds on it) are asynchronous readers of
//! body streams, which core code must not contain; a form of two parts in one buffer needs none of that.
//! Nothing is copied, and work and memory are bounded by the body and by [`FIELDS`] and [`HEADER_BYTES`].

use memchr::memmem;
use std::borrow::Cow;
use std::fmt;

/// Parts read at most.
pub const FIELDS: usize = 64;
/// Bytes of one part's headers.
pub const HEADER_BYTES: usize = 8 * 1024;
/// Characters of a boundary (RFC 2046).
const BOUNDARY_CHARS: usize = 70;

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// `name` of its `Content-Disposition`.
    pub name: Option<Cow<'a, str>>,
    /// Its `Content-Type`.
    pub content_type: Option<&'a str>,
    /// Its `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
    /// Its bytes.
    pub data: &'a [u8],
}

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `Content-Type` names no boundary.
    NoBoundary,
    /// The boundary is empty, too long or has characters that none may have.
    BadBoundary,
    /// The body has no line with the boundary.
    NoParts,
    /// Something else than a line end follows a boundary.
    BadDelimiter,
    /// A part's headers are not text lines of `name: value`, do not end, or are too long.
    BadHeaders,
    /// The body ends inside a part.
    Truncated,
    /// More than [`FIELDS`] parts.
    TooManyFields,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBoundary => "no boundary parameter",
            Self::BadBoundary => "the boundary is not valid",
            Self::NoParts => "the body does not begin with the boundary",
            Self::BadDelimiter => "a boundary is not followed by a line end",
            Self::BadHeaders => "the headers of a part are not valid",
            Self::Truncated => "the body ends inside a part",
            Self::TooManyFields => "too many parts",
        })
    }
}

/// Finds the boundary among the parameters of a `Content-Type`.
///
/// # Errors
/// There is none, or none that may be used.
pub fn boundary(parameters: &str) -> Result<String, Fault> {
    let value = parameter(parameters, "boundary").ok_or(Fault::NoBoundary)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "'()+_,-./:=? ".contains(c);
    let fits =
        (1..=BOUNDARY_CHARS).contains(&value.len()) && value.chars().all(allowed) && !value.ends_with(' ');
    if fits { Ok(value.into_owned()) } else { Err(Fault::BadBoundary) }
}

/// The parts of `body`, in order. After a fault nothing follows.
pub fn fields<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = Result<Field<'a>, Fault>> {
    let mut reader = Reader { rest: None, delimiter: format!("\r\n--{boundary}").into_bytes(), read: 0 };
    reader.rest = reader.open(body);
    let mut missing = reader.rest.is_none();
    std::iter::from_fn(move || {
        if std::mem::take(&mut missing) {
            return Some(Err(Fault::NoParts));
        }
        let field = reader.next()?;
        if field.is_err() {
            reader.rest = None;
        }
        Some(field)
    })
}

struct Reader<'a> {
    /// What follows the last boundary; `None` at the end.
    rest: Option<&'a [u8]>,
    /// Line end, two dashes, boundary.
    delimiter: Vec<u8>,
    read: usize,
}

impl<'a> Reader<'a> {
    /// Skips the first boundary and what may precede it.
    fn open(&self, body: &'a [u8]) -> Option<&'a [u8]> {
        let first = &self.delimiter[2..];
        if let Some(rest) = body.strip_prefix(first) {
            return Some(rest);
        }
        let at = memmem::find(body, &self.delimiter)?;
        Some(&body[at + self.delimiter.len()..])
    }

    fn next(&mut self) -> Option<Result<Field<'a>, Fault>> {
        let rest = self.rest?;
        if rest.starts_with(b"--") {
            return None;
        }
        Some(self.field(rest))
    }

    fn field(&mut self, rest: &'a [u8]) -> Result<Field<'a>, Fault> {
        self.read += 1;
        if self.read > FIELDS {
            return Err(Fault::TooManyFields);
        }
        // A boundary may be followed by blanks before its line end.
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let rest = rest[blanks..].strip_prefix(b"\r\n").ok_or(Fault::BadDelimiter)?;
        let (headers, rest) = split_headers(rest)?;
        let end = memmem::find(rest, &self.delimiter).ok_or(Fault::Truncated)?;
        self.rest = Some(&rest[end + self.delimiter.len()..]);
        describe(headers, &rest[..end])
    }
}

/// Header lines and what follows the empty line after them.
fn split_headers(rest: &[u8]) -> Result<(&str, &[u8]), Fault> {
    let (headers, data) = if let Some(data) = rest.strip_prefix(b"\r\n") {
        (&rest[..0], data)
    } else {
        let window = &rest[..rest.len().min(HEADER_BYTES)];
        let end = memmem::find(window, b"\r\n\r\n").ok_or(Fault::BadHeaders)?;
        (&rest[..end], &rest[end + 4..])
    };
    std::str::from_utf8(headers).map(|headers| (headers, data)).map_err(|_| Fault::BadHeaders)
}

fn describe<'a>(headers: &'a str, data: &'a [u8]) -> Result<Field<'a>, Fault> {
    let mut field = Field { name: None, content_type: None, content_encoding: None, data };
    for line in headers.split("\r\n").filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(Fault::BadHeaders)?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                let parameters = value.split_once(';').map_or("", |(_, parameters)| parameters);
                field.name = parameter(parameters, "name");
            }
            "content-type" => field.content_type = Some(value),
            "content-encoding" => field.content_encoding = Some(value),
            _ => {}
        }
    }
    Ok(field)
}

/// The value of parameter `wanted` in `a=b; c="d"`.
fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<Cow<'a, str>> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// A token or quoted text, and what follows it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((Cow::Borrowed(text[..end].trim()), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Cow::Owned(value), &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn boundaries() {
        for (parameters, expected) in [
            ("boundary=abc", Ok("abc")),
            (" charset=utf-8; boundary=\"a b'c\"", Ok("a b'c")),
            ("BOUNDARY = x ;y=z", Ok("x")),
            ("", Err(Fault::NoBoundary)),
            ("charset=utf-8", Err(Fault::NoBoundary)),
            ("boundary=", Err(Fault::BadBoundary)),
            ("boundary=\"a", Err(Fault::NoBoundary)),
            ("boundary=a\u{e9}", Err(Fault::BadBoundary)),
        ] {
            assert_eq!(boundary(parameters), expected.map(str::to_owned), "{parameters}");
        }
        assert_eq!(boundary(&format!("boundary={}", "x".repeat(71))), Err(Fault::BadBoundary));
    }

    fn read(body: &str) -> Result<Vec<(String, String)>, Fault> {
        fields(body.as_bytes(), "B")
            .map(|field| {
                let field = field?;
                let data = String::from_utf8(field.data.to_vec()).unwrap();
                Ok((field.name.unwrap_or_default().into_owned(), data))
            })
            .collect()
    }

    #[test]
    fn forms() {
        let part = |name: &str, data: &str| {
            format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{data}\r\n")
        };
        let pair = |name: &str, data: &str| (name.to_owned(), data.to_owned());
        let two = format!("{}{}--B--\r\n", part("a", "1"), part("b", "--B is no line\r\n-B\r\n"));
        assert_eq!(read(&two), Ok(vec![pair("a", "1"), pair("b", "--B is no line\r\n-B\r\n")]));
        assert_eq!(read(&format!("preamble\r\n{}--B--", part("a", ""))), Ok(vec![pair("a", "")]));
        assert_eq!(read("--B--"), Ok(vec![]));
        // a boundary counts at the start of a line only
        assert_eq!(read("x--B\r\n\r\n1\r\n--B--"), Ok(vec![]));
        assert_eq!(read("--B \r\n\r\nx\r\n--B--"), Ok(vec![pair("", "x")]));
        let quoted = "--B\r\ncontent-disposition:form-data;filename=\"a;\\\"b\"; name=x\r\n\r\n1\r\n--B--";
        assert_eq!(read(quoted), Ok(vec![pair("x", "1")]));
        for (body, fault) in [
            ("", Fault::NoParts),
            ("{}", Fault::NoParts),
            ("--Bx\r\n\r\n1\r\n--B--", Fault::BadDelimiter),
            ("--B\n\n1\n--B--", Fault::BadDelimiter),
            ("--B", Fault::BadDelimiter),
            ("--B\r\nno colon\r\n\r\n1\r\n--B--", Fault::BadHeaders),
            ("--B\r\nA: b\r\n1\r\n--B--", Fault::BadHeaders),
            ("--B\r\n\r\n1", Fault::Truncated),
            ("--B\r\n\r\n1\r\n--", Fault::Truncated),
        ] {
            assert_eq!(read(body), Err(fault), "{body}");
        }
        let many = part("a", "").repeat(FIELDS + 1) + "--B--";
        assert_eq!(read(&many), Err(Fault::TooManyFields));
        let long = format!("--B\r\nA: {}\r\n\r\n1\r\n--B--", "x".repeat(HEADER_BYTES));
        assert_eq!(read(&long), Err(Fault::BadHeaders));
    }

    #[test]
    fn headers_of_a_part() {
        let body = b"--B\r\nContent-Disposition: form-data; name=\"e\"\r\nCONTENT-TYPE: application/json\r\ncontent-encoding: gzip\r\n\r\n\xff\r\n--B--";
        let field = fields(body, "B").next().unwrap().unwrap();
        assert_eq!((field.content_type, field.content_encoding), (Some("application/json"), Some("gzip")));
        assert_eq!(field.data, b"\xff");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body in prop::collection::vec(prop::sample::select(b"--B\r\n :;=\"\\nameC\xff".to_vec()), 0..120)) {
            let read = fields(&body, "B").count();
            prop_assert!(read <= FIELDS + 1);
        }

        #[test]
        fn any_parameters_are_read_without_panic(text in ".{0,60}") {
            let _ = boundary(&text);
        }
    }
}
