//! Where a property of a person is looked up.

use serde_json::Value;

/// When a person was first seen, as `person_metadata` filters ask: a key that no SDK writes.
pub(crate) const CREATED_AT: &str = "__posthog_person_metadata__created_at";

/// Properties whose first value PostHog keeps under `$initial_...`: where that is missing, today's stands in.
const FIRST: &[&str] = &[
    "$app_build",
    "$app_name",
    "$app_namespace",
    "$app_version",
    "$browser",
    "$browser_version",
    "$device_type",
    "$current_url",
    "$pathname",
    "$os",
    "$os_version",
    "$referring_domain",
    "$referrer",
    "$screen_height",
    "$screen_width",
    "$viewport_height",
    "$viewport_width",
    "$raw_user_agent",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_content",
    "utm_term",
    "gclid",
    "gad_source",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "fbclid",
    "msclkid",
    "twclid",
    "li_fat_id",
    "mc_cid",
    "igshid",
    "ttclid",
    "rdt_cid",
    "epik",
    "qclid",
    "sccid",
    "irclid",
    "_kx",
];

/// A key of a person's properties.
#[derive(Debug)]
pub(crate) struct PersonKey {
    pub(crate) name: String,
    /// Looked at when `name` is missing.
    pub(crate) stand_in: Option<&'static str>,
    /// Only what we stored counts.
    pub(crate) is_ours: bool,
}

impl PersonKey {
    pub(crate) fn new(name: &str) -> Self {
        let stand_in = name.strip_prefix("$initial_").and_then(|bare| {
            FIRST.iter().find(|first| first.strip_prefix('$').unwrap_or(first) == bare).copied()
        });
        Self { name: name.to_owned(), stand_in, is_ours: false }
    }

    /// The key of a `person_metadata` filter.
    pub(crate) fn metadata(name: &str) -> Option<Self> {
        (name == "created_at").then(|| Self { name: CREATED_AT.to_owned(), stand_in: None, is_ours: true })
    }
}

/// Whether a key can be read by a filter for a stored property only.
pub(crate) fn is_reserved(name: &str) -> bool {
    name == CREATED_AT
}

/// A group's key as an SDK sends it: text, or a number. Nothing else names a group.
pub(crate) fn group_key(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
