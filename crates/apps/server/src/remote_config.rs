//! What SDKs ask before they start: `/array/:token/config` and the empty lists of things not made yet.

use crate::app::App;
use crate::arrive;
use crate::problem::Problem;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use event::Rejection;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use wire::remote_config::{self, Options, SessionRecording};

/// `GET /array/:token/config`.
pub async fn json(State(app): State<App>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    match options(&app, &token).await {
        Ok(options) => cached(remote_config::JSON, remote_config::config(&token, &options), &headers),
        Err(problem) => problem.into_response(),
    }
}

/// `GET /array/:token/config.js`.
pub async fn script(State(app): State<App>, Path(token): Path<String>, headers: HeaderMap) -> Response {
    match options(&app, &token).await {
        Ok(options) => {
            cached(remote_config::JAVASCRIPT, remote_config::config_js(&token, &options), &headers)
        }
        Err(problem) => problem.into_response(),
    }
}

async fn options(app: &App, token: &str) -> Result<Options, Problem> {
    if !remote_config::is_token(token) {
        return Err(Problem::not_found());
    }
    let entry = app.directory.find(token, app.clock.now()).await.map_err(|rejection| match rejection {
        Rejection::Retry => Problem::unavailable(),
        _ => Problem::not_found(),
    })?;
    Ok(Options {
        session_recording: entry.settings.session_recording_opt_in.then(SessionRecording::default),
        autocapture_opt_out: entry.settings.autocapture_opt_out,
        ..Options::default()
    })
}

/// Answers with a validator, so that clients which ask again need not be sent the same again.
fn cached(kind: &'static str, body: Option<String>, headers: &HeaderMap) -> Response {
    let Some(body) = body else { return Problem::not_found().into_response() };
    use sha2::{Digest, Sha256};
    let tag = format!("\"{}\"", &hex::encode(Sha256::digest(body.as_bytes()))[..32]);
    let known = arrive::text(headers, "if-none-match")
        .is_some_and(|sent| sent.split(',').any(|one| one.trim().trim_start_matches("W/") == tag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, kind)], body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(remote_config::CACHE_CONTROL));
    headers.append(header::VARY, HeaderValue::from_static(remote_config::VARY));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Lists that are empty because nothing of the kind can be made yet.
pub async fn no_surveys() -> Response {
    list("surveys")
}

/// See [`no_surveys`].
pub async fn no_web_experiments() -> Response {
    list("experiments")
}

/// See [`no_surveys`].
pub async fn no_early_access_features() -> Response {
    list("earlyAccessFeatures")
}

/// See [`no_surveys`].
pub async fn no_product_tours() -> Response {
    list("product_tours")
}

fn list(key: &str) -> Response {
    axum::Json(serde_json::json!({ key: [] })).into_response()
}
