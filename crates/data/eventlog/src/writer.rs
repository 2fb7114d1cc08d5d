//! The writer thread: take all that waits, write, flush, publish, answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::journal::Journal;
use crate::queue::{Queue, Waiting};
use crate::{Error, Offset, Result};

/// What the writer shares with the callers.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) durable: watch::Sender<Offset>,
    pub(crate) poisoned: AtomicBool,
}

/// Runs until the queue is closed and empty, then ends the log cleanly.
pub(crate) fn run(mut journal: Journal, shared: Arc<Shared>) -> Result<()> {
    let mut batch = Vec::new();
    // Declared after `batch`: when this thread panics, everybody knows before anybody is answered.
    let _answer_all = AnswerAll(&shared);
    while shared.queue.take(&mut batch) {
        let result = journal.commit(batch.iter().map(|waiting| &waiting.record));
        match (&result, journal.poison()) {
            (Ok(_), _) => {
                shared.durable.send_replace(journal.end());
                telemetry::log::durable(journal.end().0);
                telemetry::fail_point!("eventlog.before_answer");
            }
            (Err(_), Some(error)) => {
                shared.poisoned.store(true, Ordering::Release);
                shared.queue.close(error.clone());
            }
            (Err(_), None) => {}
        }
        answer(&shared.queue, &mut batch, result);
    }
    match journal.poison() {
        Some(error) => Err(error.clone()),
        None => journal.mark_clean_end(),
    }
}

/// Leaves nobody waiting for a writer that panicked.
struct AnswerAll<'a>(&'a Shared);

impl Drop for AnswerAll<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poisoned.store(true, Ordering::Release);
            self.0.queue.abandon(Error::unavailable("the log's writer thread panicked"));
        }
    }
}

/// Tells each append of a batch how it went.
fn answer(queue: &Queue, batch: &mut Vec<Waiting>, result: Result<Offset>) {
    let records = batch.len();
    let bytes = batch.iter().map(|waiting| waiting.record.payload.len()).sum();
    // Room first: an answered caller may append again at once.
    queue.settle(records, bytes);
    for (number, waiting) in batch.drain(..).enumerate() {
        let answer = match &result {
            Ok(base) => Ok(Offset(base.0 + number as u64)),
            Err(error) => Err(error.clone()),
        };
        // A caller that went away does not want to know.
        waiting.answer.send(answer).ok();
    }
}
