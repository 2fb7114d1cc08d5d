//! A catalog's pointers in PostgreSQL: what the metastore's database keeps, as the tables ask for it.

use async_trait::async_trait;
use metastore::postgres::pointer::TableName;
use metastore::{Kind, Postgres};
use std::collections::{BTreeSet, HashMap};
use table::catalog::{
    CatalogError as Error, CatalogErrorKind as ErrorKind, CatalogResult as Result, NAME, Pointers, Swap,
    with_parents,
};
use table::outside::{NamespaceIdent, TableIdent};

/// See the module.
pub struct PostgresPointers(Postgres);

impl std::fmt::Debug for PostgresPointers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresPointers").field(&self.0.place()).finish()
    }
}

impl PostgresPointers {
    /// Opens the database and makes the catalog's tables where they are missing.
    ///
    /// # Errors
    /// As [`Postgres::open`].
    pub async fn open(url: &str) -> metastore::Result<Self> {
        let database = Postgres::open(url).await?;
        database.make_pointers().await?;
        Ok(Self(database))
    }
}

fn dotted(namespace: &NamespaceIdent) -> String {
    namespace.join(".")
}

/// The error of a call, where `none` and `taken` are what a missing and a taken name mean.
fn failed(error: metastore::Error, none: ErrorKind, taken: ErrorKind) -> Error {
    let kind = match error.kind() {
        Kind::NotFound => none,
        Kind::Conflict => taken,
        Kind::Corrupt => ErrorKind::DataInvalid,
        _ => ErrorKind::Unexpected,
    };
    Error::new(kind, "the catalog's database did not do it").with_source(error)
}

fn unanswered(error: metastore::Error) -> Error {
    failed(error, ErrorKind::Unexpected, ErrorKind::Unexpected)
}

fn named(error: metastore::Error) -> Error {
    failed(error, ErrorKind::TableNotFound, ErrorKind::TableAlreadyExists)
}

fn name<'a>(namespace: &'a str, ident: &'a TableIdent) -> TableName<'a> {
    [NAME, namespace, ident.name()]
}

#[async_trait]
impl Pointers for PostgresPointers {
    async fn namespaces(&self) -> Result<BTreeSet<NamespaceIdent>> {
        with_parents(self.0.pointed_namespaces(NAME).await.map_err(unanswered)?)
    }

    async fn properties(&self, namespace: &NamespaceIdent) -> Result<HashMap<String, String>> {
        let found = self.0.namespace_properties(NAME, &dotted(namespace)).await.map_err(unanswered)?;
        Ok(found.into_iter().collect())
    }

    async fn write_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: &HashMap<String, String>,
    ) -> Result<()> {
        let pairs = properties.clone().into_iter().collect();
        self.0.write_properties(NAME, &dotted(namespace), Some(pairs)).await.map_err(unanswered)
    }

    async fn remove_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.0.write_properties(NAME, &dotted(namespace), None).await.map_err(unanswered)
    }

    async fn tables(&self, namespace: &NamespaceIdent) -> Result<Vec<String>> {
        self.0.pointed_tables(NAME, &dotted(namespace)).await.map_err(unanswered)
    }

    async fn find(&self, ident: &TableIdent) -> Result<Option<String>> {
        self.0.pointer(name(&dotted(&ident.namespace), ident)).await.map_err(unanswered)
    }

    async fn insert(&self, ident: &TableIdent, location: &str) -> Result<()> {
        self.0.add_pointer(name(&dotted(&ident.namespace), ident), location).await.map_err(named)
    }

    async fn remove(&self, ident: &TableIdent) -> Result<()> {
        self.0.remove_pointer(name(&dotted(&ident.namespace), ident)).await.map_err(named)
    }

    async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        let (old, new) = (dotted(&from.namespace), dotted(&to.namespace));
        self.0.rename_pointer(name(&old, from), [&new, to.name()]).await.map_err(named)
    }

    async fn swap(&self, ident: &TableIdent, old: &str, new: &str) -> Swap {
        let error = match self.0.move_pointer(name(&dotted(&ident.namespace), ident), [old, new]).await {
            Ok(true) => return Swap::Done,
            Ok(false) => return Swap::Refused,
            Err(error) => unanswered(error),
        };
        // A statement that the server still has may move it later, so only that it has moved is known for sure.
        match self.find(ident).await {
            Ok(Some(now)) if now == new => Swap::Done,
            _ => Swap::Unknown(error),
        }
    }
}
