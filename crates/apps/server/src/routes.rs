//! Every route, in one table. To find what answers a path, read here.

use crate::app::App;
use crate::care::door as care;
use crate::iceberg::{config, namespace, table, token, view};
use crate::{ai, capture, capture_v1, health, layer, moments, question, remote_config, role};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::routing::{any, delete, get, post};

/// All routes, with and without trailing slash and path prefix.
pub fn router(app: &App) -> Router {
    let role = app.settings.server.role;
    let (mut doors, mut answers) = (v0().merge(v1()), private().merge(iceberg()));
    // The routes stay: what comes to the wrong process is told where to go.
    if !role.captures() {
        doors = doors.route_layer(from_fn(|_: Request, _: Next| role::no_capture()));
    }
    if !role.answers() {
        answers = answers.route_layer(from_fn(|_: Request, _: Next| role::no_answers()));
    } else if !role.writes() {
        answers = private().merge(iceberg().route_layer(from_fn(role::read_only)));
    }
    let mut care = tending();
    if !role.writes() {
        care = care.route_layer(from_fn(|_: Request, _: Next| role::no_care()));
    }
    let routes = doors.merge(answers).merge(care).merge(operations());
    let prefix = app.settings.server.path_prefix.clone();
    let inner =
        routes.layer(from_fn(layer::measure)).layer(DefaultBodyLimit::disable()).with_state(app.clone());
    layer::rewrite_paths(inner, prefix)
}

/// Capture v0 and what SDKs ask besides. CORS as PostHog's capture, credentials included.
fn v0() -> Router<App> {
    Router::new()
        .route("/e", post(capture::events).get(capture::events))
        .route("/capture", post(capture::events).get(capture::events))
        .route("/capture/e", post(capture::events).get(capture::events))
        .route("/track", post(capture::events).get(capture::events))
        .route("/i/v0/e", post(capture::events).get(capture::events))
        .route("/batch", post(capture::events).get(capture::events))
        .route("/engage", post(capture::engage).get(capture::engage))
        .route("/identify", post(capture::identify).get(capture::identify))
        .route("/alias", post(capture::alias).get(capture::alias))
        .route("/groups", post(capture::groups).get(capture::groups))
        .route("/s", post(capture::replay).get(capture::replay))
        .route("/i/v0/s", post(capture::replay).get(capture::replay))
        .route("/i/v0/ai/batch", post(capture::ai_batch).get(capture::ai_batch))
        .route("/i/v0/ai", post(ai::multipart))
        .route("/i/v0/ai/otel", post(ai::traces))
        .route("/i/v0/ai/otel/v1/traces", post(ai::traces))
        .route("/array/{token}/config", get(remote_config::json))
        .route("/array/{token}/config.js", get(remote_config::script))
        .route("/api/surveys", get(remote_config::no_surveys))
        .route("/api/web_experiments", get(remote_config::no_web_experiments))
        .route("/api/early_access_features", get(remote_config::no_early_access_features))
        .route("/api/product_tours", get(remote_config::no_product_tours))
        // A browser can read a 404 only when it carries CORS headers, too.
        .fallback(health::nothing_here)
        .layer(layer::catch_panics())
        .layer(layer::cors_v0())
}

/// Capture v1.
fn v1() -> Router<App> {
    Router::new()
        .route("/i/v1/analytics/events", post(capture_v1::events))
        .route("/i/v1/ai/events", post(capture_v1::ai_events))
        .layer(layer::catch_panics_v1())
        .layer(layer::cors_v1())
}

/// Private: a personal or secret key is needed.
fn private() -> Router<App> {
    Router::new()
        .route("/api/projects/{project}/query", post(question::ask))
        .route("/api/environments/{project}/query", post(question::ask))
        .route("/api/backups", post(moments::take))
        .route("/api/backups/{id}", delete(moments::end))
        .route("/api/backups/{id}/files/{*path}", get(moments::file))
        .method_not_allowed_fallback(question::wrong_method)
        .route("/api/{*rest}", any(question::nothing_here))
        .layer(layer::catch_panics())
        .layer(layer::cors_v0())
}

/// Table care and erasures: a personal key is needed.
fn tending() -> Router<App> {
    Router::new()
        .route("/api/projects/{project}/erasures", get(care::erasures).post(care::erase))
        .route("/api/care", post(care::run))
        .method_not_allowed_fallback(question::wrong_method)
        .layer(layer::catch_panics())
        .layer(layer::cors_v0())
}

/// The Iceberg REST catalog: a personal key of all projects is needed. A client may send the prefix `tenrec`.
fn iceberg() -> Router<App> {
    let catalog = Router::new()
        .route("/namespaces", get(namespace::list).post(namespace::create))
        .route(
            "/namespaces/{namespace}",
            get(namespace::load).head(namespace::exists).delete(namespace::drop),
        )
        .route("/namespaces/{namespace}/properties", post(namespace::update))
        .route("/namespaces/{namespace}/tables", get(table::list).post(table::create))
        .route("/namespaces/{namespace}/register", post(table::register))
        .route(
            "/namespaces/{namespace}/tables/{table}",
            get(table::load).head(table::exists).post(table::commit).delete(table::drop),
        )
        .route("/namespaces/{namespace}/tables/{table}/credentials", get(table::credentials))
        .route("/namespaces/{namespace}/tables/{table}/metrics", post(table::report))
        .route("/tables/rename", post(table::rename))
        .route("/transactions/commit", post(table::transact))
        .route("/namespaces/{namespace}/views", get(view::list).post(view::refuse))
        .route("/namespaces/{namespace}/views/{view}", get(view::none));
    Router::new()
        .route("/iceberg/v1/config", get(config::show))
        .route("/iceberg/v1/oauth/tokens", post(token::grant))
        .nest("/iceberg/v1", catalog.clone())
        .nest("/iceberg/v1/tenrec", catalog)
        .method_not_allowed_fallback(view::wrong_method)
        .route("/iceberg/{*rest}", any(view::nothing_here))
        // Without CORS: a page in a browser has no business with files of the server's machine.
        .layer(layer::catch_panics_iceberg())
}

/// Health and numbers.
fn operations() -> Router<App> {
    Router::new()
        .route("/", get(health::root))
        .route("/_liveness", get(health::liveness))
        .route("/_livez", get(health::liveness))
        .route("/_readiness", get(health::readiness))
        .route("/_readyz", get(health::readiness))
        .route("/_ready", get(health::readiness))
        .route("/_health", get(health::readiness))
        .route("/healthz", get(health::readiness))
        .layer(layer::catch_panics())
        .layer(layer::cors_v0())
        // Without CORS: no page may read them with a visitor's browser.
        .route("/metrics", get(health::metrics))
}
