//! Opening everything in order: metastore, log, tables, pump, socket.

use crate::app::{self, App, Readiness};
use crate::care::Care;
use crate::client_ip::Network;
use crate::clock::Clock;
use crate::connection::{self, Bounds};
use crate::pressure::{self, Pressure};
use crate::running::{Parts, Running};
use crate::settings::{Settings, TokenMode};
use crate::{bootstrap, descriptors, folder, routes, tables};
use eventlog::{EventLog, Offset, Segments};
use ingest::commit::Stores;
use ingest::geo::Database;
use ingest::seen::Window;
use ingest::{Directory, Door, Pump, pump};
use jiff::SignedDuration;
use metastore::Metastore;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use table::Warehouse;
use tokio::sync::watch;

/// Any failure to start, with its causes.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens the data folder and serves it. Call from a multi-threaded runtime.
///
/// # Errors
/// What keeps the server from starting, in words that say what to do. Nothing damaged is worked around.
pub async fn start(settings: Settings, data: &Path) -> Result<Running, Failure> {
    let metrics = telemetry::install();
    eventlog::disk::make_folder(data)
        .map_err(|error| format!("cannot make the data folder {}: {error}", data.display()))?;
    let data = data.canonicalize()?;
    folder::check_whole(&data, &settings.metastore.url)?;
    let clock = Clock::from_setting(&settings.clock.fixed);
    let metastore = open_metastore(&settings, &data).await?;
    // The log holds the lock of the folder: nothing is written before it is ours. It must not start again at 0 when
    // it was lost, so it learns how far it had come.
    let floor = Offset(metastore.checkpoint().await?.unwrap_or(0));
    if floor > Offset(0) && !folder::log(&data).exists() {
        tracing::warn!(path = %folder::log(&data).display(), "the log is gone: events not yet in the tables are lost");
    }
    let log = Segments::open_at(&folder::log(&data), settings.of_log(), floor)?;
    let log: Arc<dyn EventLog> = Arc::new(log);
    let warehouse = Arc::new(tables::open(&settings, &data).await?);
    let care = Care::start(warehouse.clone(), settings.care.clone());
    let mode = match settings.capture.token_mode {
        TokenMode::Enforce => ingest::TokenMode::Enforce,
        TokenMode::Open => ingest::TokenMode::Open { most: settings.capture.max_open_projects },
    };
    let directory = Arc::new(Directory::open(metastore.clone(), mode).await?);
    let stores = Stores { log: log.clone(), metastore: metastore.clone(), warehouse: warehouse.clone() };
    let geo = match settings.ingest.geoip_database.as_str() {
        "" => None,
        path => Some(Database::open(Path::new(path))?),
    };
    let pump = Pump::open(stores, directory.clone(), geo, pump_settings(&settings, &data)?).await?;
    let engine = Arc::new(query::Engine::new(warehouse.clone(), query_limits(&settings, &data))?);
    let listener = connection::listen(settings.server.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", settings.server.listen))?;
    let address = listener.local_addr()?;
    // Keys are shown once: they are made when nothing is left that could keep the server from showing them.
    let first = bootstrap::run(&*metastore, &settings.bootstrap, clock).await?;
    directory.refresh().await?;
    let bounds = door_bounds(&settings);
    let readiness = Arc::new(Readiness::default());
    let slots = descriptors::for_connections(settings.server.max_connections);
    let pressure = Arc::new(Pressure::new(slots, settings.server.inflight_bytes));
    tokio::spawn(pressure::measure(Arc::downgrade(&pressure)));
    let trusted = settings.server.trusted_proxies.iter().filter_map(|text| Network::parse(text)).collect();
    let app = App::new(app::Parts {
        door: Door::new(log.clone(), directory.clone(), bounds),
        settings,
        trusted,
        clock,
        directory: directory.clone(),
        metastore,
        engine,
        outside: warehouse.outside(),
        metrics,
        pressure: pressure.clone(),
        readiness: readiness.clone(),
    });
    let (stop_accepting, stopping) = watch::channel(false);
    let connections = Bounds {
        header: Duration::from_millis(app.settings.server.header_timeout_ms),
        connections: slots,
        drain: Duration::from_secs(4),
        pressure,
    };
    let serving = tokio::spawn(connection::serve(listener, routes::router(&app), connections, stopping));
    let parts = Parts { log, directory, readiness, stop_accepting, serving, care };
    Ok(Running::new(address, first, parts, pump))
}

/// Opens a data folder that no server is using, folds what its log still holds, and answers from it.
///
/// # Errors
/// As [`start`]; a running server holds the folder, so ask that one instead.
pub async fn open_at_rest(settings: &Settings, data: &Path) -> Result<query::Engine, Failure> {
    let resting = tables_at_rest(settings, data).await?;
    resting.log.close().await?;
    Ok(query::Engine::new(resting.warehouse, query_limits(settings, data))?)
}

/// The tables of a folder that no server can open while this lives.
pub struct Resting {
    /// The tables.
    pub warehouse: Arc<Warehouse>,
    log: Arc<dyn EventLog>,
}

/// Opens a data folder that no server is using, folds what its log still holds, and gives its tables.
///
/// # Errors
/// As [`start`]; a running server holds the folder.
pub async fn tables_at_rest(settings: &Settings, data: &Path) -> Result<Resting, Failure> {
    let data = data.canonicalize()?;
    folder::check_whole(&data, &settings.metastore.url)?;
    let metastore = open_metastore(settings, &data).await?;
    let floor = Offset(metastore.checkpoint().await?.unwrap_or(0));
    let log: Arc<dyn EventLog> = Arc::new(Segments::open_at(&folder::log(&data), settings.of_log(), floor)?);
    let warehouse = Arc::new(tables::open(settings, &data).await?);
    let directory = Arc::new(Directory::open(metastore.clone(), ingest::TokenMode::Enforce).await?);
    let stores = Stores { log: log.clone(), metastore, warehouse: warehouse.clone() };
    let pump = Pump::open(stores, directory, None, pump_settings(settings, &data)?).await?;
    // A stop that was asked for before the start: the pump folds what is there, commits and returns.
    let (_stop, stopping) = watch::channel(true);
    pump.run(stopping).await?;
    Ok(Resting { warehouse, log })
}

/// The metastore that the settings name, for the one process that folds into it.
async fn open_metastore(settings: &Settings, data: &Path) -> Result<Arc<dyn Metastore>, Failure> {
    let metastore = metastore::open(&settings.metastore.url, &folder::metastore_path(data)).await?;
    metastore.claim().await?;
    Ok(metastore)
}

fn pump_settings(settings: &Settings, data: &Path) -> Result<pump::Settings, Failure> {
    let ingest = &settings.ingest;
    Ok(pump::Settings {
        every: Duration::from_secs(ingest.commit_seconds),
        bytes: ingest.commit_bytes,
        window: Window {
            age: SignedDuration::from_hours(24 * i64::from(ingest.dedup_days)),
            events: ingest.dedup_events,
        },
        seen: folder::seen(data),
        blocks: tables::blocks(settings, data)?,
    })
}

fn query_limits(settings: &Settings, data: &Path) -> query::Limits {
    let query = &settings.query;
    query::Limits {
        time: Duration::from_secs(query.timeout_seconds),
        memory_bytes: query.memory_bytes,
        default_rows: query.default_rows,
        rows: query.max_rows,
        concurrent: query.concurrency,
        spill_dir: Some(folder::spill(data)),
        ..query::Limits::default()
    }
}

fn door_bounds(settings: &Settings) -> ingest::accept::Bounds {
    let capture = &settings.capture;
    ingest::accept::Bounds {
        decompressed: capture.max_decompressed_bytes,
        events: event::event_size::Limits {
            analytics: capture.max_event_bytes,
            ai: capture.max_ai_event_bytes,
        },
    }
}
