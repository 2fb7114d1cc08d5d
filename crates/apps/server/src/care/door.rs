//! `POST /api/care` and `/api/projects/:id/erasures`: table care of a running server, told line by line as JSON.
//!
//! Tables hold the rows of all projects, so looking after them needs a personal key of all projects with the scope
//! `warehouse_table`. Forgetting a person needs a personal key of its project with the scope `person`.

use super::command::{self, Command, Line};
use super::{Job, erase};
use crate::app::App;
use crate::auth::{self, Permission};
use crate::body::{self, Bounds};
use crate::iceberg::access;
use crate::problem::Problem;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use event::ProjectId;
use http::header;
use metastore::key::{Access, Kind};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Bytes of a command.
const BODY_BYTES: usize = 256 * 1024;

/// Does what a command says and tells how it goes.
pub async fn run(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let key = Some(auth::find_key(&parts.headers, None, None).ok_or_else(Problem::not_authenticated)?);
    access::check(&app, key, Access::Read).await?;
    let command: Command = read(&app, body).await?;
    if !matches!(command, Command::Stats { .. }) {
        access::check(&app, key, Access::Write).await?;
    }
    let (listener, lines) = mpsc::unbounded_channel();
    if let Command::Stats { .. } = command {
        // Counting waits for nobody.
        let hands = app.hands()?.clone();
        tokio::spawn(async move {
            let mut tell = |line| drop(listener.send(line));
            match command::run(&hands, &command, &mut tell).await {
                Ok(()) => tell(Line::Done),
                Err(failure) => tell(Line::Failed { detail: failure.told().to_owned() }),
            }
        });
        return Ok(answer(lines));
    }
    ask(&app, Job::Command(command, listener))?;
    Ok(answer(lines))
}

/// Whose rows are to go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whom {
    #[serde(default)]
    distinct_ids: BTreeSet<String>,
    #[serde(default)]
    person_ids: BTreeSet<Uuid>,
}

/// Forgets a person and tells how it goes. The request outlives the connection and the process.
pub async fn erase(
    State(app): State<App>,
    Path(project): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let key = auth::find_key(&parts.headers, None, None);
    let project = auth::project(&app, &project, key).await?;
    let permission = Permission { object: "person", access: Access::Write };
    let credential = auth::authorize(&app, key, project, permission).await?;
    if credential.kind != Kind::Personal {
        return Err(Problem::forbidden("A secret key of a project only reads. Use a personal API key."));
    }
    let Whom { distinct_ids, person_ids } = read(&app, body).await?;
    if distinct_ids.is_empty() && person_ids.is_empty() {
        let detail = "Say whose rows: distinct_ids or person_ids.";
        return Err(Problem::invalid("required", detail, Some("distinct_ids")));
    }
    let asked = erase::ask(app.hands()?, project, &distinct_ids, &person_ids).await.map_err(|failure| {
        tracing::error!(error = %failure, "cannot note an erasure");
        Problem::unavailable()
    })?;
    let (listener, lines) = mpsc::unbounded_channel();
    // The request is kept from here on: when care is busy it comes to it by itself.
    let _ = listener.send(Line::Erasure { state: erase::state(&asked, &app.settings.care) });
    if !app.ask_care(Job::Erase(asked.id, listener.clone()))? {
        let text = "It is kept and done with the next round of table care.".to_owned();
        let _ = listener.send(Line::Note { text });
        let _ = listener.send(Line::Done);
    }
    Ok(answer(lines))
}

/// The erasures of a project, oldest first.
pub async fn erasures(
    State(app): State<App>,
    Path(project): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let key = auth::find_key(request.headers(), None, None);
    let project: ProjectId = auth::project(&app, &project, key).await?;
    auth::authorize(&app, key, project, Permission { object: "person", access: Access::Read }).await?;
    let all = app.metastore.erasures().await.map_err(|error| {
        tracing::error!(%error, "cannot list erasures");
        Problem::server_error()
    })?;
    let results: Vec<Value> = all
        .iter()
        .filter(|erasure| erasure.project == project)
        .map(|erasure| erase::state(erasure, &app.settings.care))
        .collect();
    Ok(axum::Json(json!({"results": results})).into_response())
}

fn ask(app: &App, job: Job) -> Result<(), Problem> {
    if app.ask_care(job)? { Ok(()) } else { Err(Problem::throttled(60)) }
}

async fn read<T: DeserializeOwned>(app: &App, body: Body) -> Result<T, Problem> {
    let hold = app.pressure.hold();
    let bytes = body::collect(body, Bounds::of(app, BODY_BYTES), &hold).await?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Problem::invalid("parse_error", &format!("JSON parse error - {e}"), None))
}

/// One JSON object a line, as they come.
fn answer(lines: mpsc::UnboundedReceiver<Line>) -> Response {
    let stream = futures::stream::unfold(lines, |mut lines| async move {
        let line = lines.recv().await?;
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        Some((Ok::<_, std::convert::Infallible>(text), lines))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(stream)).into_response()
}
