//! `POST /api/projects/:id/query/`: SQL over HTTP, in PostHog's shape.

use crate::app::App;
use crate::auth::{self, Permission};
use crate::body::{self, Bounds, Fault};
use crate::problem::Problem;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use event::ProjectId;
use http::{StatusCode, header};
use metastore::key::Access;
use serde::Deserialize;
use std::time::Instant;

/// Bytes of a question: far above any SQL that is accepted.
const BODY_BYTES: usize = 1024 * 1024;

/// The body; what is not listed is ignored, as PostHog's clients send much more.
#[derive(Debug, Deserialize)]
struct Body {
    query: Option<Node>,
    personal_api_key: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Node {
    kind: Option<String>,
    query: Option<String>,
    /// `DataVisualizationNode` and `DataTableNode` wrap the question.
    source: Option<Box<Node>>,
    limit: Option<usize>,
}

/// Answers one question.
pub async fn ask(State(app): State<App>, Path(project): Path<String>, request: Request) -> Response {
    let started = Instant::now();
    match answer(&app, &project, request).await {
        Ok(json) => {
            telemetry::query::answered("sql", started.elapsed());
            ([(header::CONTENT_TYPE, "application/json")], json).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn answer(app: &App, project: &str, request: Request) -> Result<String, Problem> {
    let (parts, body) = request.into_parts();
    let bounds = Bounds::of(&app.settings.server, BODY_BYTES);
    let bytes = body::collect(body, bounds).await.map_err(|fault| match fault {
        Fault::TooLarge(limit) => Problem::too_large(limit),
        Fault::Stalled(_) | Fault::Late | Fault::Gone => Problem::timeout(),
    })?;
    let body: Result<Body, _> = serde_json::from_slice(&bytes);
    let in_body = body.as_ref().ok().and_then(|body| body.personal_api_key.as_deref());
    let in_query = parts
        .uri
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("personal_api_key=")));
    let key = auth::find_key(&parts.headers, in_body, in_query);
    let project = auth::project(app, project, key).await?;
    let permission = Permission { object: "query", access: Access::Read };
    auth::authorize(app, key, project, permission).await?;
    let body = body.map_err(|e| Problem::invalid("parse_error", &format!("JSON parse error - {e}"), None))?;
    let node = unwrap(body.query)?;
    ask_engine(app, project, node).await
}

/// Finds the SQL inside the wrappers clients put around it.
fn unwrap(node: Option<Node>) -> Result<Node, Problem> {
    let mut node =
        node.ok_or_else(|| Problem::invalid("required", "This field is required.", Some("query")))?;
    while let Some(source) = node.source.take() {
        node = *source;
    }
    match node.kind.as_deref() {
        Some("HogQLQuery") if node.query.is_some() => Ok(node),
        Some("HogQLQuery") => {
            Err(Problem::invalid("required", "This field is required.", Some("query.query")))
        }
        Some(kind) => {
            let detail = format!("Queries of kind {kind} are not supported yet. Ask with a HogQLQuery.");
            Err(Problem::invalid("not_implemented", &detail, Some("query.kind")))
        }
        None => Err(Problem::invalid("required", "This field is required.", Some("query.kind"))),
    }
}

async fn ask_engine(app: &App, project: ProjectId, node: Node) -> Result<String, Problem> {
    let sql = node.query.unwrap_or_default();
    let request = query::Request { project, sql: sql.clone(), now: app.clock.now(), row_limit: node.limit };
    let answer = app.engine.run(request).await.map_err(problem)?;
    Ok(tokio::task::block_in_place(|| query::answer::to_posthog_json(&answer, &sql)))
}

/// What a failed question is told; what is our affair goes to the log.
fn problem(error: query::Error) -> Problem {
    telemetry::query::failed("sql", error.code);
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() {
        tracing::error!(error = %error, cause = ?error.source, "a query failed");
    }
    let said = error.problem();
    Problem {
        status,
        kind: said.family,
        code: said.code.to_owned(),
        detail: said.detail,
        attr: said.attr.map(str::to_owned),
        retry_after: (error.kind == query::Kind::Busy).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(json: &str) -> Result<Node, Problem> {
        unwrap(serde_json::from_str::<Body>(json).expect("body").query)
    }

    #[test]
    fn wrappers_are_undone() {
        let plain = r#"{"kind":"HogQLQuery","query":"select 1"}"#;
        for json in [
            format!(r#"{{"query":{plain}}}"#),
            format!(r#"{{"query":{{"kind":"DataTableNode","source":{plain}}}}}"#),
        ] {
            assert_eq!(node(&json).expect("node").query.as_deref(), Some("select 1"));
        }
    }

    #[test]
    fn other_kinds_say_what_to_do() {
        let problem = node(r#"{"query":{"kind":"TrendsQuery"}}"#).expect_err("kind");
        assert!(problem.detail.contains("TrendsQuery"));
        assert_eq!(node("{}").expect_err("query").attr.as_deref(), Some("query"));
    }
}
