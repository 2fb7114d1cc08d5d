//! `GET /iceberg/v1/config`: what a client must know before anything else.

use super::Refusal;
use super::access::Reads;
use super::request::Asked;
use axum::Json;
use http::StatusCode;
use serde_json::{Value, json};

/// The only warehouse there is.
pub const WAREHOUSE: &str = "tenrec";

/// What is served, as the specification spells it.
const ENDPOINTS: [&str; 19] = [
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
    "POST /v1/{prefix}/namespaces/{namespace}/register",
    "POST /v1/{prefix}/tables/rename",
    "POST /v1/{prefix}/transactions/commit",
    "GET /v1/{prefix}/namespaces/{namespace}/views",
    "HEAD /v1/{prefix}/namespaces/{namespace}/views/{view}",
];

/// Answers with nothing to override: a prefix is not needed, and `tenrec` is accepted as one.
pub async fn show(_: Reads, asked: Asked) -> Result<Json<Value>, Refusal> {
    match asked.text("warehouse") {
        None | Some(WAREHOUSE) => Ok(Json(json!({"defaults": {}, "overrides": {}, "endpoints": ENDPOINTS}))),
        Some(other) => {
            let text = format!("There is no warehouse {other:?} here: the only one is `{WAREHOUSE}`.");
            Err(Refusal::new(StatusCode::NOT_FOUND, "NoSuchWarehouseException", text))
        }
    }
}
