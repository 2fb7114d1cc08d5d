//! Opening everything in order: metastore, log, tables, pump, socket.

use crate::app::{self, App, Readiness};
use crate::care::{Care, Hands};
use crate::client_ip::Network;
use crate::clock::Clock;
use crate::connection::{self, Bounds};
use crate::follow::Follow;
use crate::moments::Moments;
use crate::pressure::{self, Pressure};
use crate::role::Role;
use crate::running::{Parts, Running};
use crate::settings::{Settings, TokenMode};
use crate::{bootstrap, descriptors, folder, routes, shared_log, tables};
use eventlog::Partitions;
use eventlog::disk::Local;
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
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
    let role = settings.server.role;
    let clock = Clock::from_setting(&settings.clock.fixed);
    let metastore = metastore::open(&settings.metastore.url, &folder::metastore_path(&data)).await?;
    let Opening { log, folder, warehouse } = open_stores(&settings, &data, &metastore).await?;
    let follow = warehouse.clone().filter(|_| !role.writes()).map(Follow::start);
    let mode = match settings.capture.token_mode {
        TokenMode::Enforce => ingest::TokenMode::Enforce,
        TokenMode::Open => ingest::TokenMode::Open { most: settings.capture.max_open_projects },
    };
    let directory = Arc::new(Directory::open(metastore.clone(), mode).await?);
    let pump = match (&log, &warehouse) {
        (Some(log), Some(warehouse)) => {
            let stores =
                Stores { log: log.clone(), metastore: metastore.clone(), warehouse: warehouse.clone() };
            let geo = match settings.ingest.geoip_database.as_str() {
                "" => None,
                path => Some(Database::open(Path::new(path))?),
            };
            Some(Pump::open(stores, directory.clone(), geo, pump_settings(&settings, &data)?).await?)
        }
        _ => None,
    };
    let hands = pump.as_ref().zip(warehouse.clone()).map(|(pump, warehouse)| Hands {
        warehouse,
        metastore: metastore.clone(),
        orders: Some(pump.orders()),
        clock,
        settings: settings.care.clone(),
    });
    let asked = warehouse.filter(|_| role.answers());
    let engine = match &asked {
        Some(warehouse) => {
            Some(Arc::new(query::Engine::new(warehouse.clone(), query_limits(&settings, &data))?))
        }
        None => None,
    };
    let listener = connection::listen(settings.server.listen)
        .map_err(|error| format!("cannot listen on {}: {error}", settings.server.listen))?;
    let address = listener.local_addr()?;
    // Keys are shown once: they are made when nothing is left that could keep the server from showing them. One process
    // makes them: of those that share a metastore, the one that folds.
    let first = match role.writes() {
        true => bootstrap::run(&*metastore, &settings.bootstrap, clock).await?,
        false => None,
    };
    directory.refresh().await?;
    let readiness = Arc::new(Readiness::default());
    let door = log.clone().filter(|_| role.captures());
    let door = door.map(|log| Door::new(log, directory.clone(), door_bounds(&settings)));
    let slots = descriptors::for_connections(settings.server.max_connections);
    let pressure = Arc::new(Pressure::new(slots, settings.server.inflight_bytes));
    tokio::spawn(pressure::measure(Arc::downgrade(&pressure)));
    let care = hands.clone().map(Care::start);
    let app = App::new(app::Parts {
        care: hands.zip(care.as_ref().map(Care::desk)),
        door,
        log: log.clone().filter(|_| role.captures()),
        trusted: settings.server.trusted_proxies.iter().filter_map(|text| Network::parse(text)).collect(),
        settings,
        clock,
        directory: directory.clone(),
        metastore,
        engine,
        outside: asked.map(|warehouse| warehouse.outside()),
        data: data.clone(),
        moments: Moments::watched(),
        metrics,
        pressure,
        readiness: readiness.clone(),
    });
    let (stop_accepting, serving) = serve(&app, listener, slots);
    let parts = Parts { log, folder, directory, readiness, stop_accepting, serving, care, follow };
    Ok(Running::new(address, first, parts, pump))
}

