//! What other programs may do with the catalog through a server: the operations of Iceberg's REST protocol, without HTTP.
//!
//! Our own tables, those of the namespace `tenrec`, are read like any other and changed by snapshots that this program
//! can still read, commit on and care for: [`judge`] says which. Tables of others lie beside them, in namespaces of
//! their own and in folders chosen here, and change as their owners like. Every change is a compare-and-swap on the
//! catalog the pump uses.

mod change;
mod create;
mod fault;
mod judge;
mod name;
mod namespace;
mod own;
mod remove;
mod snapshot;

pub use change::Change;
pub use create::NewTable;
pub use fault::{Fault, Reason};
pub use iceberg::{NamespaceIdent, TableIdent};
pub use namespace::Updated;

pub(crate) use name::is_inside;

use crate::schema::NAMESPACE;
use crate::warehouse::Warehouse;
use iceberg::spec::TableMetadata;
use iceberg::table::Table;
use std::sync::Arc;

/// Bytes of a table's metadata at most, as JSON: it is written anew by every commit and sent with every load.
const METADATA_BYTES: usize = 16 << 20;

/// See the module. Cloning is one reference count.
#[derive(Clone)]
pub struct Outside(Arc<Warehouse>);

/// A table as clients are told of it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Its metadata file; none for a table that is only prepared.
    pub metadata_location: Option<String>,
    /// What is in it; serializes as the format's specification says.
    pub metadata: Arc<TableMetadata>,
}

impl From<Table> for Loaded {
    fn from(table: Table) -> Self {
        Self {
            metadata_location: table.metadata_location().map(str::to_owned),
            metadata: table.metadata_ref(),
        }
    }
}

impl Warehouse {
    /// The catalog as other programs may use it.
    pub fn outside(self: &Arc<Self>) -> Outside {
        Outside(self.clone())
    }
}

impl Outside {
    /// Names of the tables in a namespace, sorted.
    ///
    /// # Errors
    /// `NoNamespace`; `Busy` when the catalog does not answer.
    pub async fn tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>, Fault> {
        self.require(namespace).await?;
        let mut tables = self.0.catalog.list_tables(namespace).await?;
        tables.sort();
        Ok(tables)
    }

    /// A table as it is now.
    ///
    /// # Errors
    /// `NoTable`; `Broken` when its metadata is damaged, `Busy` when the catalog does not answer.
    pub async fn load(&self, ident: &TableIdent) -> Result<Loaded, Fault> {
        self.table(ident).await.map(Loaded::from)
    }

    /// Whether there is such a table.
    ///
    /// # Errors
    /// `Busy` when the catalog does not answer.
    pub async fn has_table(&self, ident: &TableIdent) -> Result<bool, Fault> {
        Ok(self.0.catalog.table_exists(ident).await?)
    }

    async fn table(&self, ident: &TableIdent) -> Result<Table, Fault> {
        Ok(self.0.catalog.load_table(ident).await?)
    }

    /// Where tables lie: `file:///.../warehouse`, the folder of our namespace taken off.
    fn root(&self) -> Result<String, Fault> {
        let (_, table) = self.0.at(0);
        let location = table.metadata().location();
        let root = location.strip_suffix(&format!("/{NAMESPACE}/{}", table.identifier().name()));
        root.map(str::to_owned).ok_or_else(|| {
            let text = format!(
                "The catalog cannot say where a new table would lie: its own are at {location}. Make the table in the \
                 catalog that keeps them."
            );
            Fault::new(Reason::Refused, text)
        })
    }
}

#[cfg(test)]
mod tests;
