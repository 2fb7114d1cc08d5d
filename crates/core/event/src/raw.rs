//! An event as its sender wrote it: nothing checked, nothing copied.

use serde_json::value::RawValue;
use std::borrow::Cow;

/// One event of a request body. Fields borrow from the body; JSON values stay text until somebody needs them.
///
/// `None` means absent or JSON `null`, except where said.
#[derive(Clone, Debug, Default)]
pub struct RawEvent<'a> {
    /// `token`, `$token` or `api_key` at the root.
    pub token: Option<Cow<'a, str>>,
    /// `event`; `None` when absent (a nameless event).
    pub event: Option<Cow<'a, str>>,
    /// `distinct_id` or `$distinct_id` at the root; any JSON.
    pub distinct_id: Option<&'a RawValue>,
    /// `uuid` as sent; may be no UUID at all.
    pub uuid: Option<Cow<'a, str>>,
    /// `timestamp`; string or number.
    pub timestamp: Option<&'a RawValue>,
    /// `offset`: milliseconds before the request was sent.
    pub offset: Option<&'a RawValue>,
    /// Root `sent_at` (replay bodies carry it per event).
    pub sent_at: Option<&'a RawValue>,
    /// `properties`; always an object when present.
    pub properties: Option<&'a RawValue>,
    /// Root `$set`.
    pub set: Option<&'a RawValue>,
    /// Root `$set_once`.
    pub set_once: Option<&'a RawValue>,
    /// Root `$unset`.
    pub unset: Option<&'a RawValue>,
    /// Root `context` (Segment-style senders).
    pub context: Option<&'a RawValue>,
    /// Every other root field, in order: kept in the `extra` column.
    pub extra: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl RawEvent<'_> {
    /// A hash of what the event says. Times are left out: an SDK that sends an event again may write when it does so.
    pub fn content(&self) -> u64 {
        let values = [self.properties, self.set, self.set_once, self.unset, self.context];
        let values = values.into_iter().map(|value| value.map_or("", RawValue::get));
        let extra = self.extra.iter().flat_map(|(name, value)| [&**name, value.get()]);
        hash(values.chain(extra))
    }
}

/// A hash of texts and of where each ends.
pub fn hash<'a>(texts: impl Iterator<Item = &'a str>) -> u64 {
    texts.fold(0, |seed, text| xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), seed))
}