/// Starts to take connections.
fn serve(app: &App, listener: TcpListener, slots: usize) -> (watch::Sender<bool>, JoinHandle<()>) {
    let (stop_accepting, stopping) = watch::channel(false);
    let connections = Bounds {
        header: Duration::from_millis(app.settings.server.header_timeout_ms),
        connections: slots,
        drain: Duration::from_secs(4),
        pressure: app.pressure.clone(),
    };
    let serving = tokio::spawn(connection::serve(listener, routes::router(app), connections, stopping));
    (stop_accepting, serving)
}

/// What holds the data, as far as the role of a process needs it.
struct Opening {
    log: Option<Partitions>,
    folder: Option<Local>,
    warehouse: Option<Arc<Warehouse>>,
}

/// Opens log and tables. Nothing is written before they are this process's own to write.
async fn open_stores(
    settings: &Settings,
    data: &Path,
    metastore: &Arc<dyn Metastore>,
) -> Result<Opening, Failure> {
    match settings.server.role {
        Role::Capture => {
            let log = Some(shared_log::open_to_append(settings).await?);
            Ok(Opening { log, folder: None, warehouse: None })
        }
        Role::Query if tables::are_missing(settings, data) => Err(format!(
            "there are no tables in {}: start the process with server.role = `writer` first, on the same folder",
            data.display()
        )
        .into()),
        Role::Query => {
            Ok(Opening { log: None, folder: None, warehouse: Some(Arc::new(tables::open(settings, data).await?)) })
        }
        Role::All | Role::Writer => {
            metastore.claim().await?;
            let floor = metastore.checkpoint().await?.unwrap_or_default();
            let shared_log::Opened { log, folder } = shared_log::open(settings, data, &floor).await?;
            let warehouse = Some(Arc::new(tables::open(settings, data).await?));
            Ok(Opening { log: Some(log), folder, warehouse })
        }
    }
}

/// Opens a data folder that no server is using, folds what its log still holds, and answers from it.
///
/// # Errors
/// As [`start`]; a running server holds the folder, so ask that one instead.
pub async fn open_at_rest(settings: &Settings, data: &Path) -> Result<query::Engine, Failure> {
    let resting = tables_at_rest(settings, data).await?;
    resting.opened.log.close().await?;
    Ok(query::Engine::new(resting.hands.warehouse, query_limits(settings, data))?)
}

/// The tables of a folder that no server can open while this lives.
pub struct Resting {
    /// What table care works on.
    pub hands: Hands,
    opened: shared_log::Opened,
}

/// Opens a data folder that no server is using, folds what its log still holds, and gives its tables.
///
/// # Errors
/// As [`start`]; a running server holds the folder.
pub async fn tables_at_rest(settings: &Settings, data: &Path) -> Result<Resting, Failure> {
    let data = data.canonicalize()?;
    folder::check_whole(&data, &settings.metastore.url)?;
    let metastore = metastore::open(&settings.metastore.url, &folder::metastore_path(&data)).await?;
    metastore.claim().await?;
    let floor = metastore.checkpoint().await?.unwrap_or_default();
    let opened = shared_log::open(settings, &data, &floor).await?;
    let warehouse = Arc::new(tables::open(settings, &data).await?);
    let directory = Arc::new(Directory::open(metastore.clone(), ingest::TokenMode::Enforce).await?);
    let stores =
        Stores { log: opened.log.clone(), metastore: metastore.clone(), warehouse: warehouse.clone() };
    let pump = Pump::open(stores, directory, None, pump_settings(settings, &data)?).await?;
    // A stop that was asked for before the start: the pump folds what is there, commits and returns.
    let (_stop, stopping) = watch::channel(true);
    pump.run(stopping).await?;
    let clock = Clock::from_setting(&settings.clock.fixed);
    let hands = Hands { warehouse, metastore, orders: None, clock, settings: settings.care.clone() };
    Ok(Resting { hands, opened })
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
        skip_lost: settings.kafka.is_used() && settings.kafka.skip_lost,
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
        spill_dir: Some(folder::spill(data, !settings.server.role.writes())),
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
