//! Appending: one idempotent producer for all partitions of a topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Message as _};
use tokio::sync::oneshot;

use super::settings::Settings;
use super::{Ends, fault};
use crate::{Append, Error, Kind, Offset, Payload, Result};

/// Whether brokers answer, and whether they still take this producer.
#[derive(Debug, Default)]
pub(super) struct Health {
    down: AtomicBool,
    disowned: AtomicBool,
}

impl Health {
    /// Whether appends are refused until somebody has heard from a broker.
    pub(super) fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    pub(super) fn fell(&self, reason: &str) {
        if !self.down.swap(true, Ordering::AcqRel) {
            tracing::warn!(reason, "the brokers of the log do not answer; requests are told to come again");
        }
    }

    pub(super) fn rose(&self) {
        if self.down.swap(false, Ordering::AcqRel) {
            tracing::info!("the brokers of the log answer again");
        }
    }
}

/// Who waits for a record.
pub(super) struct Ticket {
    ends: Arc<Ends>,
    answer: oneshot::Sender<Result<Offset>>,
    bytes: usize,
}

/// Takes the acknowledgements.
pub(super) struct Context(Arc<Health>);

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => self.0.fell(reason),
            _ => tracing::debug!(%error, reason, "the log's client reports"),
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let Ticket { ends, answer, bytes } = *ticket;
        ends.leave(bytes);
        let answered = match result {
            Ok(message) => match u64::try_from(message.offset()) {
                Ok(offset) => {
                    self.0.rose();
                    ends.grow(Offset(offset).next());
                    Ok(Offset(offset))
                }
                Err(_) => {
                    Err(Error::unavailable("a broker acknowledged a record without saying where it is"))
                }
            },
            Err((error, _)) => {
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageTimedOut) {
                    self.0.fell("a record was not acknowledged in time");
                }
                if error.rdkafka_error_code().is_some_and(is_disowned) {
                    self.0.disowned.store(true, Ordering::Release);
                }
                Err(refusal(error))
            }
        };
        // Nobody may be waiting any more; the record is in the log all the same.
        answer.send(answered).ok();
    }
}

type Inner = ThreadedProducer<Context>;

/// The producer, made anew when it cannot go on.
pub(super) struct Producer {
    settings: Settings,
    health: Arc<Health>,
    inner: RwLock<Arc<Inner>>,
    closed: AtomicBool,
}

impl Producer {
    pub(super) fn new(settings: &Settings, health: Arc<Health>) -> Result<Self> {
        let inner = RwLock::new(Arc::new(make(settings, &health)?));
        Ok(Self { settings: settings.clone(), health, inner, closed: AtomicBool::new(false) })
    }

    /// The client beneath, to ask the cluster things.
    pub(super) fn client(&self) -> Arc<Inner> {
        Arc::clone(&self.inner.read())
    }

    /// Puts a record into the queue of a partition, in the order of the calls.
    pub(super) fn append(&self, partition: i32, ends: &Arc<Ends>, payload: &Payload) -> Append {
        let refuse = |reason: &'static str, error: Error| {
            telemetry::log::refused(reason, 1);
            Append::refused(error)
        };
        let bytes = payload.len();
        if bytes as u64 > self.settings.max_record_bytes {
            let text = format!("a record of {bytes} bytes is above kafka.max_record_bytes");
            return refuse("too_large", Error::new(Kind::Invalid, text));
        }
        if self.closed.load(Ordering::Acquire) {
            return refuse("closed", Error::unavailable("the log is closed"));
        }
        if self.health.is_down() {
            return refuse("unreachable", Error::busy("the brokers of the log do not answer"));
        }
        let [head, body] = payload.parts();
        let joined;
        let whole = if body.is_empty() {
            head
        } else {
            joined = [head, body].concat();
            &joined
        };
        let (answer, append) = Append::channel();
        ends.join(bytes);
        let ticket = Box::new(Ticket { ends: Arc::clone(ends), answer, bytes });
        let record = BaseRecord::<(), [u8], _>::with_opaque_to(&self.settings.topic, ticket)
            .partition(partition)
            .payload(whole);
        let sent = self.inner.read().send(record);
        match sent {
            Ok(()) => append,
            Err((error, _)) => {
                ends.leave(bytes);
                let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                refuse(if full { "queue_full" } else { "unreachable" }, refusal(&error))
            }
        }
    }

    /// Puts a new producer in the place of one that says it cannot go on. What it had not delivered was answered with an
    /// error, and the new one has another identity: nothing is appended twice by it.
    pub(super) fn renew(&self) {
        let fatal = self.client().client().fatal_error();
        if fatal.is_none() && !self.health.disowned.swap(false, Ordering::AcqRel) {
            return;
        }
        tracing::warn!(?fatal, "the log's producer cannot go on; making a new one");
        match make(&self.settings, &self.health) {
            Ok(inner) => *self.inner.write() = Arc::new(inner),
            Err(error) => tracing::error!(%error, "cannot make a producer; trying again"),
        }
    }

    /// Takes no more records and waits until those taken are acknowledged or refused.
    pub(super) fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        let flushed = self.client().flush(self.settings.ack_timeout * 2);
        flushed.map_err(|error| fault(Kind::Unavailable, "wait for the last acknowledgements", &error))
    }
}

fn make(settings: &Settings, health: &Arc<Health>) -> Result<Inner> {
    settings
        .producer()
        .create_with_context(Context(Arc::clone(health)))
        .map_err(|error| fault(Kind::Invalid, "make a producer: see kafka.properties", &error))
}

/// Whether the brokers take nothing more from this producer: after acknowledgements that did not come in time, they and the
/// client may count its records differently for good.
fn is_disowned(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fatal
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch
            | RDKafkaErrorCode::InvalidProducerIdMapping
            | RDKafkaErrorCode::OutOfOrderSequenceNumber
            | RDKafkaErrorCode::UnknownProducerId
    )
}

/// Why a record is not in the log, or may not be.
fn refusal(error: &KafkaError) -> Error {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => fault(
            Kind::Invalid,
            "append a record: raise max.message.bytes of the topic to kafka.max_record_bytes",
            error,
        ),
        // Nothing was sent.
        Some(RDKafkaErrorCode::QueueFull) => Error::busy("too many records wait for the brokers of the log"),
        _ => fault(Kind::Unavailable, "append a record", error),
    }
}
