//! `POST /api/projects/:id/query/`: SQL over HTTP, in PostHog's shape.

use crate::app::App;
use crate::auth::{self, Permission};
use crate::body::{self, Bounds};
use crate::problem::Problem;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use event::ProjectId;
use http::{Method, StatusCode, header};
use metastore::key::Access;
use serde_json::Value;
use std::time::Instant;

/// Bytes of a question: far above any SQL that is accepted.
const BODY_BYTES: usize = 1024 * 1024;

/// The question inside the body; what is not listed is ignored, as PostHog's clients send much more.
#[derive(Debug)]
struct Node {
    sql: String,
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
    let hold = app.pressure.hold();
    let bytes = body::collect(body, Bounds::of(app, BODY_BYTES), &hold).await?;
    let body: Result<Value, _> = serde_json::from_slice(&bytes);
    let in_body = body.as_ref().ok().and_then(|body| body["personal_api_key"].as_str());
    let in_query = parts
        .uri
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("personal_api_key=")));
    let key = auth::find_key(&parts.headers, in_body, in_query);
    let project = auth::project(app, project, key).await?;
    let permission = Permission { object: "query", access: Access::Read };
    auth::authorize(app, key, project, permission).await?;
    let body = body.map_err(|e| Problem::invalid("parse_error", &format!("JSON parse error - {e}"), None))?;
    let node = unwrap(&body)?;
    ask_engine(app, project, node).await
}

/// Finds the SQL inside the wrappers clients put around it: `DataVisualizationNode` and `DataTableNode`.
fn unwrap(body: &Value) -> Result<Node, Problem> {
    if !body.is_object() {
        return Err(Problem::invalid("invalid", "Invalid data. Expected a dictionary.", None));
    }
    let mut node = &body["query"];
    while node["source"].is_object() {
        node = &node["source"];
    }
    let required = |field| Err(Problem::invalid("required", "This field is required.", Some(field)));
    match node {
        Value::Object(_) => {}
        Value::Null => return required("query"),
        _ => return Err(Problem::invalid("invalid", "A query is an object with a kind.", Some("query"))),
    }
    match &node["kind"] {
        Value::String(kind) if kind == "HogQLQuery" => {}
        Value::String(kind) => {
            let detail = format!("Queries of kind {kind} are not supported yet. Ask with a HogQLQuery.");
            return Err(Problem::invalid("not_implemented", &detail, Some("query.kind")));
        }
        Value::Null => return required("query.kind"),
        _ => return Err(Problem::invalid("invalid", "The kind of a query is a text.", Some("query.kind"))),
    }
    let sql = match &node["query"] {
        Value::String(sql) => sql.clone(),
        Value::Null => return required("query.query"),
        _ => return Err(Problem::invalid("invalid", "SQL is a text.", Some("query.query"))),
    };
    Ok(Node { sql, limit: limit(&node["limit"])? })
}

/// Rows asked for beside the SQL text.
fn limit(limit: &Value) -> Result<Option<usize>, Problem> {
    match limit {
        Value::Null => Ok(None),
        number => match number.as_u64().and_then(|rows| usize::try_from(rows).ok()) {
            Some(rows) => Ok(Some(rows)),
            None => {
                Err(Problem::invalid("invalid", "A limit is a whole number of rows.", Some("query.limit")))
            }
        },
    }
}

/// A method that a path of the private API does not take.
pub async fn wrong_method(method: Method) -> Problem {
    Problem::method_not_allowed(method.as_str())
}

/// A path of the private API that nothing answers.
pub async fn nothing_here() -> Problem {
    Problem::not_found()
}

async fn ask_engine(app: &App, project: ProjectId, node: Node) -> Result<String, Problem> {
    let now = app.clock.now();
    let request = query::Request { project, sql: node.sql.clone(), now, row_limit: node.limit };
    let answer = app.engine()?.run(request).await.map_err(problem)?;
    Ok(tokio::task::block_in_place(|| query::answer::to_posthog_json(&answer, &node.sql)))
}

/// What a failed question is told; what is our affair goes to the log.
fn problem(error: query::Error) -> Problem {
    telemetry::query::failed("sql", error.code);
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if status.is_server_error() && error.kind != query::Kind::Limit {
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
        unwrap(&serde_json::from_str(json).expect("body"))
    }

    #[test]
    fn wrappers_are_undone() {
        let plain = r#"{"kind":"HogQLQuery","query":"select 1"}"#;
        for json in [
            format!(r#"{{"query":{plain}}}"#),
            format!(r#"{{"query":{{"kind":"DataTableNode","source":{plain}}}}}"#),
        ] {
            assert_eq!(node(&json).expect("node").sql, "select 1");
        }
    }

    #[test]
    fn other_kinds_say_what_to_do() {
        let problem = node(r#"{"query":{"kind":"TrendsQuery"}}"#).expect_err("kind");
        assert!(problem.detail.contains("TrendsQuery"));
    }

    #[test]
    fn each_fault_names_its_field() {
        for (json, code, attr) in [
            ("[]", "invalid", None),
            ("null", "invalid", None),
            (r#"[{"kind":"HogQLQuery","query":"select 1"}, null]"#, "invalid", None),
            ("{}", "required", Some("query")),
            (r#"{"query":null}"#, "required", Some("query")),
            (r#"{"query":"select 1"}"#, "invalid", Some("query")),
            (r#"{"query":{}}"#, "required", Some("query.kind")),
            (r#"{"query":{"kind":5}}"#, "invalid", Some("query.kind")),
            (r#"{"query":{"kind":"HogQLQuery"}}"#, "required", Some("query.query")),
            (r#"{"query":{"kind":"HogQLQuery","query":5}}"#, "invalid", Some("query.query")),
            (r#"{"query":{"kind":"HogQLQuery","query":"x","limit":-1}}"#, "invalid", Some("query.limit")),
            (
                r#"{"query":{"kind":"DataTableNode","source":{"kind":"X"}}}"#,
                "not_implemented",
                Some("query.kind"),
            ),
        ] {
            let problem = node(json).expect_err(json);
            assert_eq!((problem.code.as_str(), problem.attr.as_deref()), (code, attr), "{json}");
            assert!(!problem.detail.contains("struct"), "{json}: {}", problem.detail);
        }
    }
}
