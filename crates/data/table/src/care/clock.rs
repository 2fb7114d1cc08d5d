//! The wall clock of care: the library stamps snapshots with it, so ages are measured by it too.

use jiff::Timestamp;
use std::time::Duration;
use uuid::Uuid;

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The moment `age` ago, in milliseconds since 1970.
pub(super) fn ago_ms(age: Duration) -> i64 {
    now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

/// A name no file of a table has.
pub(crate) fn fresh_name() -> String {
    Uuid::now_v7().simple().to_string()
}

/// A positive id no snapshot has.
pub(super) fn fresh_snapshot_id() -> i64 {
    (Uuid::now_v7().as_u128() as u64 & i64::MAX as u64) as i64
}
