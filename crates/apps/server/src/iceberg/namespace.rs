//! Namespaces.

use super::Refusal;
use super::access::{Reads, Writes};
use super::request::{self, Asked, Inside, Json};
use crate::app::App;
use ::table::outside::NamespaceIdent;
use axum::Json as Body;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;

/// A namespace to be made.
#[derive(Debug, Deserialize)]
pub struct New {
    namespace: NamespaceIdent,
    #[serde(default)]
    properties: HashMap<String, String>,
}

/// Properties to be changed.
#[derive(Debug, Deserialize)]
pub struct Update {
    #[serde(default)]
    removals: Vec<String>,
    #[serde(default)]
    updates: HashMap<String, String>,
}

/// Lists the top, or what is directly below `parent`: nothing below a leaf, or clients that walk the tree never end.
pub async fn list(_: Reads, State(app): State<App>, asked: Asked) -> Result<Body<Value>, Refusal> {
    let parent = asked.text("parent").map(request::namespace).transpose()?;
    let names = app.outside()?.namespaces(parent.as_ref()).await?;
    let (page, next) = asked.page(names, |name| name.last().map_or("", String::as_str))?;
    Ok(Body(json!({"namespaces": page, "next-page-token": next})))
}

/// Makes one.
pub async fn create(_: Writes, State(app): State<App>, Json(new): Json<New>) -> Result<Body<Value>, Refusal> {
    app.outside()?.create_namespace(&new.namespace, new.properties.clone()).await?;
    Ok(Body(json!({"namespace": new.namespace, "properties": new.properties})))
}

/// Describes one.
pub async fn load(_: Reads, State(app): State<App>, Inside(name): Inside) -> Result<Body<Value>, Refusal> {
    let properties = app.outside()?.namespace(&name).await?;
    Ok(Body(json!({"namespace": name, "properties": properties})))
}

/// Says whether there is one.
pub async fn exists(_: Reads, State(app): State<App>, Inside(name): Inside) -> Result<StatusCode, Refusal> {
    app.outside()?.namespace(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Changes its properties.
pub async fn update(
    _: Writes,
    State(app): State<App>,
    Inside(name): Inside,
    Json(update): Json<Update>,
) -> Result<Body<Value>, Refusal> {
    let done = app.outside()?.update_namespace(&name, &update.removals, update.updates).await?;
    Ok(Body(json!({"updated": done.updated, "removed": done.removed, "missing": done.missing})))
}

/// Drops an empty one.
pub async fn drop(_: Writes, State(app): State<App>, Inside(name): Inside) -> Result<StatusCode, Refusal> {
    app.outside()?.drop_namespace(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
