//! The uuid of an event: the sender's, or one that follows from the request and the event's time.

use jiff::Timestamp;
use uuid::Uuid;

/// The sender's uuid, if it sent a usable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A uuid in any form the parser takes.
    Valid(Uuid),
    /// None, or an empty string.
    Absent,
    /// Text that is no uuid; a new one is made and the sender is warned.
    Invalid,
}

/// Reads what the sender wrote into `uuid`.
pub fn read(raw: Option<&str>) -> Sent {
    match raw {
        None | Some("") => Sent::Absent,
        Some(text) => Uuid::try_parse(text).map_or(Sent::Invalid, Sent::Valid),
    }
}

/// Makes a UUIDv7 for the event at `index` of the request with this `seed`.
///
/// The time bits are those of the event, so that rows sort by when things happened; the other bits are
/// a hash, so that reading the log twice gives the same uuid. Times before 1970 count as 1970.
pub fn generate(seed: u64, index: usize, at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
    let hash = xxhash_rust::xxh3::xxh3_128_with_seed(&(index as u64).to_le_bytes(), seed).to_le_bytes();
    let mut random = [0; 10];
    random.copy_from_slice(&hash[..10]);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_written_form_is_read() {
        let expect = Sent::Valid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0abc));
        for text in [
            "01900000-0000-7000-8000-000000000abc",
            "01900000000070008000000000000ABC",
            "{01900000-0000-7000-8000-000000000abc}",
            "urn:uuid:01900000-0000-7000-8000-000000000ABC",
        ] {
            assert_eq!(read(Some(text)), expect, "{text}");
        }
        assert_eq!(read(None), Sent::Absent);
        assert_eq!(read(Some("")), Sent::Absent);
        assert_eq!(read(Some("not-a-uuid")), Sent::Invalid);
    }

    #[test]
    fn generated_ids_follow_from_seed_index_and_time() {
        let at = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let id = generate(7, 0, at);
        assert_eq!(id, generate(7, 0, at));
        assert_ne!(id, generate(7, 1, at));
        assert_ne!(id, generate(8, 0, at));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(id.as_u128() >> 80, 1_700_000_000_123);
        let old = Timestamp::from_second(-5).unwrap();
        assert_eq!(generate(7, 0, old).as_u128() >> 80, 0);
    }
}
