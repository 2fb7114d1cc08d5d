//! Who asks: personal and secret keys of the private API.
//!
//! # Compat
//! A key is looked for in `Authorization: Bearer`, then `personal_api_key` in the JSON body, then in the query; only the
//! first found counts (PostHog `posthog/auth.py`). Project keys (`phc_...`) never read anything.

use crate::app::App;
use crate::problem::Problem;
use event::ProjectId;
use http::{HeaderMap, header};
use metastore::Credential;
use metastore::key::Access;

/// What a caller must be allowed to do.
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    /// The scope object, such as `query`.
    pub object: &'static str,
    /// Read or write.
    pub access: Access,
}

/// The key of a request, from the header, else from the body or the query.
pub fn find_key<'a>(
    headers: &'a HeaderMap,
    body: Option<&'a str>,
    query: Option<&'a str>,
) -> Option<&'a str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, key) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    bearer.or(body).or(query).filter(|key| !key.is_empty())
}

/// Checks that `key` may do `permission` in `project`.
pub async fn authorize(
    app: &App,
    key: Option<&str>,
    project: ProjectId,
    permission: Permission,
) -> Result<Credential, Problem> {
    let key = key.ok_or_else(Problem::not_authenticated)?;
    let credential = app.metastore.authenticate(key, app.clock.now()).await.map_err(|error| {
        tracing::error!(%error, "cannot check an API key");
        Problem::server_error()
    })?;
    let credential = credential.ok_or_else(Problem::invalid_key)?;
    if app.directory.project(project).is_none() {
        return Err(Problem::not_found());
    }
    if !credential.reaches(project) {
        return Err(Problem::forbidden("API key does not have access to the requested project."));
    }
    if !credential.allows(permission.object, permission.access) {
        let access = if permission.access == Access::Read { "read" } else { "write" };
        return Err(Problem::forbidden(&format!(
            "API key missing required scope '{}:{access}'",
            permission.object
        )));
    }
    Ok(credential)
}

/// The project of a path segment: a number, or `@current` for the one the key belongs to.
pub async fn project(app: &App, segment: &str, key: Option<&str>) -> Result<ProjectId, Problem> {
    let id = match segment.parse() {
        Ok(number) => ProjectId(number),
        Err(_) if segment == "@current" => {
            let key = key.ok_or_else(Problem::not_authenticated)?;
            let credential = app.metastore.authenticate(key, app.clock.now()).await;
            let scoped = credential.ok().flatten().and_then(|credential| credential.projects);
            scoped.and_then(|projects| projects.first().copied()).unwrap_or(ProjectId(1))
        }
        Err(_) => return Err(Problem::not_found()),
    };
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_goes_first() {
        let mut headers = HeaderMap::new();
        assert_eq!(find_key(&headers, Some("b"), Some("q")), Some("b"));
        assert_eq!(find_key(&headers, None, Some("q")), Some("q"));
        headers.insert(header::AUTHORIZATION, "bEaReR  phx_1 ".parse().expect("header"));
        assert_eq!(find_key(&headers, Some("b"), None), Some("phx_1"));
        headers.insert(header::AUTHORIZATION, "Basic abc".parse().expect("header"));
        assert_eq!(find_key(&headers, None, None), None);
    }
}
