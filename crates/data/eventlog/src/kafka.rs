//! A log in a topic of a Kafka-protocol broker: each partition of the topic is a log partition.
//!
//! Acknowledged means: by all replicas in sync (`acks=all`), from an idempotent producer. What is kept, and for how long,
//! is the topic's `retention.ms` and `retention.bytes`: [`EventLog::release`] deletes nothing, it notes the offset as
//! that of the consumer group `tenrec-TOPIC`, so that an operator's tools show the lag.
//!
//! | to change | open |
//! |---|---|
//! | properties of the clients | `kafka/settings.rs` |
//! | acknowledgements, a broker that is away | `kafka/produce.rs` |
//! | reading, what is missing | `kafka/fetch.rs` |

mod fetch;
mod produce;
mod settings;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use rdkafka::{Message as _, Offset as Place, TopicPartitionList};
use tokio::sync::watch;

pub use settings::Settings;

use crate::{Append, Error, EventLog, Kind, Offset, Partitions, Payload, Record, Result, Stats};
use fetch::Reader;
use produce::{Health, Producer};

/// How long the brokers may take to answer when the log is opened.
const OPENING: Duration = Duration::from_secs(6);
/// How often a broker that is away is asked.
const ASK: Duration = Duration::from_millis(500);
/// How often the ends of the partitions are asked for.
const LOOK: Duration = Duration::from_secs(10);

/// Where a partition begins and ends, as far as this process knows, and what waits to be in it.
pub(crate) struct Ends {
    first: AtomicU64,
    durable: watch::Sender<Offset>,
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
}

impl Ends {
    fn new(first: u64, durable: u64) -> Self {
        let (durable, _) = watch::channel(Offset(durable));
        Self {
            first: AtomicU64::new(first),
            durable,
            waiting: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
        }
    }

    fn first(&self) -> Offset {
        Offset(self.first.load(Ordering::Acquire))
    }

    fn durable(&self) -> Offset {
        *self.durable.borrow()
    }

    /// Notes that everything below `end` is durable; wakes whoever follows even when that was known.
    fn grow(&self, end: Offset) {
        self.durable.send_modify(|durable| *durable = end.max(*durable));
    }

    fn join(&self, bytes: usize) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn leave(&self, bytes: usize) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// What all partitions of a topic share.
struct Cluster {
    producer: Arc<Producer>,
    health: Arc<Health>,
    reader: Option<Reader>,
    watcher: Mutex<Option<(mpsc::Sender<()>, JoinHandle<()>)>>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.watcher.lock().take() {
            drop(stop);
            thread.join().ok();
        }
    }
}

/// One partition.
struct Partition {
    number: usize,
    ends: Arc<Ends>,
    cluster: Arc<Cluster>,
}

/// Opens the topic, made when it is not there.
///
/// `floors` says how far each partition has been folded, for the process that folds; without it nothing can be read.
///
/// # Errors
/// `Invalid` for settings that do not fit each other or the topic; `Unavailable` when the brokers do not answer.
pub async fn open(settings: &Settings, floors: Option<Vec<u64>>) -> Result<Partitions> {
    settings.check()?;
    let health = Arc::new(Health::default());
    let producer = Arc::new(Producer::new(settings, Arc::clone(&health))?);
    if !is_there(settings, &producer).await? {
        create(settings).await?;
    }
    let (client, wanted) = (Arc::clone(&producer), settings.clone());
    let known = floors.clone();
    let ends = blocking(move || find_ends(&wanted, &client, known.as_deref())).await?;
    let reader = match floors {
        Some(_) => Some(Reader::start(settings, &ends)?),
        None => None,
    };
    let watcher = watch_over(settings, &producer, &health, &ends)?;
    let watcher = Mutex::new(Some(watcher));
    let cluster = Arc::new(Cluster { producer, health, reader, watcher });
    let partition = |(number, ends)| -> Arc<dyn EventLog> {
        Arc::new(Partition { number, ends, cluster: Arc::clone(&cluster) })
    };
    let all = ends.into_iter().enumerate().map(partition).collect();
    Partitions::new(all).ok_or_else(|| Error::new(Kind::Invalid, "the topic has no partitions"))
}

