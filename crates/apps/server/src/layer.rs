//! What happens around every handler: paths, CORS, panics, numbers.

use crate::capture_v1;
use crate::iceberg::Refusal;
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, Method, StatusCode, Uri, uri::PathAndQuery};
use std::any::Any;
use std::time::{Duration, Instant};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// How long a browser may remember a preflight.
const PREFLIGHT: Duration = Duration::from_secs(86_400);

/// CORS of capture v0.
///
/// # Compat
/// Methods, mirrored origin and headers, and credentials as in PostHog `rust/capture/src/router.rs`; the age is ours.
pub fn cors_v0() -> CorsLayer {
    cors().allow_methods([Method::GET, Method::POST, Method::OPTIONS])
}

/// CORS of capture v1: no GET, and browsers may read when to retry.
pub fn cors_v1() -> CorsLayer {
    let exposed = [HeaderName::from_static("retry-after"), HeaderName::from_static("posthog-request-id")];
    cors().allow_methods([Method::POST, Method::OPTIONS]).expose_headers(exposed)
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .allow_credentials(true)
        .max_age(PREFLIGHT)
}

/// Answers 500 when a handler panics; the process and the connection go on. Goes inside of CORS, so that a browser can
/// read the 500.
pub fn catch_panics() -> CatchPanicLayer<fn(Box<dyn Any + Send>) -> Response> {
    CatchPanicLayer::custom(panicked as fn(Box<dyn Any + Send>) -> Response)
}

/// The same for capture v1, whose clients read every refusal as JSON.
pub fn catch_panics_v1() -> CatchPanicLayer<fn(Box<dyn Any + Send>) -> Response> {
    fn answer(panic: Box<dyn Any + Send>) -> Response {
        report(panic);
        capture_v1::refuse(&wire::v1::Error::Internal)
    }
    CatchPanicLayer::custom(answer as fn(Box<dyn Any + Send>) -> Response)
}

/// The same for the Iceberg catalog, whose clients read every refusal in its shape. Whether a change was made before the
/// panic is not known, so they are not told that it was not.
pub fn catch_panics_iceberg() -> CatchPanicLayer<fn(Box<dyn Any + Send>) -> Response> {
    fn answer(panic: Box<dyn Any + Send>) -> Response {
        report(panic);
        Refusal::failed().into_response()
    }
    CatchPanicLayer::custom(answer as fn(Box<dyn Any + Send>) -> Response)
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    report(panic);
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

fn report(panic: Box<dyn Any + Send>) {
    telemetry::http::panicked();
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "a request handler panicked; this is a bug, please report it");
}

/// Counts and times requests under the pattern of their route, never under the raw path.
pub async fn measure(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().map_or("unmatched", |path| known(path.as_str()));
    telemetry::http::opened();
    let response = next.run(request).await;
    telemetry::http::closed();
    telemetry::http::answered(method.as_str(), path, response.status().as_u16(), started.elapsed());
    response
}

/// Route patterns are few and live as long as the process: each is leaked once.
fn known(pattern: &str) -> &'static str {
    use parking_lot::RwLock;
    use std::collections::BTreeSet;
    static PATTERNS: RwLock<BTreeSet<&'static str>> = RwLock::new(BTreeSet::new());
    if let Some(known) = PATTERNS.read().get(pattern) {
        return known;
    }
    let leaked: &'static str = Box::leak(pattern.to_owned().into_boxed_str());
    PATTERNS.write().insert(leaked);
    leaked
}

/// Decodes percent escapes, strips the configured prefix and trailing slashes before routing, so that every route has
/// one spelling in the table.
pub fn rewrite_paths(inner: Router, prefix: String) -> Router {
    let rewritten = tower::service_fn(move |mut request: http::Request<Body>| {
        if let Some(path) = rewritten_path(request.uri().path(), &prefix) {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            if let Ok(target) = format!("{path}{query}").parse::<PathAndQuery>() {
                let mut parts = request.uri().clone().into_parts();
                parts.path_and_query = Some(target);
                if let Ok(uri) = Uri::from_parts(parts) {
                    *request.uri_mut() = uri;
                }
            }
        }
        inner.clone().oneshot(request)
    });
    Router::new().fallback_service(rewritten)
}

/// The path to route by; `None` when it is the path as sent.
fn rewritten_path(path: &str, prefix: &str) -> Option<String> {
    let decoded = path.contains("%40").then(|| path.replace("%40", "@"));
    let mut wanted = decoded.as_deref().unwrap_or(path);
    if !prefix.is_empty()
        && let Some(rest) = wanted.strip_prefix(prefix)
        && (rest.is_empty() || rest.starts_with('/'))
    {
        wanted = rest;
    }
    wanted = match wanted.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    };
    (wanted != path).then(|| wanted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_prefix_and_escapes_are_undone() {
        for (path, expected) in [
            ("/e/", Some("/e")),
            ("/e", None),
            ("/", None),
            ("//", Some("/")),
            ("/ingest/e/", Some("/e")),
            ("/ingest", Some("/")),
            ("/ingested/e", None),
            ("/api/users/%40me/", Some("/api/users/@me")),
        ] {
            assert_eq!(rewritten_path(path, "/ingest").as_deref(), expected, "{path}");
        }
        assert_eq!(rewritten_path("/ingest/e", ""), None);
    }
}
