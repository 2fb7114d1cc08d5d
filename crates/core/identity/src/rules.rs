//! The switches of a project that change what a fold does. Defaults are PostHog's, or ours where said.

use jiff::SignedDuration;
use std::collections::HashMap;

/// Settings of one project as the fold sees them.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Persist every change of person properties, also those that only touch noisy keys. Default off.
    pub update_all_person_properties: bool,
    /// Treat `$feature_flag_called` without an existing person as personless. Default on (ours).
    pub flag_called_personless: bool,
    /// Drop the whole event when its heatmap part has no viewport or an illegal id. Default on, as PostHog;
    /// off drops only the heatmap part and warns.
    pub heatmap_strict_drop: bool,
    /// Keep no heatmap data. Default off.
    pub heatmap_opt_out: bool,
    /// Remove `$ip` after GeoIP. Default off.
    pub anonymize_ips: bool,
    /// Drop events older than this on arrival. `None` keeps all.
    pub drop_events_older_than: Option<SignedDuration>,
    /// Never touch persons.
    pub person_processing_opt_out: bool,
    /// Drop rows whose properties take more bytes than this. Default 20 MiB: above what capture lets through.
    pub max_row_bytes: usize,
    /// What to do with events of some senders. Default none.
    pub restrictions: Vec<Restriction>,
    /// Prices per token by `model`, or by `provider/model` which wins. Default none: no cost is computed
    /// for events that bring no prices of their own.
    pub model_prices: HashMap<String, ModelPrice>,
}

/// What a [`Restriction`] does, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Drop the event (`DROP_EVENT`).
    Drop,
    /// Set the event aside (`REDIRECT_TO_DLQ`).
    DeadLetter,
    /// Store the event without touching persons (`SKIP_PERSON_PROCESSING`).
    SkipPerson,
}

/// A rule about some senders: it holds for events that match every list that is not empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Restriction {
    /// What happens to matching events.
    pub action: Action,
    /// Project keys.
    pub tokens: Vec<String>,
    /// Distinct ids.
    pub distinct_ids: Vec<String>,
    /// `$session_id` values.
    pub session_ids: Vec<String>,
    /// Event names.
    pub events: Vec<String>,
    /// Event uuids.
    pub uuids: Vec<uuid::Uuid>,
}

impl Restriction {
    /// A restriction that matches every event of the project.
    pub fn on_all(action: Action) -> Self {
        Self {
            action,
            tokens: Vec::new(),
            distinct_ids: Vec::new(),
            session_ids: Vec::new(),
            events: Vec::new(),
            uuids: Vec::new(),
        }
    }
}

/// What a model costs, in US dollars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelPrice {
    /// Who sells it; stored as `$ai_cost_model_provider`.
    pub provider: String,
    /// Per input token.
    pub input: f64,
    /// Per output token.
    pub output: f64,
    /// Per input token read from a cache. `None` prices it as input.
    pub cache_read: Option<f64>,
    /// Per input token written to a cache. `None` prices it as input.
    pub cache_write: Option<f64>,
    /// Per request.
    pub request: Option<f64>,
    /// Per web search.
    pub web_search: Option<f64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            update_all_person_properties: false,
            flag_called_personless: true,
            heatmap_strict_drop: true,
            heatmap_opt_out: false,
            anonymize_ips: false,
            drop_events_older_than: None,
            person_processing_opt_out: false,
            max_row_bytes: 20 * 1024 * 1024,
            restrictions: Vec::new(),
            model_prices: HashMap::new(),
        }
    }
}