/// Whether the topic exists, with as many partitions as it should have.
async fn is_there(settings: &Settings, producer: &Arc<Producer>) -> Result<bool> {
    let (producer, topic) = (Arc::clone(producer), settings.topic.clone());
    let found = blocking(move || {
        // All topics, because a question for one may make it.
        let metadata = producer.client().client().fetch_metadata(None, OPENING);
        let metadata = metadata.map_err(|error| {
            fault(
                Kind::Unavailable,
                "reach the brokers of the log (kafka.brokers): start them, check the address",
                &error,
            )
        })?;
        Ok(metadata.topics().iter().find(|found| found.name() == topic).map(|found| found.partitions().len()))
    });
    match found.await? {
        None => Ok(false),
        Some(count) if count == settings.partitions => Ok(true),
        Some(count) => {
            let text = format!(
                "the topic {} has {count} partition(s), but kafka.partitions is {}: set it to {count}. The number must \
                 not change while records are in the topic: a project's records would not stay in order",
                settings.topic, settings.partitions
            );
            Err(Error::new(Kind::Invalid, text))
        }
    }
}

/// Makes the topic. Retention stays what the brokers are set to.
async fn create(settings: &Settings) -> Result<()> {
    let failed = |error: &KafkaError| {
        fault(Kind::Unavailable, "make the topic of the log: make it yourself, or allow this user to", error)
    };
    let admin: AdminClient<DefaultClientContext> =
        settings.producer().create().map_err(|error| failed(&error))?;
    let partitions = i32::try_from(settings.partitions).unwrap_or(i32::MAX);
    let copies = i32::try_from(settings.replication).ok().filter(|copies| *copies > 0).unwrap_or(-1);
    let largest = (settings.max_record_bytes + 1024).to_string();
    let topic = NewTopic::new(&settings.topic, partitions, TopicReplication::Fixed(copies))
        .set("cleanup.policy", "delete")
        .set("max.message.bytes", &largest);
    let options = AdminOptions::new().operation_timeout(Some(OPENING)).request_timeout(Some(OPENING));
    let made = admin.create_topics([&topic], &options).await.map_err(|error| failed(&error))?;
    match made.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | None => {}
        Some(Err((_, code))) => return Err(failed(&KafkaError::AdminOp(code))),
        Some(Ok(_)) => tracing::info!(topic = settings.topic, partitions, "made the topic of the log"),
    }
    Ok(())
}

fn find_ends(settings: &Settings, producer: &Producer, floors: Option<&[u64]>) -> Result<Vec<Arc<Ends>>> {
    let floors = floors.unwrap_or_default();
    if floors.len() > settings.partitions {
        let text = format!(
            "the metastore has folded {} log partitions, but kafka.partitions is {}",
            floors.len(),
            settings.partitions
        );
        return Err(Error::new(Kind::Invalid, text));
    }
    let mut all = Vec::with_capacity(settings.partitions);
    for partition in 0..settings.partitions {
        let number = i32::try_from(partition).unwrap_or(i32::MAX);
        let (first, mut end) = watermarks(settings, producer, number, Instant::now() + OPENING)?;
        let floor = floors.get(partition).copied().unwrap_or(0);
        // Some brokers tell an end that is too low; the record before the floor is a better witness.
        if end < floor && floor > first && holds(settings, number, floor - 1)? {
            end = floor;
        }
        all.push(Arc::new(Ends::new(first, end)));
    }
    Ok(all)
}

