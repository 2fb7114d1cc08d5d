//! Every `$name` the server gives meaning to, with that meaning.

/// Event names.
pub mod event {
    /// A page was viewed.
    pub const PAGEVIEW: &str = "$pageview";
    /// A mobile screen was viewed.
    pub const SCREEN: &str = "$screen";
    /// Identify: may merge `$anon_distinct_id` into the distinct id.
    pub const IDENTIFY: &str = "$identify";
    /// Alias: merges `alias` into the distinct id.
    pub const CREATE_ALIAS: &str = "$create_alias";
    /// Merges even when the source is identified.
    pub const MERGE_DANGEROUSLY: &str = "$merge_dangerously";
    /// Sets person properties and nothing else.
    pub const SET: &str = "$set";
    /// Sets group properties.
    pub const GROUP_IDENTIFY: &str = "$groupidentify";
    /// An exception.
    pub const EXCEPTION: &str = "$exception";
    /// Heatmap data; never an event row.
    pub const HEATMAP: &str = "$$heatmap";
    /// A warning sent by the client; never an event row.
    pub const CLIENT_WARNING: &str = "$$client_ingestion_warning";
    /// Replay data (`/s`).
    pub const SNAPSHOT: &str = "$snapshot";
    /// Discarded by capture, always.
    pub const PERFORMANCE: &str = "$performance_event";
    /// A flag was evaluated by an SDK.
    pub const FEATURE_FLAG_CALLED: &str = "$feature_flag_called";
    /// The names accepted by AI routes.
    pub const AI: [&str; 6] =
        ["$ai_generation", "$ai_trace", "$ai_span", "$ai_embedding", "$ai_metric", "$ai_feedback"];
}

/// Property names.
pub mod property {
    /// Person properties to overwrite.
    pub const SET: &str = "$set";
    /// Person properties to set when absent.
    pub const SET_ONCE: &str = "$set_once";
    /// Person properties to remove.
    pub const UNSET: &str = "$unset";
    /// `false` keeps the event away from persons.
    pub const PROCESS_PERSON_PROFILE: &str = "$process_person_profile";
    /// The anonymous id that `$identify` merges.
    pub const ANON_DISTINCT_ID: &str = "$anon_distinct_id";
    /// The id that `$create_alias` merges.
    pub const ALIAS: &str = "alias";
    /// `{type: key}` of the groups an event belongs to.
    pub const GROUPS: &str = "$groups";
    /// Group type of `$groupidentify`.
    pub const GROUP_TYPE: &str = "$group_type";
    /// Group key of `$groupidentify`.
    pub const GROUP_KEY: &str = "$group_key";
    /// Group properties of `$groupidentify`.
    pub const GROUP_SET: &str = "$group_set";
    /// Client address.
    pub const IP: &str = "$ip";
    /// Do not correct clock skew.
    pub const IGNORE_SENT_AT: &str = "$ignore_sent_at";
    /// Cookieless counting.
    pub const COOKIELESS_MODE: &str = "$cookieless_mode";
    /// Session id, UUIDv7 from SDKs.
    pub const SESSION_ID: &str = "$session_id";
    /// Browser tab.
    pub const WINDOW_ID: &str = "$window_id";
    /// Current page.
    pub const CURRENT_URL: &str = "$current_url";
    /// `true` skips GeoIP.
    pub const GEOIP_DISABLE: &str = "$geoip_disable";
    /// Replay items.
    pub const SNAPSHOT_DATA: &str = "$snapshot_data";
}
