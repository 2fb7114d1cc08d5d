//! Every bound on an event, with its unit. Request sizes are settings of the server; these are part of the contract.

/// Characters of a distinct id that v0 keeps; the rest is cut and warned about.
pub const DISTINCT_ID_CHARS: usize = 200;
/// Bytes of a v1 distinct id; a longer one drops that event.
pub const V1_DISTINCT_ID_BYTES: usize = 200;
/// Characters of an event name that v0 keeps.
pub const EVENT_NAME_CHARS: usize = 200;
/// Bytes of a v1 event name; a longer one drops that event.
pub const V1_EVENT_NAME_BYTES: usize = 200;
/// Bytes of a project key.
pub const TOKEN_BYTES: usize = 64;
/// Bytes of a replay `$session_id`.
pub const SESSION_ID_BYTES: usize = 70;
/// Nesting depth of a JSON body.
pub const JSON_DEPTH: usize = 128;
/// Serialized bytes of one analytics event (default of the setting).
pub const EVENT_BYTES: usize = 1024 * 1024;
/// Serialized bytes of one `$ai_*` event.
pub const AI_EVENT_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of one replay event.
pub const SNAPSHOT_BYTES: usize = 25 * 1024 * 1024;
/// Events of one request. Each costs some 250 bytes beside its text, so that a few KiB of compressed `{}` would
/// otherwise become gigabytes.
pub const BATCH_EVENTS: usize = 100_000;
/// Root fields of all events of one request that no reader knows by name; each costs 40 bytes beside its text.
pub const EXTRA_FIELDS: usize = 200_000;
/// Snapshot items of one replay request.
pub const SNAPSHOT_ITEMS: usize = 200_000;
/// Clock skew below which a client's clock is believed as it is.
pub const SKEW_DEADBAND_MS: i64 = 150_000;
/// How far in the future an event may lie before it is moved to now.
pub const FUTURE_MS: i64 = 23 * 60 * 60 * 1000;
