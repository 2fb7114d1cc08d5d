//! The bytes of one log record: an envelope and a request body.
//!
//! ```text
//! 1 byte   format (1)
//! 1 byte   codec of the body: 0 plain JSON, 1 gzip, 2 zstd
//! 4 bytes  length of the envelope, little endian
//! n bytes  envelope: event::Received as JSON, so that it can grow fields and be read by eye
//! rest     body
//! ```
//! Checksums belong to the log, not to the record.

use crate::bodies::Codec;
use crate::error::{Error, Kind};
use event::Received;

const FORMAT: u8 = 1;
const PREFIX: usize = 6;

/// One accepted request as it lies in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record<'a> {
    /// What the door knew.
    pub received: Received,
    /// How `body` is stored.
    pub codec: Codec,
    /// The request body: JSON, perhaps compressed.
    pub body: &'a [u8],
}

/// Writes everything of a record but its body, which follows.
pub fn head(received: &Received, codec: Codec) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(PREFIX + 320);
    out.extend_from_slice(&[FORMAT, codec.byte(), 0, 0, 0, 0]);
    serde_json::to_writer(&mut out, received)
        .map_err(|e| Error::because(Kind::Bug, "cannot write the envelope of a log record", e))?;
    let length = u32::try_from(out.len() - PREFIX)
        .map_err(|e| Error::because(Kind::Bug, "the envelope of a log record is too long", e))?;
    out[2..PREFIX].copy_from_slice(&length.to_le_bytes());
    Ok(out)
}

/// Reads a record.
///
/// # Errors
/// `Corrupt` when the bytes are not a record of a known format.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, Error> {
    let prefix: [u8; PREFIX] = bytes
        .get(..PREFIX)
        .and_then(|p| p.try_into().ok())
        .ok_or_else(|| Error::new(Kind::Corrupt, "a log record is shorter than its prefix"))?;
    if prefix[0] != FORMAT {
        return Err(Error::new(
            Kind::Corrupt,
            format!("a log record has format {}, this version reads format {FORMAT}", prefix[0]),
        ));
    }
    let codec = Codec::from_byte(prefix[1])
        .ok_or_else(|| Error::new(Kind::Corrupt, format!("a log record has unknown codec {}", prefix[1])))?;
    let length = u32::from_le_bytes([prefix[2], prefix[3], prefix[4], prefix[5]]) as usize;
    let rest = &bytes[PREFIX..];
    if rest.len() < length {
        return Err(Error::new(Kind::Corrupt, "a log record ends inside its envelope"));
    }
    let (envelope, body) = rest.split_at(length);
    let received = serde_json::from_slice(envelope)
        .map_err(|e| Error::because(Kind::Corrupt, "the envelope of a log record cannot be read", e))?;
    Ok(Record { received, codec, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{ProjectId, Route};
    use jiff::Timestamp;

    fn received() -> Received {
        Received {
            route: Route::Events,
            project: ProjectId(1),
            token: "phc_x".into(),
            at: Timestamp::UNIX_EPOCH,
            sent_at: None,
            ip: Some("10.0.0.1".into()),
            user_agent: None,
            sdk: None,
            place: None,
            limited: vec![],
            limits: None,
            seed: u64::MAX,
        }
    }

    fn encode(received: &Received, codec: Codec, body: &[u8]) -> Result<Vec<u8>, Error> {
        let mut bytes = head(received, codec)?;
        bytes.extend_from_slice(body);
        Ok(bytes)
    }

    #[test]
    fn a_record_reads_back_as_written() {
        let bytes = encode(&received(), Codec::Gzip, b"body").expect("encode");
        let record = decode(&bytes).expect("decode");
        assert_eq!(record, Record { received: received(), codec: Codec::Gzip, body: b"body" });
    }

    #[test]
    fn every_truncation_is_corrupt_or_shortens_only_the_body() {
        let bytes = encode(&received(), Codec::Plain, b"").expect("encode");
        for end in 0..bytes.len() {
            let error = decode(&bytes[..end]).expect_err("truncated");
            assert_eq!(error.kind, Kind::Corrupt);
        }
    }

    #[test]
    fn unknown_format_and_codec_are_named() {
        let mut bytes = encode(&received(), Codec::Plain, b"x").expect("encode");
        bytes[1] = 9;
        assert!(decode(&bytes).expect_err("codec").to_string().contains("codec 9"));
        bytes[0] = 7;
        assert!(decode(&bytes).expect_err("format").to_string().contains("format 7"));
    }
}
