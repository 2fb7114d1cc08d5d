//! What a reader sees: committed files plus fresh rows, of all tables at one moment.

use crate::catalog::TableCatalog;
use crate::error::{Context, kind_of};
use crate::schema::{NAMESPACE, TableDef};
use crate::{Kind, Result};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::table::Table;
use iceberg::{NamespaceIdent, TableIdent};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a query waits for the names of other tables.
const PATIENCE: Duration = Duration::from_secs(2);

/// One table as a reader sees it. The rows are those of the snapshot and those of the tail, each once.
#[derive(Clone, Debug)]
pub struct TableView {
    /// The committed part: metadata and current snapshot.
    pub table: Table,
    /// Rows not committed yet, oldest first, in the schema below. Empty for tables of others.
    pub tail: Arc<[RecordBatch]>,
    /// Columns. Data files written before a column was added lack it and mean null.
    pub schema: SchemaRef,
    /// The declaration; `None` for tables made by others.
    pub def: Option<&'static TableDef>,
}

/// A consistent picture of all tables. Cloning is one reference count; it never changes once made.
#[derive(Clone, Debug)]
pub struct View {
    own: Arc<BTreeMap<&'static str, TableView>>,
    catalog: Arc<dyn TableCatalog>,
}

impl View {
    pub(crate) fn new(own: BTreeMap<&'static str, TableView>, catalog: Arc<dyn TableCatalog>) -> Self {
        Self { own: Arc::new(own), catalog }
    }

    /// One of the declared tables.
    pub fn own(&self, name: &str) -> Option<&TableView> {
        self.own.get(name)
    }

    /// Any table of the namespace; tables made by others are read from the catalog at this moment.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Corrupt` when its metadata is damaged.
    pub async fn table(&self, name: &str) -> Result<TableView> {
        if let Some(own) = self.own.get(name) {
            return Ok(own.clone());
        }
        let ident = TableIdent::new(NamespaceIdent::new(NAMESPACE.to_owned()), name.to_owned());
        let loaded = self.catalog.load_table(&ident).await;
        let table = loaded.map_err(|error| {
            let kind = kind_of(&error);
            let text = format!("table {NAMESPACE}.{name}: {}", error.message());
            crate::Error::new(kind, text).from_source(error)
        })?;
        let schema = schema_to_arrow_schema(table.metadata().current_schema())
            .context(Kind::Invalid, || format!("table {name} has columns this program cannot read"))?;
        Ok(TableView { table, tail: Arc::from([]), schema: Arc::new(schema), def: None })
    }

    /// Names of all tables in the namespace, sorted. While the catalog does not answer, those of ours: they are read
    /// without it.
    ///
    /// # Errors
    /// `Corrupt` when the catalog is damaged.
    pub async fn names(&self) -> Result<Vec<String>> {
        let namespace = NamespaceIdent::new(NAMESPACE.to_owned());
        let listed = tokio::time::timeout(PATIENCE, self.catalog.list_tables(&namespace)).await;
        let idents = match listed {
            Ok(Ok(idents)) => idents,
            Ok(Err(error)) if kind_of(&error) != Kind::Unavailable => {
                return Err(crate::Error::new(kind_of(&error), "list tables").from_source(error));
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the catalog does not list its tables: only ours can be asked");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!("the catalog does not list its tables in time: only ours can be asked");
                Vec::new()
            }
        };
        let mut names: Vec<String> = idents.into_iter().map(|ident| ident.name).collect();
        names.extend(self.own.keys().map(|name| (*name).to_owned()));
        names.sort();
        names.dedup();
        Ok(names)
    }
}
