//! `POST /iceberg/v1/oauth/tokens`: OAuth's client credentials, for clients that know no other way to bring a key.
//!
//! The client secret is a personal API key, and so is the token that is given for it: nothing is kept, nothing expires
//! before the key is revoked, and a token may be exchanged for itself.

use super::Refusal;
use super::access;
use super::request;
use crate::app::App;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, StatusCode, header};
use metastore::key::Access;
use serde::Deserialize;
use serde_json::json;

const CREDENTIALS: &str = "client_credentials";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Form {
    grant_type: String,
    client_secret: Option<String>,
    subject_token: Option<String>,
}

/// Gives a token for a key.
pub async fn grant(State(app): State<App>, request: Request) -> Response {
    match answer(&app, request).await {
        Ok(token) => {
            let body = json!({
                "access_token": token, "token_type": "bearer", "issued_token_type": ACCESS_TOKEN, "scope": "catalog",
            });
            ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
        }
        Err((status, error, text)) => {
            (status, Json(json!({"error": error, "error_description": text}))).into_response()
        }
    }
}

type Denied = (StatusCode, &'static str, String);

async fn answer(app: &App, request: Request) -> Result<String, Denied> {
    let headers = request.headers().clone();
    let invalid = |refusal: Refusal| (refusal.status, "invalid_request", refusal.message);
    let bytes = request::read(request, app).await.map_err(invalid)?;
    let form: Form = serde_urlencoded::from_bytes(&bytes)
        .map_err(|error| invalid(Refusal::bad(format!("The body is no form: {error}"))))?;
    let key = match form.grant_type.as_str() {
        CREDENTIALS => form.client_secret.or_else(|| basic(&headers)),
        EXCHANGE => form.subject_token,
        other => {
            let text = format!(
                "grant_type is {other:?}: send {CREDENTIALS} and a personal API key as client_secret."
            );
            return Err((StatusCode::BAD_REQUEST, "unsupported_grant_type", text));
        }
    };
    let checked = access::check(app, key.as_deref(), Access::Read).await;
    checked.map_err(|refusal| {
        let error = match refusal.status {
            StatusCode::UNAUTHORIZED => "invalid_client",
            StatusCode::FORBIDDEN => "unauthorized_client",
            _ => "server_error",
        };
        // OAuth knows no 403: a client that may not have a token is told so with 400.
        let status =
            if refusal.status == StatusCode::FORBIDDEN { StatusCode::BAD_REQUEST } else { refusal.status };
        (status, error, refusal.message)
    })?;
    Ok(key.unwrap_or_default())
}

/// The password of `Authorization: Basic`, as OAuth allows it.
fn basic(headers: &HeaderMap) -> Option<String> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let pair = BASE64_STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    Some(String::from_utf8(pair).ok()?.split_once(':')?.1.to_owned())
}
