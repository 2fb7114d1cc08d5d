//! Views: there are none, and clients that look for them are told so.

use super::Refusal;
use super::access::{Reads, Writes};
use super::request::{Asked, Inside};
use crate::app::App;
use axum::Json;
use axum::extract::{Path, State};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Lists none, of a namespace that exists.
pub async fn list(
    _: Reads,
    State(app): State<App>,
    Inside(name): Inside,
    _: Asked,
) -> Result<Json<Value>, Refusal> {
    app.outside()?.namespace(&name).await?;
    Ok(Json(json!({"identifiers": []})))
}

/// There is no such view.
pub async fn none(_: Reads, Path(names): Path<HashMap<String, String>>) -> Refusal {
    let view = names.get("view").map_or("", String::as_str);
    Refusal::new(
        StatusCode::NOT_FOUND,
        "NoSuchViewException",
        format!("no view {view}: this catalog holds tables only"),
    )
}

/// There will be none.
pub async fn refuse(_: Writes) -> Refusal {
    let text = "This catalog holds tables only; keep views in the engine that runs them.";
    Refusal::new(StatusCode::NOT_ACCEPTABLE, "UnsupportedOperationException", text)
}

/// A path of the catalog that nothing answers.
pub async fn nothing_here() -> Refusal {
    Refusal::nothing_here()
}

/// A method that a path of the catalog does not take.
pub async fn wrong_method(method: Method) -> Refusal {
    let text = format!("{method} is not possible here. GET /iceberg/v1/config lists what is.");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "BadRequestException", text)
}
