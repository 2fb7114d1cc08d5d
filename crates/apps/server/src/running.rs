//! A running server: watching its parts, and stopping them in order.

use crate::app::Readiness;
use crate::bootstrap::FirstStart;
use crate::care::Care;
use crate::follow::Follow;
use crate::start::Failure;
use eventlog::Partitions;
use ingest::{Directory, Pump};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// How often projects made by other processes are looked for, and the health of the log.
const REFRESH: Duration = Duration::from_secs(1);
/// Time from the signal to the end. The last commit gets what the requests in flight leave of it; what it does not finish
/// is folded again at the next start.
const STOP: Duration = Duration::from_secs(9);

/// What stops separately.
pub struct Parts {
    /// The log, in a process that has to do with it.
    pub log: Option<Partitions>,
    /// Keeps other processes out of the data folder.
    pub folder: Option<eventlog::disk::Local>,
    /// Projects by key.
    pub directory: Arc<Directory>,
    /// Whether traffic is welcome.
    pub readiness: Arc<Readiness>,
    /// Turns true to stop accepting.
    pub stop_accepting: watch::Sender<bool>,
    /// The accept loop.
    pub serving: JoinHandle<()>,
    /// Table care; breaks off when dropped.
    pub care: Option<Care>,
    /// Looks for what another process commits, until dropped.
    pub follow: Option<Follow>,
}

/// The thread that folds, with a runtime of its own: folding and committing are CPU work without pauses, and on the
/// threads of the doors every request would wait for them.
struct PumpThread {
    thread: Option<std::thread::JoinHandle<()>>,
    /// Sends nothing: its end is the sign to break off, wherever the pump is. The log keeps what was not committed.
    lease: Option<oneshot::Sender<()>>,
}

impl PumpThread {
    fn start(pump: Pump, stop: watch::Receiver<bool>, done: oneshot::Sender<Pumped>) -> Self {
        let (lease, ended) = oneshot::channel::<()>();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).thread_name("pump").enable_time();
        // Without a thread or a runtime `done` is dropped, which `until` reports as a stopped pump.
        let spawned = std::thread::Builder::new().name("pump".into()).spawn(move || {
            let Ok(runtime) = runtime.build() else { return };
            runtime.block_on(async move {
                tokio::select! {
                    biased;
                    _ = ended => {}
                    result = pump.run(stop) => drop(done.send(result)),
                }
            });
        });
        Self { thread: spawned.ok(), lease: Some(lease) }
    }
}

impl Drop for PumpThread {
    fn drop(&mut self) {
        self.lease = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How the pump ended.
type Pumped = Result<(), ingest::Error>;

/// A server that listens. Dropped, or its runtime dropped, it breaks off as if killed; [`Running::until`] ends it well.
pub struct Running {
    /// The address in use; the port is a real one even when 0 was asked for.
    pub address: SocketAddr,
    /// Keys, if this was the first start.
    pub first: Option<FirstStart>,
    parts: Parts,
    stop_pump: watch::Sender<bool>,
    pumped: oneshot::Receiver<Pumped>,
    /// Dropped with the server; the task that holds the pump's thread waits for that.
    _held: oneshot::Sender<()>,
}

impl Running {
    /// Starts the pump, if this process has one, and opens for traffic.
    pub fn new(address: SocketAddr, first: Option<FirstStart>, parts: Parts, pump: Option<Pump>) -> Self {
        let (stop_pump, stopping) = watch::channel(false);
        let (done, pumped) = oneshot::channel();
        let (held, released) = oneshot::channel();
        match pump {
            Some(pump) => {
                let thread = PumpThread::start(pump, stopping, done);
                // A runtime that ends drops its tasks before its timers, and so this task ends the thread in time.
                tokio::spawn(async move {
                    let thread = thread;
                    let _ = released.await;
                    drop(thread);
                });
            }
            // Nothing is folded here, so it ends well as soon as it is to end.
            None => drop(tokio::spawn(async move {
                let mut stopping = stopping;
                if stopping.wait_for(|stop| *stop).await.is_ok() {
                    let _ = done.send(Ok(()));
                }
            })),
        }
        parts.readiness.set(true);
        Self { address, first, parts, stop_pump, pumped, _held: held }
    }

    /// Serves until `signal` completes, then stops in order; or until a part cannot go on.
    ///
    /// # Errors
    /// What ended the server against its will. The process must exit and start again from what is on disk.
    pub async fn until(mut self, signal: impl Future<Output = ()>) -> Result<(), Failure> {
        tokio::pin!(signal);
        let mut tick = tokio::time::interval(REFRESH);
        let failure = loop {
            tokio::select! {
                () = &mut signal => break None,
                ended = &mut self.pumped => break Some(pump_failure(ended)),
                _ = tick.tick() => {
                    if self.parts.log.as_ref().is_some_and(Partitions::is_poisoned) {
                        break Some("the log cannot be written any more; see the log lines above, check the disk, and \
                                    start again: everything acknowledged is kept".into());
                    }
                    if let Err(error) = self.parts.directory.refresh().await {
                        tracing::warn!(error = %error.chain(), "cannot look for new projects; trying again");
                    }
                }
            }
        };
        self.stop(failure).await
    }

    /// Stops in the order of the data: doors, log, pump.
    async fn stop(self, failure: Option<Failure>) -> Result<(), Failure> {
        let deadline = tokio::time::Instant::now() + STOP;
        self.parts.readiness.set(false);
        drop((self.parts.care, self.parts.follow));
        let _ = self.parts.stop_accepting.send(true);
        let _ = self.parts.serving.await;
        if let Some(failure) = failure {
            return Err(failure);
        }
        let _ = self.stop_pump.send(true);
        match tokio::time::timeout_at(deadline, self.pumped).await {
            Ok(Ok(Ok(()))) => {}
            Ok(ended) => return Err(pump_failure(ended)),
            Err(_) => {
                tracing::info!("the last commit takes longer than the shutdown may; the log keeps its events")
            }
        }
        if let Some(log) = self.parts.log {
            log.close().await?;
        }
        Ok(())
    }
}

fn pump_failure(ended: Result<Pumped, oneshot::error::RecvError>) -> Failure {
    match ended {
        Ok(Err(error)) => format!("cannot go on: {}", error.chain()).into(),
        Ok(Ok(())) => "the pump stopped without being asked".into(),
        Err(_) => "the pump broke off; this is a bug, please report it with the log lines above".into(),
    }
}
