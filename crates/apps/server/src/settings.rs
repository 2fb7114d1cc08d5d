//! The settings of a server as plain data. Defaults live in `config/default.toml` and nowhere else.

mod catalog;

pub use catalog::{Catalog, CatalogKind};

use crate::role::Role;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use table::objects::S3;

/// All settings, section by section.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Sockets, proxies, signatures.
    pub server: Server,
    /// What the door accepts.
    pub capture: Capture,
    /// The durable log in files.
    pub log: Log,
    /// The durable log in a topic.
    pub kafka: Kafka,
    /// The pump.
    pub ingest: Ingest,
    /// Looking after the tables.
    pub care: Care,
    /// Projects, keys, persons.
    pub metastore: Metastore,
    /// Where tables lie.
    pub table: Table,
    /// Who keeps the list of tables.
    pub catalog: Catalog,
    /// Their store, when it speaks S3.
    pub s3: S3,
    /// SQL.
    pub query: Query,
    /// Time.
    pub clock: Clock,
    /// The first start.
    pub bootstrap: Bootstrap,
    /// Logs of the process.
    pub telemetry: Telemetry,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Which part of the work is done.
    pub role: Role,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Public base URL, or empty.
    pub public_url: String,
    /// Extra path prefix, or empty.
    pub path_prefix: String,
    /// Networks in CIDR form.
    pub trusted_proxies: Vec<String>,
    /// HMAC secret, or empty.
    pub signing_secret: String,
    /// Milliseconds for the request head.
    pub header_timeout_ms: u64,
    /// Milliseconds between pieces of a body.
    pub body_timeout_ms: u64,
    /// Milliseconds for a whole body.
    pub body_deadline_ms: u64,
    /// Bytes a second that a body comes to; 0 for no such rule.
    pub body_bytes_per_second: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Bytes of all requests in memory.
    pub inflight_bytes: usize,
}

/// How unknown project keys are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenMode {
    /// Refuse them.
    Enforce,
    /// Make a project for each.
    Open,
}

/// `[capture]`; sizes in bytes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    /// See [`TokenMode`].
    pub token_mode: TokenMode,
    /// Bound on projects made by open mode.
    pub max_open_projects: usize,
    /// v0 wire cap.
    pub max_body_bytes: usize,
    /// Replay wire cap.
    pub max_replay_body_bytes: usize,
    /// v1 wire cap.
    pub max_v1_body_bytes: usize,
    /// Cap after decompression.
    pub max_decompressed_bytes: usize,
    /// Cap of one event.
    pub max_event_bytes: usize,
    /// Cap of one `$ai_*` event.
    pub max_ai_event_bytes: usize,
}

/// `[log]`; sizes in bytes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Segment size.
    pub segment_bytes: u64,
    /// Queue bound.
    pub queue_bytes: usize,
    /// Log bound.
    pub max_bytes: u64,
    /// Disk reserve.
    pub min_free_bytes: u64,
}

/// `[kafka]`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// Brokers, or empty for a log in files.
    pub brokers: String,
    /// Topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: usize,
    /// Copies when it is made; 0 for the brokers' own setting.
    pub replication: usize,
    /// Milliseconds until an append is given up.
    pub ack_timeout_ms: u64,
    /// Bytes of the largest record.
    pub max_record_bytes: u64,
    /// Properties of the client.
    pub properties: Vec<String>,
    /// SASL password, or empty.
    pub password: String,
    /// Go on without records that are gone.
    pub skip_lost: bool,
}

impl Kafka {
    /// Whether the log is a topic.
    pub fn is_used(&self) -> bool {
        !self.brokers.is_empty()
    }

    /// The properties, without what only the brokers may know.
    pub fn masked(&self) -> Vec<String> {
        let masked = |property: &String| match property.split_once('=') {
            Some((name, _)) if ["password", "secret", "pem"].iter().any(|word| name.contains(word)) => {
                format!("{name}=***")
            }
            Some(_) => property.clone(),
            None => "***".to_owned(),
        };
        self.properties.iter().map(masked).collect()
    }
}

impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = (&self.brokers, &self.topic, self.partitions, self.masked());
        f.debug_tuple("Kafka").field(&shown).finish()
    }
}

