//! Where a block lies: an object and a byte range in it, as one address.

use std::fmt;

/// The place of a block inside an object of many blocks.
///
/// # Compat
/// Written as `<object>?range=bytes=<first>-<last>`, both ends included: the `block_url` of PostHog's
/// session batch files, so that its readers find our blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Address of the object (`s3://bucket/key`, `file:///...`).
    pub object: String,
    /// Byte at which the block begins.
    pub start: u64,
    /// Bytes of the block; never 0.
    pub length: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.start + self.length.max(1) - 1;
        write!(f, "{}?range=bytes={}-{}", self.object, self.start, last)
    }
}

impl Location {
    /// Reads an address written by `Display`; `None` when it has no usable range.
    pub fn parse(url: &str) -> Option<Self> {
        let (object, range) = url.rsplit_once("?range=bytes=")?;
        let (start, last) = range.split_once('-')?;
        let (start, last) = (start.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
        let length = last.checked_sub(start)?.checked_add(1)?;
        Some(Self { object: object.to_owned(), start, length })
    }
}

#[cfg(test)]
mod tests {
    use super::Location;

    #[test]
    fn round_trip() {
        let location = Location { object: "s3://b/p/1700-ab?x".to_owned(), start: 100, length: 50 };
        assert_eq!(location.to_string(), "s3://b/p/1700-ab?x?range=bytes=100-149");
        assert_eq!(Location::parse(&location.to_string()), Some(location));
    }

    #[test]
    fn unusable() {
        for url in [
            "",
            "s3://b/k",
            "k?range=bytes=5-4",
            "k?range=bytes=a-4",
            "k?range=bytes=5",
            "k?range=bytes=0-18446744073709551615",
        ] {
            assert_eq!(Location::parse(url), None, "{url}");
        }
    }
}
