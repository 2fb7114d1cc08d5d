//! Which metadata file is a table's current one: the catalogs that can keep it, behind one trait.
//!
//! The pump, table care and other programs commit through [`TableCatalog::commit`]: requirements and updates as
//! Iceberg's REST protocol has them. Whoever keeps the pointers makes the change as a whole or not at all, and says
//! which, or that it cannot say: see [`is_unclear`].

#[cfg(test)]
pub mod fault;
mod pointer;
mod rest;
mod sql;
mod sqlite;

pub use iceberg::{Error as CatalogError, ErrorKind as CatalogErrorKind, Result as CatalogResult};
pub use pointer::{Pointers, Swap, with_parents};
pub use rest::{Rest, RestCatalog};
pub use sql::SqlCatalog;

use crate::disk::local;
use crate::objects::Objects;
use async_trait::async_trait;
use iceberg::table::Table;
use iceberg::{Catalog, Error, ErrorKind, NamespaceIdent, Result, TableIdent, TableRequirement, TableUpdate};

/// The catalog's name in SQL catalogs: pyiceberg and JDBC catalogs must be opened with the same one.
pub const NAME: &str = "tenrec";

/// Property that asks for old metadata files to be removed after a commit.
pub(crate) const PRUNE_PROPERTY: &str = "write.metadata.delete-after-commit.enabled";

/// A catalog that takes changes which no action of the library makes, and knows where files lie.
#[async_trait]
pub trait TableCatalog: Catalog {
    /// Changes a table, or nothing.
    ///
    /// # Errors
    /// `CatalogCommitConflicts` when a requirement is not met or somebody else was first: nothing was changed. After an
    /// error that [`is_unclear`] it may have been, now or later: nothing that the change refers to may be removed.
    /// After any other nothing was changed.
    async fn commit(
        &self,
        ident: &TableIdent,
        requirements: &[TableRequirement],
        updates: Vec<TableUpdate>,
    ) -> Result<Table>;

    /// Refuses a table of ours whose files are not where this program would have put them.
    ///
    /// # Errors
    /// `FeatureUnsupported`, naming both places.
    async fn check_place(&self, ident: &TableIdent) -> Result<()>;

    /// Refuses a namespace that the catalog does not know but whose tables are there: it would make them anew, empty.
    ///
    /// # Errors
    /// `FeatureUnsupported`, saying where they are.
    async fn check_unused(&self, namespace: &NamespaceIdent) -> Result<()>;

    /// The files of the tables.
    fn objects(&self) -> &Objects;

    /// Failures that a test orders.
    #[cfg(test)]
    fn faults(&self) -> &fault::Faults;
}

/// The cause of an error after which nobody knows whether the change was made, or will be.
#[derive(Debug)]
struct Unclear(Error);

impl std::fmt::Display for Unclear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the catalog did not say whether the change was made")
    }
}

impl std::error::Error for Unclear {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Says of an error that the change may have been made.
fn unclear(error: Error) -> Error {
    Error::new(ErrorKind::Unexpected, error.message().to_owned()).with_source(Unclear(error))
}

/// Whether the change that failed so may have been made, or may still be.
pub(crate) fn is_unclear(error: &Error) -> bool {
    use std::error::Error as _;
    error.source().is_some_and(|source| source.is::<Unclear>())
}

/// Whether a location is inside the local file system, for messages and checks.
pub(crate) fn local_path(location: &str) -> Option<std::path::PathBuf> {
    local(location).ok()
}
