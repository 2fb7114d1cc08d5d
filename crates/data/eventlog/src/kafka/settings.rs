//! How a topic of a Kafka-protocol broker is used as a log.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::{Error, Kind, Result};

/// What an operator may not set in `properties`: the promises of the log depend on it.
const OURS: [&str; 14] = [
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "message.max.bytes",
    "message.timeout.ms",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "request.required.acks",
    "transactional.id",
];

/// Where the topic is and how much may wait for it.
#[derive(Clone)]
pub struct Settings {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// The topic; it belongs to one Tenrec.
    pub topic: String,
    /// Its partitions. Made with so many when it is not there; another number is refused.
    pub partitions: usize,
    /// Copies of each record when the topic is made; 0 for what the brokers are set to.
    pub replication: usize,
    /// Bytes of records taken and not acknowledged; above it appends are `Busy`.
    pub max_queue_bytes: u64,
    /// Size of the largest record; above it an append is `Invalid`.
    pub max_record_bytes: u64,
    /// Time within which the brokers acknowledge a record; after it the append is `Unavailable`.
    pub ack_timeout: Duration,
    /// More properties of librdkafka, `name=value`: TLS, SASL, names of this client.
    pub properties: Vec<String>,
    /// `sasl.password`, apart from the others because it is a secret.
    pub password: String,
}

impl Settings {
    /// Checks what can be checked without a broker.
    ///
    /// # Errors
    /// `Invalid`, naming the setting.
    pub fn check(&self) -> Result<()> {
        let fault = |text: String| Err(Error::new(Kind::Invalid, text));
        if self.topic.is_empty() {
            return fault("kafka.topic: must not be empty".to_owned());
        }
        if self.partitions == 0 || self.partitions > 1024 {
            return fault(format!("kafka.partitions: {} is not from 1 to 1024", self.partitions));
        }
        if !(1024..=900_000_000).contains(&self.max_record_bytes) {
            return fault(format!(
                "kafka.max_record_bytes: {} is not from 1024 to 900000000",
                self.max_record_bytes
            ));
        }
        if self.ack_timeout < Duration::from_millis(500) {
            return fault("kafka.ack_timeout_ms: must be at least 500".to_owned());
        }
        for property in &self.properties {
            let Some((name, _)) = property.split_once('=') else {
                // Not the text itself: somebody may have put a password there.
                return fault("kafka.properties: an entry is not of the form name=value".to_owned());
            };
            if OURS.contains(&name.trim()) {
                return fault(format!(
                    "kafka.properties: {} is set by this program and stays as it is",
                    name.trim()
                ));
            }
            if name.trim() == "sasl.password" {
                return fault(
                    "kafka.properties: put sasl.password into kafka.password, which is not shown".to_owned(),
                );
            }
        }
        Ok(())
    }

    /// What every client of the cluster is made with.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "tenrec")
            .set("bootstrap.servers", &self.brokers)
            .set("socket.keepalive.enable", "true")
            .set("socket.timeout.ms", "10000")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000");
        for (name, value) in self.properties.iter().filter_map(|property| property.split_once('=')) {
            config.set(name.trim(), value.trim());
        }
        if !self.password.is_empty() {
            config.set("sasl.password", &self.password);
        }
        config
    }

    /// A producer whose acknowledgement means: on all replicas in sync, once, in order.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", self.ack_timeout.as_millis().to_string())
            .set("message.max.bytes", (self.max_record_bytes + 1024).to_string())
            .set("queue.buffering.max.kbytes", (self.max_queue_bytes / 1024).max(1).to_string())
            .set("queue.buffering.max.messages", "0")
            .set("compression.type", "lz4")
            // Requests wait for it: long enough that those of one moment share a request to the broker.
            .set("linger.ms", "1");
        config
    }

    /// A consumer that is told what to read and reports every offset it cannot find.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("group.id", format!("tenrec-{}", self.topic))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.error.backoff.ms", "100")
            .set("queued.max.messages.kbytes", "4096")
            .set("receive.message.max.bytes", (self.max_record_bytes + 100_000_000).to_string());
        config
    }
}
