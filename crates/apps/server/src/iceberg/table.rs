//! Tables: listed, loaded, changed, made, registered, renamed, dropped.

use super::Refusal;
use super::access::{Reads, Writes};
use super::request::{Asked, Inside, Json, On};
use super::storage;
use crate::app::App;
use ::table::outside::{Change, Loaded, NewTable, TableIdent};
use axum::Json as Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashSet;

/// A metadata file to be registered under a name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Registration {
    name: String,
    metadata_location: String,
}

/// A table and its new name.
#[derive(Debug, Deserialize)]
pub struct Renaming {
    source: TableIdent,
    destination: TableIdent,
}

/// Changes of several tables at once.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Changes {
    table_changes: Vec<Change>,
}

/// Lists the tables of a namespace.
pub async fn list(
    _: Reads,
    State(app): State<App>,
    Inside(namespace): Inside,
    asked: Asked,
) -> Result<Body<Value>, Refusal> {
    let tables = app.outside()?.tables(&namespace).await?;
    let (page, next) = asked.page(tables, |table| table.name.as_str())?;
    Ok(Body(json!({"identifiers": page, "next-page-token": next})))
}

/// Loads one: with all snapshots, or only those that branches and tags name (`snapshots=refs`).
pub async fn load(
    _: Reads,
    State(app): State<App>,
    On(ident): On,
    asked: Asked,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let only_named = match asked.text("snapshots") {
        None | Some("all") => false,
        Some("refs") => true,
        Some(other) => return Err(Refusal::bad(format!("snapshots is {other:?}: say all or refs."))),
    };
    let loaded = app.outside()?.load(&ident).await?;
    // A metadata file never changes: its name stands for what is in it.
    let file = loaded.metadata_location.as_deref().and_then(|at| at.rsplit('/').next()).unwrap_or_default();
    let tag = format!("\"{file}{}\"", if only_named { "-refs" } else { "" });
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let mut answer = told(&app, &loaded)?;
    if only_named {
        keep_named(&mut answer["metadata"]);
    }
    Ok(([(header::ETAG, tag)], Body(answer)).into_response())
}

/// Says whether there is one.
pub async fn exists(_: Reads, State(app): State<App>, On(ident): On) -> Result<StatusCode, Refusal> {
    match app.outside()?.has_table(&ident).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => {
            Err(Refusal::new(StatusCode::NOT_FOUND, "NoSuchTableException", format!("no table {ident}")))
        }
    }
}

/// Gives fresh credentials for the files of one.
pub async fn credentials(_: Reads, State(app): State<App>, On(ident): On) -> Result<Body<Value>, Refusal> {
    let loaded = app.outside()?.load(&ident).await?;
    let given = storage::given(&app.settings, loaded.metadata.location());
    Ok(Body(json!({"storage-credentials": given.credentials()})))
}

/// Makes one.
pub async fn create(
    _: Writes,
    State(app): State<App>,
    Inside(namespace): Inside,
    Json(new): Json<NewTable>,
) -> Result<Body<Value>, Refusal> {
    let loaded = app.outside()?.create(&namespace, new).await?;
    told(&app, &loaded).map(Body)
}

/// Takes one over by its metadata file.
pub async fn register(
    _: Writes,
    State(app): State<App>,
    Inside(namespace): Inside,
    Json(registration): Json<Registration>,
) -> Result<Body<Value>, Refusal> {
    let ident = TableIdent::new(namespace, registration.name);
    let loaded = app.outside()?.register(&ident, &registration.metadata_location).await?;
    told(&app, &loaded).map(Body)
}

/// Changes one.
pub async fn commit(
    _: Writes,
    State(app): State<App>,
    On(ident): On,
    Json(change): Json<Change>,
) -> Result<Body<Value>, Refusal> {
    if change.identifier.as_ref().is_some_and(|said| *said != ident) {
        return Err(Refusal::bad(format!(
            "The body names another table than the path, which names {ident}."
        )));
    }
    let loaded = app.outside()?.commit(&ident, change).await?;
    Ok(Body(json!({"metadata-location": loaded.metadata_location, "metadata": &*loaded.metadata})))
}

/// Changes one named in the body: tables change one by one, so a transaction has one.
pub async fn transact(
    _: Writes,
    State(app): State<App>,
    Json(mut changes): Json<Changes>,
) -> Result<StatusCode, Refusal> {
    let (Some(mut change), true) = (changes.table_changes.pop(), changes.table_changes.is_empty()) else {
        return Err(Refusal::bad("Tables change one by one here: commit each in a transaction of its own."));
    };
    let ident = change
        .identifier
        .take()
        .ok_or_else(|| Refusal::bad("A change without identifier names no table."))?;
    app.outside()?.commit(&ident, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives one another name.
pub async fn rename(
    _: Writes,
    State(app): State<App>,
    Json(renaming): Json<Renaming>,
) -> Result<StatusCode, Refusal> {
    app.outside()?.rename(&renaming.source, &renaming.destination).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Drops one; its files, too, with `purgeRequested=true`.
pub async fn drop(
    _: Writes,
    State(app): State<App>,
    On(ident): On,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    app.outside()?.drop_table(&ident, asked.flag("purgeRequested")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a report of a client about its scan or its commit, and needs none.
pub async fn report(
    _: Reads,
    State(app): State<App>,
    On(ident): On,
    Json(report): Json<Value>,
) -> Result<StatusCode, Refusal> {
    exists(Reads, State(app), On(ident.clone())).await?;
    tracing::debug!(table = %ident, kind = %report["report-type"], "a client reported on its work");
    Ok(StatusCode::NO_CONTENT)
}

/// A table as an answer tells it.
fn told(app: &App, loaded: &Loaded) -> Result<Value, Refusal> {
    let metadata = serde_json::to_value(&*loaded.metadata).map_err(|error| {
        tracing::error!(%error, "table metadata cannot be written as JSON");
        Refusal::failed()
    })?;
    let given = storage::given(&app.settings, loaded.metadata.location());
    let mut answer = json!({"metadata": metadata, "config": given.config});
    if let Some(at) = &loaded.metadata_location {
        answer["metadata-location"] = at.as_str().into();
    }
    if !given.credentials.is_empty() {
        answer["storage-credentials"] = given.credentials();
    }
    Ok(answer)
}

/// Leaves out snapshots that no branch and no tag names.
fn keep_named(metadata: &mut Value) {
    let refs = metadata["refs"].as_object().map(|refs| refs.values().cloned().collect()).unwrap_or_default();
    let refs: Vec<Value> = refs;
    let named: HashSet<i64> = refs.iter().filter_map(|one| one["snapshot-id"].as_i64()).collect();
    if let Some(snapshots) = metadata["snapshots"].as_array_mut() {
        snapshots.retain(|one| one["snapshot-id"].as_i64().is_some_and(|id| named.contains(&id)));
    }
}
