//! What every handler needs, in one place.

use crate::care::{Desk, Hands, Job};
use crate::client_ip::Network;
use crate::clock::Clock;
use crate::moments::Moments;
use crate::pressure::Pressure;
use crate::role::Absent;
use crate::settings::Settings;
use event::Rejection;
use eventlog::Partitions;
use ingest::{Directory, Door};
use metastore::Metastore;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use table::outside::Outside;

/// The state shared by all requests: one pointer, because every request clones it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl App {
    /// Makes the state out of its parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Where events go.
    ///
    /// # Errors
    /// In a process that takes none.
    pub fn door(&self) -> Result<&Door, Rejection> {
        self.door.as_ref().ok_or(Rejection::Retry)
    }

    /// SQL.
    ///
    /// # Errors
    /// In a process that does not answer.
    pub fn engine(&self) -> Result<&query::Engine, Absent> {
        self.engine.as_deref().ok_or(Absent)
    }

    /// What table care works on.
    ///
    /// # Errors
    /// In a process that does not write.
    pub fn hands(&self) -> Result<&Hands, Absent> {
        self.care.as_ref().map(|(hands, _)| hands).ok_or(Absent)
    }

    /// Asks for table care; false when nothing more can wait.
    ///
    /// # Errors
    /// In a process that does not write.
    pub fn ask_care(&self, job: Job) -> Result<bool, Absent> {
        self.care.as_ref().map(|(_, desk)| desk.ask(job)).ok_or(Absent)
    }

    /// The tables as other programs may use them.
    ///
    /// # Errors
    /// In a process that does not answer.
    pub fn outside(&self) -> Result<&Outside, Absent> {
        self.outside.as_ref().ok_or(Absent)
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// What is in it.
pub struct Parts {
    /// The settings in force.
    pub settings: Settings,
    /// Networks whose forwarding headers are believed.
    pub trusted: Vec<Network>,
    /// Where the time comes from.
    pub clock: Clock,
    /// Where events go, in a process that takes some.
    pub door: Option<Door>,
    /// The log, in a process that appends to it.
    pub log: Option<Partitions>,
    /// Which project a key belongs to.
    pub directory: Arc<Directory>,
    /// Projects, keys, persons.
    pub metastore: Arc<dyn Metastore>,
    /// SQL, in a process that answers.
    pub engine: Option<Arc<query::Engine>>,
    /// The tables as other programs may use them, in a process that answers.
    pub outside: Option<Outside>,
    /// What table care works on and where it is asked for, in a process that writes.
    pub care: Option<(Hands, Desk)>,
    /// The data folder.
    pub data: PathBuf,
    /// What is held for backups that are being fetched.
    pub moments: Arc<Moments>,
    /// Numbers.
    pub metrics: telemetry::Handle,
    /// How much is asked of the server now.
    pub pressure: Arc<Pressure>,
    /// Whether requests are welcome.
    pub readiness: Arc<Readiness>,
}

/// Whether this process should receive traffic.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// Says yes or no.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// Whether it should.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
