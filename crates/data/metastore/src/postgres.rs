//! The shared metastore: one schema, `tenrec`, of a PostgreSQL database, and a few connections to it.
//!
//! Small facts (projects, keys, cursors, salts) are written one transaction at a time, whoever writes: an advisory lock
//! makes a second writer wait, so that what was checked is still so when it is written. The fold over the log has a
//! connection of its own that holds another advisory lock for as long as it lives: a second process that folds into the
//! same database is refused. Reads of several statements see one moment (`REPEATABLE READ`).
//!
//! The server must be spoken to directly or through a pooler in session mode: locks belong to connections.

mod address;
mod checkpoint;
mod cursor;
mod definition;
mod erasure;
mod fault;
mod fold;
mod group;
mod key;
mod person;
pub mod pointer;
mod project;
mod salt;
mod schema;
mod session;
mod tls;
mod value;

pub use address::{check, masked};

use crate::{Kind, Result};
use address::Address;
use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Transaction};
use fault::Fault;
use serde::{Deserialize, Serialize};
use session::Connector;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_postgres::IsolationLevel;

/// Large commits are made of many statements; all of them together may take this many times what one may.
const COMMIT_STATEMENTS: u32 = 3;

/// How the database is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Connections at the same time, besides the one that folds; at least two.
    pub connections: usize,
    /// Milliseconds within which a connection must be open and a free one must be found.
    pub connect_timeout_ms: u64,
    /// Milliseconds a statement may take.
    pub statement_timeout_ms: u64,
    /// Milliseconds to wait for another process that writes.
    pub busy_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 5,
            connect_timeout_ms: 5_000,
            statement_timeout_ms: 60_000,
            busy_timeout_ms: 5_000,
        }
    }
}

/// A metastore in a PostgreSQL database. Cloning it is cheap and shares the connections.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    place: String,
    /// Longest time of a call that is not a commit.
    limit: Duration,
    connector: Arc<Connector>,
    pool: Pool,
    /// Held by the writer of small facts, so that writers of this process wait here and not on a connection each.
    writing: Arc<Mutex<()>>,
    fold: Mutex<fold::Seat>,
}

impl Postgres {
    /// Opens the database with default settings and makes its tables when they are not there.
    ///
    /// # Errors
    /// As [`Postgres::open_with`].
    pub async fn open(url: &str) -> Result<Self> {
        Self::open_with(url, &Settings::default()).await
    }

    /// Opens the database and brings its schema up to date. Connections live on the runtime this is called from.
    ///
    /// # Errors
    /// `Invalid` for a URL that cannot be understood, a schema of another program or of a newer version;
    /// `Unavailable` when the server cannot be reached or does not let us in; `Busy` when another process keeps the
    /// schema locked.
    pub async fn open_with(url: &str, settings: &Settings) -> Result<Self> {
        let Address { config, tls, place } = Address::parse(url)?;
        let connector = Arc::new(Connector::new(config.clone(), &tls, settings)?);
        let opening = async {
            let mut first = connector.open().await?;
            schema::migrate(&mut first).await
        };
        opening.await.map_err(|fault| fault.error(&place, "open"))?;
        let recycle = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(config, session::Shared(Arc::clone(&connector)), recycle);
        let connecting = Duration::from_millis(settings.connect_timeout_ms);
        let pool = Pool::builder(manager)
            .max_size(settings.connections.max(2))
            .create_timeout(Some(connecting))
            .wait_timeout(Some(connecting + Duration::from_millis(settings.statement_timeout_ms)))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|source| Kind::Bug.because("make a pool of connections", source))?;
        let pieces =
            [settings.connect_timeout_ms, settings.busy_timeout_ms, 2 * settings.statement_timeout_ms];
        let limit = Duration::from_millis(pieces.iter().sum());
        let (writing, fold) = (Arc::default(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { place, limit, connector, pool, writing, fold }) })
    }

    /// Which server and database this is, without the password.
    pub fn place(&self) -> &str {
        &self.shared.place
    }

    /// A free connection.
    async fn client(&self) -> Result<Client, Fault> {
        Ok(self.shared.pool.get().await?)
    }

    /// A connection to write small facts with; no other writer of this process has one meanwhile.
    async fn desk(&self) -> Result<Desk, Fault> {
        let turn = Arc::clone(&self.shared.writing).lock_owned().await;
        Ok(Desk { client: self.client().await?, _turn: turn })
    }

    /// As [`Postgres::desk`], unless a writer of this process is at work now.
    async fn desk_if_free(&self) -> Result<Option<Desk>, Fault> {
        match Arc::clone(&self.shared.writing).try_lock_owned() {
            Ok(turn) => Ok(Some(Desk { client: self.client().await?, _turn: turn })),
            Err(_) => Ok(None),
        }
    }

    /// Gives the outcome of `body` to the caller: bounded in time, in words for people, counted when it failed.
    async fn finish<T>(
        &self,
        doing: &'static str,
        body: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T> {
        self.finish_within(self.shared.limit, doing, body).await
    }

    async fn finish_within<T>(
        &self,
        limit: Duration,
        doing: &'static str,
        body: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T> {
        let done = match tokio::time::timeout(limit, body).await {
            Ok(done) => done,
            Err(_) => {
                // Whatever connection it was waiting for is back among the free ones, and still silent.
                self.shared.pool.retain(|_, _| false);
                Err(Fault::Silent)
            }
        };
        done.map_err(|fault| fault.error(&self.shared.place, doing))
            .inspect_err(|error| telemetry::process::metastore_failed(error.kind().tag()))
    }
}

/// The right to write small facts, and the connection to do it on.
struct Desk {
    client: Client,
    _turn: OwnedMutexGuard<()>,
}

impl Desk {
    /// Begins a transaction once no other process is writing small facts.
    async fn begin(&mut self) -> Result<Transaction<'_>, Fault> {
        let tx = self.client.transaction().await?;
        let statement = tx.prepare_cached("SELECT pg_advisory_xact_lock($1, $2)").await?;
        tx.query(&statement, &[&schema::LOCKS, &schema::FACTS]).await?;
        Ok(tx)
    }

    /// As [`Desk::begin`], unless another process is writing now.
    async fn begin_if_free(&mut self) -> Result<Option<Transaction<'_>>, Fault> {
        let tx = self.client.transaction().await?;
        let statement = tx.prepare_cached("SELECT pg_try_advisory_xact_lock($1, $2)").await?;
        let is_ours: bool = tx.query_one(&statement, &[&schema::LOCKS, &schema::FACTS]).await?.try_get(0)?;
        Ok(is_ours.then_some(tx))
    }
}

/// Begins a transaction whose statements all see one moment.
async fn snapshot(client: &mut Client) -> Result<Transaction<'_>, Fault> {
    let reading = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    Ok(reading.start().await?)
}
