//! Table care: on a schedule, and when somebody asks for it. One thing at a time.
//!
//! A round forgets persons whose erasure was asked for, drops days that are too old, merges small files, lets old
//! snapshots go and looks for orphans. Commands and erasures of others come in between two rounds.

pub mod command;
pub mod door;
pub mod erase;
mod round;

use crate::clock::Clock;
use crate::settings;
use command::{Command, Line};
use ingest::pump::Orders;
use metastore::Metastore;
use std::sync::Arc;
use std::time::Duration;
use table::Warehouse;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};

/// How often unfinished erasures are looked at when there are no rounds.
const IDLE: Duration = Duration::from_secs(60);
/// Commands that wait.
const WAITING: usize = 16;

/// What care works on.
#[derive(Clone)]
pub struct Hands {
    /// The tables.
    pub warehouse: Arc<Warehouse>,
    /// Projects and erasures.
    pub metastore: Arc<dyn Metastore>,
    /// The pump of this process; none when it has ended and everything is committed.
    pub orders: Option<Orders>,
    /// Where the time comes from.
    pub clock: Clock,
    /// Settings `[care]`.
    pub settings: settings::Care,
}

/// Who wants to hear of a piece of work. Whoever stops listening does not stop the work.
pub type Listener = mpsc::UnboundedSender<Line>;

/// Work that somebody asks for.
#[derive(Debug)]
pub enum Job {
    /// A command.
    Command(Command, Listener),
    /// An erasure that the metastore knows.
    Erase(i64, Listener),
}

/// Where work is asked for.
#[derive(Clone, Debug)]
pub struct Desk(mpsc::Sender<Job>);

impl Desk {
    /// Asks for work; false when nothing more can wait, or the server ends.
    pub fn ask(&self, job: Job) -> bool {
        self.0.try_send(job).is_ok()
    }
}

/// The task. Dropped, it breaks off: what it was merging is merged by a later round.
pub struct Care {
    warehouse: Arc<Warehouse>,
    task: JoinHandle<()>,
    desk: Desk,
}

impl Drop for Care {
    fn drop(&mut self) {
        self.warehouse.stop_care();
        self.task.abort();
    }
}

impl Care {
    /// Starts the task; the first round comes after one interval, unfinished erasures at once.
    pub fn start(hands: Hands) -> Self {
        let (sender, jobs) = mpsc::channel(WAITING);
        let warehouse = hands.warehouse.clone();
        Self { warehouse, task: tokio::spawn(work(hands, jobs)), desk: Desk(sender) }
    }

    /// Where work is asked for.
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }
}

async fn work(hands: Hands, mut jobs: mpsc::Receiver<Job>) {
    let seconds = hands.settings.every_seconds;
    let every = if seconds == 0 { IDLE } else { Duration::from_secs(seconds) };
    let mut tick = interval_at(tokio::time::Instant::now() + every, every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rounds = round::Rounds::default();
    erase::resume(&hands).await;
    loop {
        tokio::select! {
            // The desk keeps the channel open for as long as the task lives.
            Some(job) = jobs.recv() => carry_out(&hands, job).await,
            _ = tick.tick() => {
                erase::resume(&hands).await;
                if seconds > 0 {
                    rounds.run(&hands).await;
                }
                erase::conclude(&hands).await;
            }
        }
    }
}

async fn carry_out(hands: &Hands, job: Job) {
    let listener = match &job {
        Job::Command(_, listener) | Job::Erase(_, listener) => listener.clone(),
    };
    // Nobody listens any more: the work is done all the same.
    let mut tell = |line| drop(listener.send(line));
    let done = match job {
        Job::Command(command, _) => command::run(hands, &command, &mut tell).await,
        Job::Erase(id, _) => erase::carry_out(hands, id, &mut tell).await,
    };
    match done {
        Ok(()) => tell(Line::Done),
        Err(failure) => {
            tracing::warn!(error = %failure.said, "table care that was asked for failed");
            tell(Line::Failed { detail: failure.told().to_owned() });
        }
    }
}

/// Why work failed.
#[derive(Debug)]
pub struct Failure {
    /// For the log and for whoever owns the machine.
    pub said: String,
    /// Whether a caller far away may read it.
    is_open: bool,
}

impl Failure {
    /// What a caller far away is told.
    pub fn told(&self) -> &str {
        if self.is_open { &self.said } else { "The server could not do it; its log says why." }
    }
}

impl From<table::Error> for Failure {
    fn from(error: table::Error) -> Self {
        use table::Kind::{Conflict, Invalid, NotFound};
        let is_open = matches!(error.kind(), Conflict | Invalid | NotFound);
        Self { said: error.to_string(), is_open }
    }
}

impl From<metastore::Error> for Failure {
    fn from(error: metastore::Error) -> Self {
        let is_open = matches!(error.kind(), metastore::Kind::NotFound | metastore::Kind::Invalid);
        Self { said: error.to_string(), is_open }
    }
}

impl From<ingest::Error> for Failure {
    fn from(error: ingest::Error) -> Self {
        Self { said: error.chain(), is_open: false }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.said)
    }
}

impl std::error::Error for Failure {}
