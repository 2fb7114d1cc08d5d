//! Who may use the catalog: personal keys of all projects.
//!
//! A table holds the rows of every project, and whoever may load it reads its files without asking again. So a key that
//! is limited to projects, as every project secret key is, may not even list the tables, whichever projects they are.

use super::Refusal;
use crate::app::App;
use crate::auth;
use axum::extract::FromRequestParts;
use http::request::Parts;
use metastore::Credential;
use metastore::key::Access;

/// The scope that keys need: `warehouse_table:read` or `warehouse_table:write`.
///
/// # Compat
/// The name PostHog has for tables of its warehouse.
const SCOPE: &str = "warehouse_table";

/// A request whose key may look.
#[derive(Clone, Copy, Debug)]
pub struct Reads;

/// A request whose key may change.
#[derive(Clone, Copy, Debug)]
pub struct Writes;

impl FromRequestParts<App> for Reads {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        check(app, auth::find_key(&parts.headers, None, None), Access::Read).await.map(|_| Self)
    }
}

impl FromRequestParts<App> for Writes {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        check(app, auth::find_key(&parts.headers, None, None), Access::Write).await.map(|_| Self)
    }
}

/// Checks that `key` may do this with all tables.
pub async fn check(app: &App, key: Option<&str>, access: Access) -> Result<Credential, Refusal> {
    let key = key.ok_or_else(|| {
        Refusal::not_authorized(
            "Send a personal API key: `Authorization: Bearer phx_...`, or as `client_secret`.",
        )
    })?;
    let credential = app.metastore.authenticate(key, app.clock.now()).await.map_err(|error| {
        tracing::error!(%error, "cannot check an API key");
        Refusal::failed()
    })?;
    let credential = credential.ok_or_else(|| {
        Refusal::not_authorized("This is no personal API key of this server. `tenrec keys create` makes one.")
    })?;
    if credential.projects.is_some() {
        return Err(Refusal::forbidden(
            "This API key is limited to projects, and the tables hold the rows of all projects together. Use a personal \
             key that is not limited, or ask SQL of one project at /api/projects/<id>/query.",
        ));
    }
    if !credential.allows(SCOPE, access) {
        let access = if access == Access::Read { "read" } else { "write" };
        return Err(Refusal::forbidden(format!("API key missing required scope '{SCOPE}:{access}'")));
    }
    Ok(credential)
}
