//! Writers that send at the same time, through everything that happens to the server.

use super::oracle::Oracle;
use super::writer::{self, Sent, Style};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use testkit::Api;
use testkit::server::{PERSONAL_KEY, PROJECT_KEY};

/// What a crew shares.
pub struct Progress {
    /// Asks the writers to come to an end.
    pub ending: Arc<AtomicBool>,
    /// Events acked.
    pub events: Arc<AtomicU64>,
}

/// Writers at work.
pub struct Crew {
    ending: Arc<AtomicBool>,
    events: Arc<AtomicU64>,
    writers: Vec<JoinHandle<Sent>>,
}

impl Crew {
    /// Sets `count` writers to work on the server at `url`.
    pub fn start(url: &str, oracle: Oracle, count: u64, style: Style) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let events = Arc::new(AtomicU64::new(0));
        let writers = (0..count)
            .map(|number| {
                let api = Api::new(url, PROJECT_KEY, PERSONAL_KEY);
                let (ending, events) = (Arc::clone(&ending), Arc::clone(&events));
                let progress = Progress { ending, events };
                std::thread::spawn(move || writer::write(&api, &oracle, (number, style), &progress))
            })
            .collect();
        Self { ending, events, writers }
    }

    /// Events acked so far.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Lets every writer finish the order it is at, and gives what was sent. The server must be up for that.
    pub fn end(self) -> anyhow::Result<Vec<Sent>> {
        self.ending.store(true, Ordering::Relaxed);
        let ended = self.writers.into_iter().map(JoinHandle::join);
        ended.map(|sent| sent.map_err(|_| anyhow::anyhow!("a writer panicked"))).collect()
    }
}
