//! Projects: who owns events, and the switches that change what happens to them.

use crate::{NewKey, Result, key};
use async_trait::async_trait;
use event::{ProjectId, ProjectKey, Resource};
use jiff::{SignedDuration, Timestamp};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A project as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// 1, 2, ...; never used again after a project is gone, because tables keep it as `team_id`.
    pub id: ProjectId,
    /// Public identifier in APIs.
    pub uuid: Uuid,
    /// The organization it belongs to; one per server unless told otherwise.
    pub organization: Uuid,
    /// What people call it.
    pub name: String,
    /// The key shown to users: the one that new clients should send.
    pub api_token: ProjectKey,
    /// All keys, oldest first, `api_token` among them.
    pub keys: Vec<Key>,
    /// When it was created.
    pub created_at: Timestamp,
    /// IANA name; `UTC` unless changed.
    pub timezone: String,
    /// Switches.
    pub settings: Settings,
    /// Resources whose quota is used up.
    pub exhausted: Vec<Resource>,
    /// Events to drop or to treat differently.
    pub restrictions: Vec<Restriction>,
}

/// One public key of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key as clients send it.
    pub value: ProjectKey,
    /// What it is for; may be empty.
    pub label: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it stopped being accepted; `None` while it is.
    pub disabled_at: Option<Timestamp>,
}

/// The switches of a project, stored as one JSON object.
///
/// Fields that this version does not know are kept in `other`, so that an older server does not
/// erase what a newer one wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Remove `$ip` after GeoIP.
    pub anonymize_ips: bool,
    /// Drop events older than this on arrival, in seconds; `None` and 0 keep all.
    pub drop_events_older_than_seconds: Option<u64>,
    /// Never touch persons.
    pub person_processing_opt_out: bool,
    /// `false` drops heatmap data; `None` is undecided and keeps it.
    pub heatmaps_opt_in: Option<bool>,
    /// Whether clients are told to record sessions.
    pub session_recording_opt_in: bool,
    /// Whether clients are told to leave autocapture off.
    pub autocapture_opt_out: bool,
    /// Whether cookieless events are accepted.
    pub cookieless: bool,
    /// See [`identity::Rules::update_all_person_properties`].
    pub update_all_person_properties: bool,
    /// See [`identity::Rules::flag_called_personless`].
    pub flag_called_personless: bool,
    /// See [`identity::Rules::heatmap_strict_drop`]; `None` leaves the server's default.
    pub heatmap_strict_drop: Option<bool>,
    /// Days that events are kept, the day they happened included; 0 for ever, `None` as the server does.
    pub retention_events_days: Option<u32>,
    /// The same for heatmap points.
    pub retention_heatmaps_days: Option<u32>,
    /// The same for session recordings.
    pub retention_session_replay_blocks_days: Option<u32>,
    /// The same for ingestion warnings.
    pub retention_ingestion_warnings_days: Option<u32>,
    /// The same for dead letters.
    pub retention_dead_letter_days: Option<u32>,
    /// Everything else that was stored.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Default for Settings {
    fn default() -> Self {
        let rules = identity::Rules::default();
        Self {
            anonymize_ips: rules.anonymize_ips,
            drop_events_older_than_seconds: None,
            person_processing_opt_out: rules.person_processing_opt_out,
            heatmaps_opt_in: None,
            session_recording_opt_in: true,
            autocapture_opt_out: false,
            cookieless: true,
            update_all_person_properties: rules.update_all_person_properties,
            flag_called_personless: rules.flag_called_personless,
            heatmap_strict_drop: None,
            retention_events_days: None,
            retention_heatmaps_days: None,
            retention_session_replay_blocks_days: None,
            retention_ingestion_warnings_days: None,
            retention_dead_letter_days: None,
            other: Map::new(),
        }
    }
}

impl Settings {
    /// Days that rows of a table are kept; `None` as the server does.
    #[must_use]
    pub fn retention_days(&self, table: &str) -> Option<u32> {
        match table {
            "events" => self.retention_events_days,
            "heatmaps" => self.retention_heatmaps_days,
            "session_replay_blocks" => self.retention_session_replay_blocks_days,
            "ingestion_warnings" => self.retention_ingestion_warnings_days,
            "dead_letter" => self.retention_dead_letter_days,
            _ => None,
        }
    }
}

