//! What a catalog in a SQL database must be able to do: table pointers and namespace properties.

use async_trait::async_trait;
use iceberg::{Error, NamespaceIdent, Result, TableIdent};
use std::collections::{BTreeSet, HashMap};

/// What became of a compare-and-swap.
#[derive(Debug)]
pub enum Swap {
    /// The pointer moved.
    Done,
    /// Somebody else moved it first.
    Refused,
    /// It did not move and will not.
    Failed(Error),
    /// It may have moved, or may still: read the pointer before trying again.
    Unknown(Error),
}

/// Rows in the layout of JDBC catalogs and pyiceberg's SQL catalog, those of the catalog called [`super::NAME`].
#[async_trait]
pub trait Pointers: std::fmt::Debug + Send + Sync {
    /// Every namespace with properties or tables, and their parents.
    async fn namespaces(&self) -> Result<BTreeSet<NamespaceIdent>>;

    /// Properties of a namespace.
    async fn properties(&self, namespace: &NamespaceIdent) -> Result<HashMap<String, String>>;

    /// Creates or replaces a namespace's properties; `exists` marks one without any.
    async fn write_namespace(
        &self,
        name: &NamespaceIdent,
        properties: &HashMap<String, String>,
    ) -> Result<()>;

    /// Forgets a namespace.
    async fn remove_namespace(&self, namespace: &NamespaceIdent) -> Result<()>;

    /// Table names in a namespace, sorted.
    async fn tables(&self, namespace: &NamespaceIdent) -> Result<Vec<String>>;

    /// The current metadata file of a table.
    async fn find(&self, ident: &TableIdent) -> Result<Option<String>>;

    /// Adds a table; `TableAlreadyExists` when there is one.
    async fn insert(&self, ident: &TableIdent, location: &str) -> Result<()>;

    /// Forgets a table; `TableNotFound` when there is none.
    async fn remove(&self, ident: &TableIdent) -> Result<()>;

    /// Gives a table another name; `TableNotFound`, `TableAlreadyExists`.
    async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<()>;

    /// Moves the pointer from `old` to `new`, unless it points elsewhere. When the answer is an error the pointer is
    /// read back to learn what happened.
    async fn swap(&self, ident: &TableIdent, old: &str, new: &str) -> Swap;
}

/// How a namespace is written in a row.
pub(super) fn dotted(namespace: &NamespaceIdent) -> String {
    namespace.join(".")
}

/// Namespaces as rows have them, and all that they lie in.
///
/// # Errors
/// `DataInvalid` for one without a name.
pub fn with_parents(names: impl IntoIterator<Item = String>) -> Result<BTreeSet<NamespaceIdent>> {
    let mut all = BTreeSet::new();
    for name in names {
        let mut next = Some(NamespaceIdent::from_strs(name.split('.'))?);
        while let Some(namespace) = next {
            next = namespace.parent();
            all.insert(namespace);
        }
    }
    Ok(all)
}