/// The first offset and the one after the last. A topic that was just made may take a moment to be known.
fn watermarks(settings: &Settings, producer: &Producer, number: i32, until: Instant) -> Result<(u64, u64)> {
    loop {
        match producer.client().client().fetch_watermarks(&settings.topic, number, OPENING) {
            Ok((first, end)) => return Ok((first.try_into().unwrap_or(0), end.try_into().unwrap_or(0))),
            Err(error) if Instant::now() >= until => {
                return Err(fault(Kind::Unavailable, "find the ends of the log's partitions", &error));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Whether the record at an offset can be read.
fn holds(settings: &Settings, number: i32, offset: u64) -> Result<bool> {
    let failed = |error: KafkaError| fault(Kind::Unavailable, "look for the last folded record", &error);
    let consumer: BaseConsumer = settings.consumer().create().map_err(failed)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&settings.topic, number, Place::Offset(offset.cast_signed()))
        .map_err(failed)?;
    consumer.assign(&list).map_err(failed)?;
    let until = Instant::now() + OPENING;
    while Instant::now() < until {
        match consumer.poll(ASK) {
            Some(Ok(message)) => return Ok(message.offset() == offset.cast_signed()),
            Some(Err(error))
                if matches!(
                    error.rdkafka_error_code(),
                    Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset)
                ) =>
            {
                return Ok(false);
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(false)
}

/// Starts the thread that asks brokers that are away, renews a broken producer, and follows the ends.
fn watch_over(
    settings: &Settings,
    producer: &Arc<Producer>,
    health: &Arc<Health>,
    ends: &[Arc<Ends>],
) -> Result<(mpsc::Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = mpsc::channel::<()>();
    let (settings, producer, health) = (settings.clone(), Arc::clone(producer), Arc::clone(health));
    let ends = ends.to_vec();
    let work = move || {
        let mut looked = Instant::now();
        while stopped.recv_timeout(ASK) == Err(mpsc::RecvTimeoutError::Timeout) {
            producer.renew();
            let client = producer.client();
            if health.is_down() {
                if client.client().fetch_metadata(Some(&settings.topic), ASK * 2).is_err() {
                    continue;
                }
                health.rose();
            }
            if looked.elapsed() < LOOK {
                continue;
            }
            looked = Instant::now();
            for (number, ends) in (0..).zip(&ends) {
                if let Ok((first, end)) = client.client().fetch_watermarks(&settings.topic, number, ASK * 2) {
                    ends.first.fetch_max(first.try_into().unwrap_or(0), Ordering::AcqRel);
                    ends.grow(Offset(end.try_into().unwrap_or(0)));
                }
            }
            telemetry::log::durable(ends.iter().map(|ends| ends.durable().0).sum());
        }
    };
    let thread = std::thread::Builder::new().name("kafka-watch".into()).spawn(work);
    Ok((stop, thread.map_err(|e| Error::file("cannot start the thread that watches the brokers", e))?))
}

#[async_trait]
impl EventLog for Partition {
    fn append(&self, payload: Payload) -> Append {
        let number = i32::try_from(self.number).unwrap_or(i32::MAX);
        self.cluster.producer.append(number, &self.ends, &payload)
    }

    async fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Record>> {
        match &self.cluster.reader {
            Some(reader) => reader.read(self.number, from, max_bytes).await,
            None => Err(Error::new(Kind::Bug, "this process opened the log to append only")),
        }
    }

    fn first(&self) -> Offset {
        self.ends.first()
    }

    fn durable(&self) -> Offset {
        self.ends.durable()
    }

    fn subscribe(&self) -> watch::Receiver<Offset> {
        self.ends.durable.subscribe()
    }

    async fn release(&self, before: Offset) -> Result<()> {
        if let Some(reader) = &self.cluster.reader {
            reader.note(i32::try_from(self.number).unwrap_or(i32::MAX), before);
        }
        Ok(())
    }

    fn stats(&self) -> Stats {
        Stats {
            first: self.first(),
            durable: self.durable(),
            queued_records: self.ends.waiting.load(Ordering::Relaxed),
            queued_bytes: self.ends.waiting_bytes.load(Ordering::Relaxed),
            ..Stats::default()
        }
    }

    /// Never: a broker that is away comes back, and a producer that cannot go on is made anew.
    fn is_poisoned(&self) -> bool {
        false
    }

    fn is_reachable(&self) -> bool {
        !self.cluster.health.is_down()
    }

    async fn close(&self) -> Result<()> {
        let producer = Arc::clone(&self.cluster.producer);
        blocking(move || producer.close()).await
    }
}

/// Calls the client where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::new(Kind::Bug, "a call to the log's client panicked")))
}

/// What the client said, in the words of a log.
fn fault(kind: Kind, doing: &str, error: &KafkaError) -> Error {
    Error::foreign(kind, format!("cannot {doing}: {error}"), io::Error::other(error.to_string()))
}
