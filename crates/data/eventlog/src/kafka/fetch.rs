//! Reading: one consumer, told what to read, on a thread of its own that keeps a bounded number of records ready.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Message as _, Offset as Place, TopicPartitionList};
use tokio::sync::Notify;

use super::settings::Settings;
use super::{Ends, fault};
use crate::{Error, Kind, Offset, Record, Result};

/// Bytes of records kept ready for all partitions together; the client beneath keeps 4 MiB for each.
const READY_BYTES: usize = 8 << 20;
/// What a record costs beside its bytes.
const OVERHEAD: usize = 64;
/// How long a call to the client may take: so long is waited at the end.
const POLL: Duration = Duration::from_millis(100);
/// Longest wait for records that are known to be there: after it the caller asks again.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is ready of one partition.
#[derive(Default)]
struct Lane {
    records: VecDeque<Record>,
    /// Offset of the record that comes next; `None` before the first read.
    next: Option<u64>,
}

#[derive(Default)]
struct State {
    lanes: Vec<Lane>,
    bytes: usize,
    /// Somebody wants to read elsewhere: the consumer must be told.
    moved: bool,
    fault: Option<Error>,
}

struct Shared {
    settings: Settings,
    ends: Vec<Arc<Ends>>,
    state: Mutex<State>,
    /// There is room again, or the consumer is to be moved.
    room: Condvar,
    /// Records have come.
    come: Notify,
    stopped: AtomicBool,
}

/// The consumer and its thread.
pub(super) struct Reader {
    shared: Arc<Shared>,
    consumer: Arc<BaseConsumer>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    pub(super) fn start(settings: &Settings, ends: &[Arc<Ends>]) -> Result<Self> {
        let made = settings.consumer().create();
        let consumer: Arc<BaseConsumer> = Arc::new(
            made.map_err(|error| fault(Kind::Invalid, "make a consumer: see kafka.properties", &error))?,
        );
        let lanes = ends.iter().map(|_| Lane::default()).collect();
        let shared = Arc::new(Shared {
            settings: settings.clone(),
            ends: ends.to_vec(),
            state: Mutex::new(State { lanes, ..State::default() }),
            room: Condvar::new(),
            come: Notify::new(),
            stopped: AtomicBool::new(false),
        });
        let (theirs, at_work) = (Arc::clone(&shared), Arc::clone(&consumer));
        let thread = std::thread::Builder::new()
            .name("kafka-fetch".into())
            .spawn(move || work(&theirs, &at_work))
            .map_err(|e| Error::file("cannot start the thread that reads the log", e))?;
        Ok(Self { shared, consumer, thread: Some(thread) })
    }

