//! What is read from a replay event's properties.

use crate::capture_visit::Key;
use event::limit;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The properties that matter to replay, as text. `null` counts as absent, the last of a repeated key counts.
#[derive(Default)]
pub(crate) struct Properties<'a> {
    pub session_id: Option<&'a RawValue>,
    pub window_id: Option<&'a RawValue>,
    pub distinct_id: Option<&'a RawValue>,
    pub snapshot_source: Option<&'a RawValue>,
    pub snapshot_host: Option<&'a RawValue>,
    pub lib: Option<&'a RawValue>,
    pub lib_version: Option<&'a RawValue>,
    pub cookieless_mode: Option<&'a RawValue>,
    pub ignore_sent_at: bool,
    /// `$snapshot_data` or `$snapshot_items`; `None` unless it is an array or an object.
    pub items: Option<Vec<&'a RawValue>>,
}

impl<'a> Properties<'a> {
    pub fn of(raw: Option<&'a RawValue>) -> Self {
        let Some(raw) = raw else { return Self::default() };
        serde_json::Deserializer::from_str(raw.get()).deserialize_map(Fields).unwrap_or_default()
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Properties<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Properties::default();
        while let Some(Key(key)) = map.next_key()? {
            match &*key {
                "$session_id" => found.session_id = map.next_value()?,
                "$window_id" => found.window_id = map.next_value()?,
                "distinct_id" => found.distinct_id = map.next_value()?,
                "$snapshot_source" => found.snapshot_source = map.next_value()?,
                "$snapshot_host" => found.snapshot_host = map.next_value()?,
                "$lib" => found.lib = map.next_value()?,
                "$lib_version" => found.lib_version = map.next_value()?,
                // Present with null is present with another value than a boolean.
                "$cookieless_mode" => found.cookieless_mode = Some(map.next_value()?),
                "$ignore_sent_at" => found.ignore_sent_at = map.next_value::<&RawValue>()?.get() == "true",
                "$snapshot_data" | "$snapshot_items" => found.items = items(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    match raw.get().as_bytes().first() {
        Some(b'[') => serde_json::Deserializer::from_str(raw.get()).deserialize_seq(Items).ok(),
        Some(b'{') => Some(vec![raw]),
        _ => None,
    }
}

/// Every item as text; of more than the limit, one more than the limit, which tells the caller.
struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() <= limit::SNAPSHOT_ITEMS {
            let Some(item) = seq.next_element()? else { return Ok(items) };
            items.push(item);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}
