//! Backups over HTTP: a moment of the data folder is taken and held, its files are fetched one by one, and it is let go.
//!
//! Whoever fetches decides where the backup goes: the server needs no access to that place, and none to files of its own
//! machine is given away but to those of the moment. The files hold everything of all projects and the hashes of all keys.

use crate::app::App;
use crate::auth;
use crate::clock::Clock;
use crate::problem::Problem;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use backup::{About, Held, Piece, Store};
use futures::stream;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A moment that nobody asks for this long is let go.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often that is looked at.
const LOOK: Duration = Duration::from_secs(60);
/// Moments at the same time: each keeps the disk from getting space back.
const MOST: usize = 2;
/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// The moments that are held.
#[derive(Default)]
pub struct Moments(Mutex<HashMap<String, Moment>>);

struct Moment {
    held: Arc<Held>,
    pieces: HashMap<String, Piece>,
    asked: Instant,
}

impl Moments {
    /// None yet; those that nobody asks for any more are let go for as long as this lives.
    pub fn watched() -> Arc<Self> {
        let moments = Arc::new(Self::default());
        tokio::spawn(watch(Arc::downgrade(&moments)));
        moments
    }
}

async fn watch(watched: Weak<Moments>) {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        let Some(moments) = watched.upgrade() else { return };
        moments.0.lock().retain(|id, moment| {
            let keep = moment.asked.elapsed() < PATIENCE;
            if !keep {
                tracing::warn!(id, "a backup that nobody went on with was let go");
            }
            keep
        });
    }
}

/// `POST /api/backups`: takes a moment; the answer names its files.
pub async fn take(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    check(&app, &headers).await?;
    if !app.settings.holds_its_tables() || app.settings.kafka.is_used() {
        let text = "The log or the tables of this server are not in its data folder: `tenrec backup --data` says how to protect them.";
        return Err(Problem::invalid("not_possible", text, None));
    }
    if !app.settings.metastore.url.is_empty() {
        let text = "The metastore of this server is in PostgreSQL: stop the server, run pg_dump and `tenrec backup` together.";
        return Err(Problem::invalid("not_possible", text, None));
    }
    if app.moments.0.lock().len() >= MOST {
        return Err(Problem::throttled(60));
    }
    // Names must differ, also where the clock stands still.
    let now = Clock::System.now();
    let about = About {
        id: now.strftime("%Y%m%dT%H%M%S%3fZ").to_string(),
        made_at: now.to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        store: Store::InFolder,
        at_rest: false,
    };
    let data = app.data.clone();
    let runtime = tokio::runtime::Handle::current();
    // Reading the log and every manifest takes a while and uses the disk: not on a thread that serves requests.
    let taken = tokio::task::spawn_blocking(move || runtime.block_on(backup::take(&data, &about))).await;
    let held = taken.map_err(|_| Problem::server_error())?.map_err(|error| {
        tracing::error!(error = %error, cause = ?std::error::Error::source(&error), "cannot take a backup");
        match error.kind() {
            backup::Kind::Busy => Problem::throttled(10),
            _ => Problem::server_error(),
        }
    })?;
    let point = held.point.clone();
    let pieces = point.files.iter().map(|piece| (piece.path.clone(), piece.clone())).collect();
    let moment = Moment { held: Arc::new(held), pieces, asked: Instant::now() };
    app.moments.0.lock().insert(point.id.clone(), moment);
    tracing::info!(id = point.id, files = point.files.len(), "a backup is being fetched");
    Ok(axum::Json(point).into_response())
}

/// `GET /api/backups/{id}/files/{path}`: the bytes of one file.
pub async fn file(
    State(app): State<App>,
    Path((id, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check(&app, &headers).await?;
    let (held, piece) = {
        let mut moments = app.moments.0.lock();
        let moment = moments.get_mut(&id).ok_or_else(Problem::not_found)?;
        moment.asked = Instant::now();
        let piece = moment.pieces.get(&path).ok_or_else(Problem::not_found)?.clone();
        (moment.held.clone(), piece)
    };
    let from = held.path(&piece);
    let opened = tokio::task::spawn_blocking(move || File::open(from)).await;
    let opened = opened.map_err(|_| Problem::server_error())?;
    let file = opened.map_err(|error| {
        tracing::error!(%error, path, "cannot read a file of a backup");
        Problem::server_error()
    })?;
    // The moment lives as long as one of its files is on its way.
    let body = stream::try_unfold((file.take(piece.size), held), |(mut file, held)| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK];
            let count = file.read(&mut chunk)?;
            chunk.truncate(count);
            Ok::<_, std::io::Error>((chunk, file))
        });
        let (chunk, file) = read.await.map_err(std::io::Error::other)??;
        Ok::<_, std::io::Error>((!chunk.is_empty()).then(|| (Bytes::from(chunk), (file, held))))
    });
    Ok(([(http::header::CONTENT_LENGTH, piece.size.to_string())], Body::from_stream(body)).into_response())
}

/// `DELETE /api/backups/{id}`: lets a moment go.
pub async fn end(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    check(&app, &headers).await?;
    let moment = app.moments.0.lock().remove(&id).ok_or_else(Problem::not_found)?;
    // Unlinking takes as long as the disk likes.
    let _ = tokio::task::spawn_blocking(move || drop(moment)).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Only a personal key of all projects that may do everything: the files hold everything.
async fn check(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let key = auth::find_key(headers, None, None).ok_or_else(Problem::not_authenticated)?;
    let credential = app.metastore.authenticate(key, app.clock.now()).await.map_err(|error| {
        tracing::error!(%error, "cannot check an API key");
        Problem::server_error()
    })?;
    let credential = credential.ok_or_else(Problem::invalid_key)?;
    let is_all = credential.projects.is_none() && credential.scopes.iter().any(|scope| scope == "*");
    match is_all {
        true => Ok(()),
        false => Err(Problem::forbidden(
            "A backup holds everything: it needs a personal API key of all projects with scope '*'.",
        )),
    }
}