impl Project {
    /// What the fold must know of this project; everything that is no switch of it is as in `defaults`.
    #[must_use]
    pub fn rules(&self, defaults: identity::Rules) -> identity::Rules {
        let switches = &self.settings;
        let oldest = switches.drop_events_older_than_seconds.filter(|seconds| *seconds > 0);
        identity::Rules {
            anonymize_ips: switches.anonymize_ips,
            drop_events_older_than: oldest
                .map(|seconds| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))),
            person_processing_opt_out: switches.person_processing_opt_out,
            update_all_person_properties: switches.update_all_person_properties,
            flag_called_personless: switches.flag_called_personless,
            heatmap_opt_out: switches.heatmaps_opt_in == Some(false),
            heatmap_strict_drop: switches.heatmap_strict_drop.unwrap_or(defaults.heatmap_strict_drop),
            restrictions: self.restrictions.iter().map(Into::into).collect(),
            ..defaults
        }
    }
}

/// A rule about some events of a project. An empty list of a filter matches every event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// What happens to a matching event.
    pub action: Action,
    /// Project keys the event came with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<String>,
    /// Distinct ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distinct_ids: Vec<String>,
    /// Session ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub session_ids: Vec<String>,
    /// Event names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Event uuids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uuids: Vec<Uuid>,
}

impl From<&Restriction> for identity::Restriction {
    fn from(stored: &Restriction) -> Self {
        Self {
            action: stored.action.into(),
            tokens: stored.tokens.clone(),
            distinct_ids: stored.distinct_ids.clone(),
            session_ids: stored.session_ids.clone(),
            events: stored.events.clone(),
            uuids: stored.uuids.clone(),
        }
    }
}

/// What a restriction does, the stronger first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Accepted and dropped.
    DropEvent,
    /// Kept in `dead_letter` instead of `events`.
    RedirectToDlq,
    /// Stored without touching persons.
    SkipPersonProcessing,
}

impl From<Action> for identity::Action {
    fn from(stored: Action) -> Self {
        match stored {
            Action::DropEvent => Self::Drop,
            Action::RedirectToDlq => Self::DeadLetter,
            Action::SkipPersonProcessing => Self::SkipPerson,
        }
    }
}

/// What is needed for a new project.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// What people call it; not empty.
    pub name: String,
    /// Public identifier.
    pub uuid: Uuid,
    /// `None` joins the organization of the oldest project, or founds one.
    pub organization: Option<Uuid>,
    /// Its first key.
    pub key: NewKey,
}

impl NewProject {
    /// A project with a random uuid and key.
    pub fn generate(name: &str, rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self {
            name: name.to_owned(),
            uuid: uuid::Builder::from_random_bytes(bytes).into_uuid(),
            organization: None,
            key: key::generate(key::Kind::Project, rng),
        }
    }
}

/// How a project is named by the one who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Find {
    /// By number.
    Id(ProjectId),
    /// By uuid.
    Uuid(Uuid),
    /// By any of its keys that is not disabled.
    Key(String),
    /// By exact name; the oldest when several have it.
    Name(String),
}

/// Fields to overwrite; `None` leaves one as it is.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// New name; not empty.
    pub name: Option<String>,
    /// New time zone.
    pub timezone: Option<String>,
    /// New switches, all of them.
    pub settings: Option<Settings>,
    /// New set of exhausted resources.
    pub exhausted: Option<Vec<Resource>>,
    /// New restrictions, all of them.
    pub restrictions: Option<Vec<Restriction>>,
}

/// Projects at rest.
#[async_trait]
pub trait Store: Send + Sync {
    /// Creates a project and its first key.
    ///
    /// # Errors
    /// `Invalid` for an empty name or a key of another kind, `Conflict` when the key or uuid is taken.
    async fn create_project(&self, new: NewProject, now: Timestamp) -> Result<Project>;

    /// Lists all projects by number.
    async fn projects(&self) -> Result<Vec<Project>>;

    /// Finds one project.
    async fn find_project(&self, by: Find) -> Result<Option<Project>>;

    /// Overwrites fields of a project and gives it back.
    ///
    /// # Errors
    /// `NotFound` when there is no such project, `Invalid` for an empty name or time zone.
    async fn update_project(&self, id: ProjectId, update: Update) -> Result<Project>;

    /// A number that grows whenever a project or a key of any kind changes, whoever changed it.
    ///
    /// One indexed read: a server asks once a second to see what another process (the CLI) changed.
    /// Commits of the pump and `last_used_at` of keys do not move it.
    async fn revision(&self) -> Result<u64>;
}
