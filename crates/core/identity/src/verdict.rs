//! Why an accepted event gives no event row.

use event::CapturedEvent;

/// Why an event was dropped: accepted, then discarded by a rule, and counted under its [`Drop::tag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Drop {
    /// A restriction of the project says so.
    Restricted,
    /// The distinct id is longer than 400 UTF-16 units.
    DistinctIdTooLong,
    /// `$groupidentify` with a key longer than 400 UTF-16 units.
    GroupKeyTooLong,
    /// A merge event whose `$anon_distinct_id` is not text.
    InvalidAnonDistinctId,
    /// A merge event whose `alias` is not text.
    InvalidAlias,
    /// A merge event sent with `$process_person_profile: false`.
    InvalidEventForFlags,
    /// Older than the project keeps.
    EventDroppedTooOld,
    /// Heatmap data under an empty or illegal distinct id.
    HeatmapInvalidDistinctId,
    /// Heatmap data without the size of the viewport.
    HeatmapInvalidViewportDimensions,
    /// `$$heatmap` sent to a project that wants no heatmaps.
    HeatmapOptOut,
    /// The row would be larger than the project's limit.
    MessageSizeTooLarge,
    /// A cookieless event sent to a project that wants none.
    CookielessDisabled,
    /// A cookieless merge event: there is nothing lasting to merge.
    CookielessUnsupportedEvent,
    /// A cookieless event whose day is too far from now to have a salt.
    CookielessTimestampOutOfRange,
    /// A cookieless event without `$raw_user_agent`.
    CookielessMissingUserAgent,
    /// A cookieless event without `$ip`.
    CookielessMissingIp,
    /// A cookieless event without `$host`.
    CookielessMissingHost,
}

impl Drop {
    /// The stable name in metrics and tables.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::DistinctIdTooLong => "distinct_id_too_long",
            Self::GroupKeyTooLong => "group_key_too_long",
            Self::InvalidAnonDistinctId => "invalid_anon_distinct_id",
            Self::InvalidAlias => "invalid_alias",
            Self::InvalidEventForFlags => "invalid_event_for_flags",
            Self::EventDroppedTooOld => "event_dropped_too_old",
            Self::HeatmapInvalidDistinctId => "heatmap_invalid_distinct_id",
            Self::HeatmapInvalidViewportDimensions => "heatmap_invalid_viewport_dimensions",
            Self::HeatmapOptOut => "heatmap_opt_out",
            Self::MessageSizeTooLarge => "message_size_too_large",
            Self::CookielessDisabled => "cookieless_disabled",
            Self::CookielessUnsupportedEvent => "cookieless_unsupported_event",
            Self::CookielessTimestampOutOfRange => "cookieless_timestamp_out_of_range",
            Self::CookielessMissingUserAgent => "cookieless_missing_user_agent",
            Self::CookielessMissingIp => "cookieless_missing_ip",
            Self::CookielessMissingHost => "cookieless_missing_host",
        }
    }
}

/// An event set aside to be looked at and sent again, untouched.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Stable name of the cause.
    pub reason: &'static str,
    /// The step that gave up.
    pub step: &'static str,
    /// The event as it came in.
    pub event: CapturedEvent,
}