/// `[ingest]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// Seconds between commits.
    pub commit_seconds: u64,
    /// Bytes that cause a commit.
    pub commit_bytes: usize,
    /// Days of the repeat window.
    pub dedup_days: u32,
    /// Events of the repeat window.
    pub dedup_events: u64,
    /// MaxMind database, or empty.
    pub geoip_database: String,
}

/// `[care]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Care {
    /// Seconds between rounds; 0 for none.
    pub every_seconds: u64,
    /// Small files worth a merge.
    pub min_files: usize,
    /// File size aimed at.
    pub target_bytes: u64,
    /// Rows of a row group that stays as it is.
    pub group_rows: u64,
    /// Seconds until a partition is finished.
    pub quiet_seconds: u64,
    /// Snapshots kept.
    pub keep_snapshots: usize,
    /// Seconds a replaced file stays.
    pub grace_seconds: u64,
    /// Age of files that nothing refers to.
    pub orphan_hours: u64,
    /// Days of `events`; 0 for ever.
    pub retention_events_days: u32,
    /// Days of `heatmaps`.
    pub retention_heatmaps_days: u32,
    /// Days of `session_replay_blocks` and the recordings.
    pub retention_session_replay_blocks_days: u32,
    /// Days of `ingestion_warnings`.
    pub retention_ingestion_warnings_days: u32,
    /// Days of `dead_letter`.
    pub retention_dead_letter_days: u32,
}

impl Care {
    /// Days that rows of a table are kept, unless their project says otherwise; 0 for ever.
    #[must_use]
    pub fn retention_days(&self, table: &str) -> u32 {
        match table {
            "events" => self.retention_events_days,
            "heatmaps" => self.retention_heatmaps_days,
            "session_replay_blocks" => self.retention_session_replay_blocks_days,
            "ingestion_warnings" => self.retention_ingestion_warnings_days,
            "dead_letter" => self.retention_dead_letter_days,
            _ => 0,
        }
    }
}

/// `[metastore]`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Metastore {
    /// `postgres://...`, or empty for the file in the data folder.
    pub url: String,
}

impl Metastore {
    fn problem(&self) -> Option<metastore::Error> {
        if self.url.is_empty() { None } else { metastore::postgres::check(&self.url).err() }
    }
}

impl std::fmt::Debug for Metastore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metastore").field("url", &metastore::postgres::masked(&self.url)).finish()
    }
}

/// `[table]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// `s3://bucket/folder`, or empty for the data folder.
    pub location: String,
}

impl Table {
    fn problem(&self) -> Option<String> {
        let location = &self.location;
        let is_object = location
            .strip_prefix("s3://")
            .is_some_and(|rest| rest.split('/').all(|part| !part.is_empty() && !matches!(part, "." | "..")));
        (!location.is_empty() && !is_object)
            .then(|| format!("table.location: `{location}` is not of the form s3://bucket/folder"))
    }
}

/// `[query]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Seconds per query.
    pub timeout_seconds: u64,
    /// Bytes for all queries.
    pub memory_bytes: usize,
    /// Rows without LIMIT.
    pub default_rows: usize,
    /// Rows at most.
    pub max_rows: usize,
    /// Queries at once.
    pub concurrency: usize,
}

/// `[clock]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// RFC 3339, or empty.
    pub fixed: String,
}

/// `[bootstrap]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Name of project 1.
    pub project_name: String,
    /// Key of project 1, or empty.
    pub project_key: String,
    /// Personal key, or empty.
    pub personal_key: String,
}

/// `[telemetry]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Level or directives.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
}

impl Settings {
    /// What the log is opened with.
    pub(crate) fn of_log(&self) -> eventlog::Settings {
        let Log { segment_bytes, queue_bytes, max_bytes, min_free_bytes } = self.log;
        // A record is a request: as large as the largest body may be before or after decompression.
        let record = self.capture.max_decompressed_bytes.max(self.capture.max_replay_body_bytes) as u64;
        eventlog::Settings {
            segment_bytes,
            max_bytes,
            min_free_bytes,
            max_queue_bytes: (queue_bytes as u64).max(record),
            max_record_bytes: record,
            ..eventlog::Settings::default()
        }
    }