    /// See [`crate::EventLog::read`].
    pub(super) async fn read(&self, partition: usize, from: Offset, max_bytes: usize) -> Result<Vec<Record>> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let come = self.shared.come.notified();
            tokio::pin!(come);
            come.as_mut().enable();
            let records = self.take(partition, from, max_bytes)?;
            if !records.is_empty() || from >= self.shared.ends[partition].durable() {
                return Ok(records);
            }
            if tokio::time::timeout_at(deadline, come).await.is_err() {
                return Ok(Vec::new());
            }
        }
    }

    /// Takes what is ready from `from` on; has the consumer moved there when it is elsewhere.
    fn take(&self, partition: usize, from: Offset, max_bytes: usize) -> Result<Vec<Record>> {
        let mut state = self.shared.state.lock();
        if let Some(fault) = &state.fault {
            return Err(fault.clone());
        }
        let State { lanes, bytes, .. } = &mut *state;
        let lane = &mut lanes[partition];
        while lane.records.front().is_some_and(|record| record.offset < from) {
            *bytes -= lane.records.pop_front().map_or(0, |record| record.bytes.len() + OVERHEAD);
        }
        let here = lane.records.front().map_or(lane.next, |record| Some(record.offset.0));
        if here != Some(from.0) {
            let first = self.shared.ends[partition].first();
            if from < first {
                let text = format!(
                    "offset {from} of log partition {partition} is not kept any more, it begins at {first}"
                );
                return Err(Error::new(Kind::NotFound, text));
            }
            *bytes -= lane.records.drain(..).map(|record| record.bytes.len() + OVERHEAD).sum::<usize>();
            lane.next = Some(from.0);
            state.moved = true;
            self.shared.room.notify_one();
            return Ok(Vec::new());
        }
        let mut taken = Vec::new();
        let mut left = max_bytes;
        while let Some(record) = lane.records.front() {
            let length = record.bytes.len();
            if length > left && !taken.is_empty() {
                break;
            }
            left = left.saturating_sub(length);
            *bytes -= length + OVERHEAD;
            taken.extend(lane.records.pop_front());
        }
        self.shared.room.notify_one();
        Ok(taken)
    }

    /// Tells the brokers, for people and their tools, how far a partition is folded. Nothing here reads it back.
    pub(super) fn note(&self, partition: i32, before: Offset) {
        let mut list = TopicPartitionList::new();
        let place = Place::Offset(before.0.cast_signed());
        let noted = list
            .add_partition_offset(&self.shared.settings.topic, partition, place)
            .and_then(|()| self.consumer.commit(&list, CommitMode::Async));
        if let Err(error) = noted {
            tracing::debug!(%error, "the group's offset was not noted");
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.room.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn work(shared: &Shared, consumer: &BaseConsumer) {
    while !shared.stopped.load(Ordering::Acquire) {
        if wait_for_room(shared)
            && let Err(error) = follow(shared, consumer)
        {
            fail(shared, fault(Kind::Unavailable, "say what to read of the log", &error));
        }
        match consumer.poll(POLL) {
            None => {}
            Some(Ok(message)) => {
                let bytes = Bytes::copy_from_slice(message.payload().unwrap_or_default());
                if let (Ok(partition), Ok(offset)) =
                    (usize::try_from(message.partition()), u64::try_from(message.offset()))
                {
                    keep(shared, partition, Record { offset: Offset(offset), bytes });
                }
            }
            Some(Err(error)) => judge(shared, &error),
        }
    }
}

/// Waits until records may come; true when the consumer must be told where to go on.
fn wait_for_room(shared: &Shared) -> bool {
    let mut state = shared.state.lock();
    while state.bytes >= READY_BYTES && !state.moved && !shared.stopped.load(Ordering::Acquire) {
        shared.room.wait(&mut state);
    }
    std::mem::take(&mut state.moved)
}

/// Tells the consumer what to read: of every partition that is read at all, what comes after what is ready.
fn follow(shared: &Shared, consumer: &BaseConsumer) -> std::result::Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for (partition, lane) in (0..).zip(&shared.state.lock().lanes) {
        if let Some(next) = lane.next {
            let place = Place::Offset(next.cast_signed());
            list.add_partition_offset(&shared.settings.topic, partition, place)?;
        }
    }
    consumer.assign(&list)
}

/// Puts a record where its reader finds it.
fn keep(shared: &Shared, partition: usize, record: Record) {
    let mut state = shared.state.lock();
    let State { lanes, bytes, .. } = &mut *state;
    let Some(lane) = lanes.get_mut(partition) else { return };
    let Some(next) = lane.next else { return };
    // What was fetched before the consumer was moved.
    if record.offset.0 < next {
        return;
    }
    if record.offset.0 > next {
        let text = format!(
            "log partition {partition} lacks the records {next} to {}: its topic must have cleanup.policy=delete, and \
             nothing else may write to it or delete from it. Restore the topic, or start again in empty places",
            record.offset.0 - 1
        );
        drop(state);
        telemetry::log::corrupt();
        return fail(shared, Error::new(Kind::Corrupt, text));
    }
    let end = record.offset.next();
    lane.next = Some(end.0);
    *bytes += record.bytes.len() + OVERHEAD;
    lane.records.push_back(record);
    drop(state);
    shared.ends[partition].grow(end);
    shared.come.notify_waiters();
}

/// What passes is waited for; what does not is told to who reads.
fn judge(shared: &Shared, error: &KafkaError) {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset) => {
            telemetry::log::corrupt();
            let doing = "read the log: its topic does not hold the records that come next (removed by retention before \
                         they were in the tables, or made anew). Restore the topic, or see kafka.skip_lost";
            fail(shared, fault(Kind::Corrupt, doing, error));
        }
        Some(
            RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::InvalidMessage,
        ) => {
            telemetry::log::corrupt();
            fail(shared, fault(Kind::Corrupt, "read the log: a record does not match its checksum", error));
        }
        Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed) => {
            tracing::error!(%error, "the brokers do not let this process read the log; trying again");
        }
        _ => tracing::debug!(%error, "the log's consumer reports"),
    }
}

fn fail(shared: &Shared, error: Error) {
    shared.state.lock().fault = Some(error);
    shared.ends.iter().for_each(|ends| ends.grow(Offset::ZERO));
    shared.come.notify_waiters();
}
