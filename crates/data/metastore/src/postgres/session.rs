//! Connections: opened on one runtime, whoever asks, and set up the same way.

use super::Settings;
use super::fault::Fault;
use super::schema::SCHEMA;
use super::tls::Tls;
use crate::Result;
use deadpool_postgres::{ClientWrapper, Connect};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::{Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;

type Opened = Result<(Client, JoinHandle<()>), Error>;

/// Opens connections.
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    setup: String,
    timeout: Duration,
    /// Sockets belong to the runtime that opened the store: the pump's own has no business with them and ends earlier.
    home: Handle,
}

impl Connector {
    pub(super) fn new(mut config: Config, tls: &Tls, settings: &Settings) -> Result<Self> {
        let timeout = Duration::from_millis(settings.connect_timeout_ms);
        config.connect_timeout(timeout);
        let setup = setup(settings);
        Ok(Self { config, tls: tls.connector()?, setup, timeout, home: Handle::current() })
    }

    /// Opens one connection, within the time that is given for it.
    pub(super) async fn open(&self) -> Result<ClientWrapper, Fault> {
        let opened = tokio::time::timeout(self.timeout, self.connect()).await;
        let (client, task) = opened.map_err(|_| Fault::Silent)?.map_err(Fault::Unreachable)?;
        Ok(ClientWrapper::new(client, task))
    }

    async fn connect(&self) -> Opened {
        let (config, tls, setup) = (self.config.clone(), self.tls.clone(), self.setup.clone());
        // The set gives up the attempt when whoever waits for it has gone.
        let mut attempt = JoinSet::new();
        let connecting = async move {
            let (client, connection) = config.connect(tls).await?;
            let task = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to PostgreSQL ended");
                }
            });
            client.batch_execute(&setup).await?;
            Ok((client, task))
        };
        attempt.spawn_on(connecting, &self.home);
        match attempt.join_next().await {
            Some(Ok(opened)) => opened,
            // The runtime is shutting down, and with it whoever waits for this.
            _ => std::future::pending().await,
        }
    }
}

/// What the pool opens its connections with.
pub(super) struct Shared(pub Arc<Connector>);

impl Connect for Shared {
    fn connect(&self, _: &Config) -> Pin<Box<dyn Future<Output = Opened> + Send + '_>> {
        Box::pin(self.0.connect())
    }
}

/// What every connection is told first. Statements and not start-up options, which poolers refuse.
fn setup(settings: &Settings) -> String {
    let (statement, busy) = (settings.statement_timeout_ms, settings.busy_timeout_ms);
    format!(
        "SET search_path = {SCHEMA};
         SET client_encoding = 'UTF8';
         SET statement_timeout = {statement};
         SET lock_timeout = {busy};
         SET idle_in_transaction_session_timeout = {statement};
         -- A commit lets the log be released, so it must be on disk when it returns.
         SET synchronous_commit = on;
         -- A server that lost its client must not keep that client's locks.
         SET tcp_keepalives_idle = 10;
         SET tcp_keepalives_interval = 5;
         SET tcp_keepalives_count = 4;
         SELECT set_config(name, '2000', false) FROM pg_settings WHERE name = 'client_connection_check_interval'"
    )
}