    /// What a topic is opened with as the log.
    #[cfg(feature = "kafka")]
    pub(crate) fn of_kafka(&self) -> eventlog::kafka::Settings {
        let kafka = self.kafka.clone();
        eventlog::kafka::Settings {
            brokers: kafka.brokers,
            topic: kafka.topic,
            partitions: kafka.partitions,
            replication: kafka.replication,
            max_queue_bytes: (self.log.queue_bytes as u64).max(kafka.max_record_bytes),
            max_record_bytes: kafka.max_record_bytes,
            ack_timeout: std::time::Duration::from_millis(kafka.ack_timeout_ms),
            properties: kafka.properties,
            password: kafka.password,
        }
    }

    /// What is wrong with the settings of the topic, when the log is one.
    fn kafka_problem(&self) -> Option<String> {
        if !self.kafka.is_used() {
            return None;
        }
        #[cfg(feature = "kafka")]
        return self.of_kafka().check().err().map(|error| error.to_string());
        #[cfg(not(feature = "kafka"))]
        return Some("kafka.brokers: this program was built without the feature `kafka`".to_owned());
    }

    /// Whether tables and their list are in the data folder.
    pub fn holds_its_tables(&self) -> bool {
        self.catalog.kind == CatalogKind::Embedded && self.table.location.is_empty()
    }

    /// What is wrong with values beside each other, each naming its key. A value tried alone says nothing about it.
    pub fn contradictions(&self) -> Vec<String> {
        let mut found = self.catalog.problems(&self.metastore);
        found.extend(self.s3.problems());
        found.extend(self.server.role.problems(&self.kafka.brokers, &self.metastore.url));
        found
    }

    /// Everything that is wrong with the values, all at once, each naming its key.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut check = |ok: bool, text: String| {
            if !ok {
                found.push(text);
            }
        };
        for network in &self.server.trusted_proxies {
            check(
                crate::client_ip::Network::parse(network).is_some(),
                format!("server.trusted_proxies: `{network}` is not a network such as 10.0.0.0/8"),
            );
        }
        let prefix = &self.server.path_prefix;
        check(
            prefix.is_empty() || (prefix.starts_with('/') && !prefix.ends_with('/')),
            format!("server.path_prefix: `{prefix}` must start with / and not end with it"),
        );
        let url = &self.server.public_url;
        check(
            url.is_empty() || url.starts_with("http://") || url.starts_with("https://"),
            format!("server.public_url: `{url}` must start with http:// or https://"),
        );
        let fixed = &self.clock.fixed;
        check(
            fixed.is_empty() || fixed.parse::<jiff::Timestamp>().is_ok(),
            format!("clock.fixed: `{fixed}` is not an RFC 3339 time such as 2026-01-01T12:00:00Z"),
        );
        let (project, personal) = (&self.bootstrap.project_key, &self.bootstrap.personal_key);
        check(
            project.is_empty() || event::token::validate(project).is_ok(),
            "bootstrap.project_key: must be 1 to 64 ASCII characters and not start with phx_".into(),
        );
        check(
            personal.is_empty() || personal.starts_with("phx_"),
            "bootstrap.personal_key: must start with phx_".into(),
        );
        check(
            matches!(self.telemetry.format.as_str(), "text" | "json"),
            format!("telemetry.format: `{}` is neither text nor json", self.telemetry.format),
        );
        for (key, value) in [
            ("server.max_connections", self.server.max_connections),
            ("server.inflight_bytes", self.server.inflight_bytes),
            ("server.header_timeout_ms", self.server.header_timeout_ms as usize),
            ("server.body_timeout_ms", self.server.body_timeout_ms as usize),
            ("server.body_deadline_ms", self.server.body_deadline_ms as usize),
            ("capture.max_body_bytes", self.capture.max_body_bytes),
            ("capture.max_event_bytes", self.capture.max_event_bytes),
            ("query.max_rows", self.query.max_rows),
            ("query.default_rows", self.query.default_rows),
            ("query.concurrency", self.query.concurrency),
            ("query.timeout_seconds", self.query.timeout_seconds as usize),
            ("ingest.commit_seconds", self.ingest.commit_seconds as usize),
        ] {
            check(value > 0, format!("{key}: must be greater than 0"));
        }
        if let Some(error) = self.metastore.problem() {
            found.push(format!("metastore.url: {error}"));
        }
        found.extend(self.table.problem());
        found.extend(self.kafka_problem());
        if let Err(error) = self.of_log().check() {
            found.push(error.to_string());
        }
        found
    }
}
