//! `[catalog]`: who keeps the list of tables.

use super::Metastore;
use serde::{Deserialize, Serialize};

/// Kinds of catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogKind {
    /// A file in the data folder.
    Embedded,
    /// A PostgreSQL database.
    Postgres,
    /// A service that speaks Iceberg's REST protocol.
    Rest,
}

/// `[catalog]`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// See [`CatalogKind`].
    pub kind: CatalogKind,
    /// URL of the service or the database, or empty.
    pub uri: String,
    /// Warehouse of the service, or empty.
    pub warehouse: String,
    /// Namespace of our tables there.
    pub namespace: String,
    /// Bearer token, or empty.
    pub token: String,
    /// `id:secret`, or empty.
    pub credential: String,
    /// Where tokens are bought, or empty.
    pub oauth2_uri: String,
    /// What they are good for.
    pub scope: String,
    /// AWS service that requests are signed for, or empty.
    pub sigv4_service: String,
    /// Its region.
    pub sigv4_region: String,
    /// Milliseconds for one request.
    pub timeout_ms: u64,
    /// Milliseconds in which a question is asked again.
    pub retry_ms: u64,
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let uri = metastore::postgres::masked(&self.uri);
        f.debug_struct("Catalog").field("kind", &self.kind).field("uri", &uri).finish_non_exhaustive()
    }
}

impl Catalog {
    /// The database of a catalog in PostgreSQL.
    pub fn database<'a>(&'a self, metastore: &'a Metastore) -> &'a str {
        if self.uri.is_empty() { &metastore.url } else { &self.uri }
    }

    /// What is wrong with the values, each with its key.
    pub(super) fn problems(&self, metastore: &Metastore) -> Vec<String> {
        let mut found = Vec::new();
        match self.kind {
            CatalogKind::Embedded => {}
            CatalogKind::Postgres => match self.database(metastore) {
                "" => found.push("catalog.uri: a catalog of kind postgres needs postgres://...".to_owned()),
                url => {
                    let problem = metastore::postgres::check(url).err();
                    found.extend(problem.map(|error| format!("catalog.uri: {error}")));
                }
            },
            CatalogKind::Rest => {
                if !self.uri.starts_with("https://") && !self.uri.starts_with("http://") {
                    found.push(
                        "catalog.uri: a catalog of kind rest needs https://... (or http://...)".to_owned(),
                    );
                }
                if self.uri.contains('@') {
                    found.push(
                        "catalog.uri: secrets belong in catalog.token or catalog.credential".to_owned(),
                    );
                }
                if self.namespace.split('.').any(str::is_empty) {
                    found.push("catalog.namespace: must be names joined by dots".to_owned());
                }
                for (key, value) in
                    [("catalog.timeout_ms", self.timeout_ms), ("catalog.retry_ms", self.retry_ms)]
                {
                    if value == 0 {
                        found.push(format!("{key}: must be greater than 0"));
                    }
                }
            }
        }
        found
    }
}
