//! Appends waiting for the writer, bounded by bytes.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::batch::Sealed;
use crate::{Append, Error, Kind, Offset, Payload, Result, Settings};

/// What a record costs beside its bytes.
const OVERHEAD: usize = 64;

/// An append that waits.
pub(crate) struct Waiting {
    pub(crate) record: Sealed,
    pub(crate) answer: oneshot::Sender<Result<Offset>>,
}

/// Hands appends from many callers to one writer.
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    max_bytes: usize,
    max_record: usize,
    max_batch: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Records and bytes taken and not answered yet, those being written included.
    records: usize,
    bytes: usize,
    closed: Option<Error>,
}

impl Queue {
    pub(crate) fn new(settings: &Settings) -> Queue {
        Queue {
            state: Mutex::default(),
            filled: Condvar::new(),
            max_bytes: settings.max_queue_bytes as usize,
            max_record: settings.max_record_bytes as usize,
            max_batch: settings.max_batch_bytes as usize,
        }
    }

    /// Takes an append, or refuses it at once.
    pub(crate) fn push(&self, payload: Payload) -> Append {
        let length = payload.len();
        if length > self.max_record {
            telemetry::log::refused("too_large", 1);
            let message = format!("a record of {length} bytes is above the limit of {}", self.max_record);
            return Append::refused(Error::new(Kind::Invalid, message));
        }
        // Checked here and not by the writer: this thread has the bytes at hand.
        let record = Sealed::new(payload);
        let (answer, append) = Append::channel();
        let mut state = self.state.lock();
        if let Some(error) = &state.closed {
            let error = error.clone();
            drop(state);
            telemetry::log::refused("closed", 1);
            return Append::refused(error);
        }
        if state.records > 0 && state.bytes + length + OVERHEAD > self.max_bytes {
            drop(state);
            telemetry::log::refused("queue_full", 1);
            return Append::refused(Error::busy("too many records wait for the log disk"));
        }
        state.bytes += length + OVERHEAD;
        state.records += 1;
        state.waiting.push_back(Waiting { record, answer });
        drop(state);
        self.filled.notify_one();
        append
    }

    /// Waits for appends and moves one batch of them into `batch`; false when there will be none.
    pub(crate) fn take(&self, batch: &mut Vec<Waiting>) -> bool {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            if state.closed.is_some() {
                return false;
            }
            self.filled.wait(&mut state);
        }
        let mut bytes = 0;
        while let Some(next) = state.waiting.front() {
            bytes += next.record.payload.len();
            if bytes > self.max_batch && !batch.is_empty() {
                break;
            }
            batch.extend(state.waiting.pop_front());
        }
        true
    }

    /// Gives back the room of answered appends.
    pub(crate) fn settle(&self, records: usize, bytes: usize) {
        let mut state = self.state.lock();
        state.records -= records;
        state.bytes -= bytes + records * OVERHEAD;
    }

    /// Refuses appends from now on, with this error; the first call decides.
    pub(crate) fn close(&self, error: Error) {
        self.state.lock().closed.get_or_insert(error);
        self.filled.notify_one();
    }

    /// Refuses appends from now on and forgets those that wait, whose futures end with an error.
    pub(crate) fn abandon(&self, error: Error) {
        let mut state = self.state.lock();
        state.closed = Some(error);
        state.waiting.clear();
    }

    /// Gives records and bytes taken and not answered yet.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.records, state.bytes - state.records * OVERHEAD)
    }
}
