//! The embedded Iceberg catalog: one SQLite file in the layout of JDBC catalogs and pyiceberg's SQL catalog.
//!
//! The file says which metadata file is a table's current one; moving that pointer is a compare-and-swap and
//! is what commits. Metadata files are durable before the pointer moves. Any program that speaks the layout
//! may open the file at the same time; what it creates or commits is seen here at the next load.

#[cfg(test)]
pub(crate) mod fault;
mod pointer;

use pointer::{Pointers, Swap};

use crate::disk::{DiskFactory, local};
use crate::outside::is_inside;
use async_trait::async_trait;
use iceberg::io::{FileIO, FileIOBuilder};
use iceberg::spec::{TableMetadata, TableMetadataBuilder};
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, MetadataLocation, Namespace, NamespaceIdent, Result, Runtime, TableCommit,
    TableCreation, TableIdent, TableRequirement, TableUpdate,
};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

/// The catalog's name inside the file: pyiceberg and JDBC catalogs must be opened with the same one.
pub const NAME: &str = "tenrec";

/// Memory for decoded manifests, per table.
const MANIFEST_CACHE_BYTES: u64 = 4 << 20;

/// Property that asks for old metadata files to be removed after a commit.
pub(crate) const PRUNE_PROPERTY: &str = "write.metadata.delete-after-commit.enabled";

/// See the module.
#[derive(Debug)]
pub struct Embedded {
    pointers: Pointers,
    files: FileIO,
    warehouse: String,
    /// Tables by name as last loaded; valid while the pointer says the same. Keeps decoded manifests warm.
    loaded: Mutex<HashMap<TableIdent, Table>>,
    #[cfg(test)]
    pub(crate) faults: fault::Faults,
}

impl Embedded {
    /// Opens or creates `catalog.db` in `folder`, with tables under `folder/warehouse`.
    ///
    /// # Errors
    /// Unexpected when the file cannot be opened, DataInvalid when it is not a catalog.
    pub fn open(folder: &Path) -> Result<Self> {
        let warehouse = folder.join("warehouse");
        let warehouse = warehouse.to_str().ok_or_else(|| {
            Error::new(ErrorKind::FeatureUnsupported, format!("{} is not UTF-8", folder.display()))
        })?;
        Ok(Self {
            pointers: Pointers::open(&folder.join("catalog.db"))?,
            files: FileIOBuilder::new(Arc::new(DiskFactory)).build(),
            warehouse: format!("file://{warehouse}"),
            loaded: Mutex::default(),
            #[cfg(test)]
            faults: fault::Faults::default(),
        })
    }

    /// Refuses a table of this folder whose files are elsewhere: the folder was copied or moved after the table was made.
    ///
    /// # Errors
    /// `FeatureUnsupported`, naming both places.
    pub(crate) fn check_place(&self, ident: &TableIdent) -> Result<()> {
        let Some(location) = self.pointers.find(ident)? else { return Ok(()) };
        if location.starts_with(&format!("{}/", self.warehouse)) {
            return Ok(());
        }
        let text = format!(
            "{ident} was made at {location}, not below {}. Tables know their files by absolute path: put the \
             folder back where it was and move it with `tenrec restore OLD --to NEW`.",
            self.warehouse
        );
        Err(Error::new(ErrorKind::FeatureUnsupported, text))
    }

    async fn load_from(&self, ident: &TableIdent, location: &str) -> Result<Table> {
        if let Some(table) = self.loaded.lock().get(ident)
            && table.metadata_location() == Some(location)
        {
            return Ok(table.clone());
        }
        let metadata = TableMetadata::read_from(&self.files, location).await.map_err(|error| {
            let text = format!("cannot load metadata of {ident} from {location}");
            let kind = match error.kind() {
                ErrorKind::Unexpected if !text_is_parse(&error) => ErrorKind::Unexpected,
                _ => ErrorKind::DataInvalid,
            };
            Error::new(kind, text).with_source(error)
        })?;
        let table = self.table(ident, metadata, location)?;
        self.loaded.lock().insert(ident.clone(), table.clone());
        Ok(table)
    }

    fn table(&self, ident: &TableIdent, metadata: TableMetadata, location: &str) -> Result<Table> {
        Table::builder()
            .identifier(ident.clone())
            .metadata(metadata)
            .metadata_location(location)
            .file_io(self.files.clone())
            .cache_size_bytes(MANIFEST_CACHE_BYTES)
            .runtime(Runtime::try_current()?)
            .build()
    }

    /// Removes metadata files that the new metadata no longer lists. Failing leaves orphans, nothing more.
    async fn prune(&self, old: &Table, new: &Table) {
        if new.metadata().properties().get(PRUNE_PROPERTY).is_none_or(|value| value != "true") {
            return;
        }
        let listed: HashSet<&str> =
            new.metadata().metadata_log().iter().map(|entry| entry.metadata_file.as_str()).collect();
        let before = old.metadata().metadata_log().iter().map(|entry| entry.metadata_file.as_str());
        for location in before.chain(old.metadata_location()) {
            if !listed.contains(location)
                // The log may be written by others: nothing outside the table is removed for it.
                && is_inside(new.metadata().location(), location)
                && let Err(error) = self.files.delete(location).await
            {
                tracing::warn!(%error, location, "cannot remove old table metadata");
            }
        }
    }
}

/// JSON errors arrive as DataInvalid or, through a conversion, as Unexpected with a serde cause.
fn text_is_parse(error: &Error) -> bool {
    use std::error::Error as _;
    error.source().is_some_and(|source| source.is::<serde_json::Error>())
}

#[async_trait]
impl Catalog for Embedded {
    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        let names = self.pointers.namespaces()?;
        let depth = parent.map_or(0, |parent| parent.len());
        let inside = |name: &NamespaceIdent| {
            name.len() == depth + 1 && parent.is_none_or(|parent| name.starts_with(parent))
        };
        Ok(names.into_iter().filter(inside).collect())
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        if self.pointers.namespaces()?.contains(namespace) {
            return Err(Error::new(ErrorKind::NamespaceAlreadyExists, namespace.to_string()));
        }
        self.pointers.write_namespace(namespace, &properties)?;
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.require(namespace)?;
        Ok(Namespace::with_properties(namespace.clone(), self.pointers.properties(namespace)?))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        Ok(self.pointers.namespaces()?.contains(namespace))
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()> {
        self.require(namespace)?;
        self.pointers.write_namespace(namespace, &properties)
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.require(namespace)?;
        if !self.pointers.tables(namespace)?.is_empty() {
            return Err(Error::new(ErrorKind::PreconditionFailed, format!("{namespace} is not empty")));
        }
        self.pointers.remove_namespace(namespace)
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let names = self.pointers.tables(namespace)?;
        Ok(names.into_iter().map(|name| TableIdent::new(namespace.clone(), name)).collect())
    }

    async fn create_table(&self, namespace: &NamespaceIdent, mut creation: TableCreation) -> Result<Table> {
        self.require(namespace)?;
        let ident = TableIdent::new(namespace.clone(), creation.name.clone());
        if creation.location.is_none() {
            let folder = namespace.join("/");
            creation.location = Some(format!("{}/{folder}/{}", self.warehouse, creation.name));
        }
        let metadata = TableMetadataBuilder::from_table_creation(creation)?.build()?.metadata;
        let location = MetadataLocation::new_with_metadata(metadata.location(), &metadata);
        metadata.write_to(&self.files, &location).await?;
        let location = location.to_string();
        telemetry::fail_point!("table.before_table_insert");
        self.pointers.insert(&ident, &location)?;
        self.table(&ident, metadata, &location)
    }

    async fn load_table(&self, ident: &TableIdent) -> Result<Table> {
        let Some(location) = self.pointers.find(ident)? else {
            return Err(Error::new(ErrorKind::TableNotFound, format!("no table {ident}")));
        };
        self.load_from(ident, &location).await
    }

    async fn drop_table(&self, ident: &TableIdent) -> Result<()> {
        self.loaded.lock().remove(ident);
        self.pointers.remove(ident)
    }

    async fn purge_table(&self, ident: &TableIdent) -> Result<()> {
        let table = self.load_table(ident).await?;
        self.drop_table(ident).await?;
        iceberg::drop_table_data(&table).await
    }

    async fn table_exists(&self, ident: &TableIdent) -> Result<bool> {
        Ok(self.pointers.find(ident)?.is_some())
    }

    async fn rename_table(&self, src: &TableIdent, dest: &TableIdent) -> Result<()> {
        self.require(&dest.namespace)?;
        self.loaded.lock().remove(src);
        self.pointers.rename(src, dest)
    }

    async fn register_table(&self, ident: &TableIdent, metadata_location: String) -> Result<Table> {
        self.require(&ident.namespace)?;
        let table = self.load_from(ident, &metadata_location).await?;
        self.pointers.insert(ident, &metadata_location)?;
        Ok(table)
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        let current = self.load_table(commit.identifier()).await?;
        let staged = commit.apply(current.clone())?;
        self.move_on(current, staged).await
    }
}

impl Embedded {
    /// Commits updates that no action of the library makes, as a REST catalog would.
    ///
    /// # Errors
    /// `CatalogCommitConflicts` when a requirement is not met or somebody else moved the pointer first. After any
    /// error but that, load the table to learn whether it was committed.
    pub(crate) async fn commit(
        &self,
        ident: &TableIdent,
        requirements: &[TableRequirement],
        updates: Vec<TableUpdate>,
    ) -> Result<Table> {
        let current = self.load_table(ident).await?;
        for requirement in requirements {
            requirement.check(Some(current.metadata()))?;
        }
        let old = current.metadata_location_result()?;
        let mut builder = current.metadata().clone().into_builder(Some(old.to_owned()));
        for update in updates {
            builder = update.apply(builder)?;
        }
        let metadata = builder.build()?.metadata;
        let new =
            MetadataLocation::from_str(old)?.with_next_version().with_new_metadata(&metadata).to_string();
        let staged = self.table(ident, metadata, &new)?;
        self.move_on(current, staged).await
    }

    /// Writes the metadata of `staged` and moves the pointer to it.
    async fn move_on(&self, current: Table, staged: Table) -> Result<Table> {
        let old = current.metadata_location_result()?.to_owned();
        let new = staged.metadata_location_result()?.to_owned();
        // The name must be ours alone before anything refers to it.
        staged.metadata().write_to(&self.files, &MetadataLocation::from_str(&new)?).await?;
        telemetry::fail_point!("table.before_pointer");
        #[cfg(test)]
        self.faults.before_swap()?;
        let swapped = self.pointers.swap(staged.identifier(), &old, &new);
        telemetry::fail_point!("table.after_pointer");
        #[cfg(test)]
        self.faults.after_swap()?;
        match swapped {
            Swap::Done => {}
            Swap::Refused => {
                let _ = self.files.delete(&new).await;
                let text = format!("{} was changed by somebody else", staged.identifier());
                return Err(Error::new(ErrorKind::CatalogCommitConflicts, text).with_retryable(true));
            }
            Swap::Failed(error) => {
                let _ = self.files.delete(&new).await;
                return Err(error);
            }
            Swap::Unknown(error) => return Err(error),
        }
        self.loaded.lock().insert(staged.identifier().clone(), staged.clone());
        self.prune(&current, &staged).await;
        telemetry::fail_point!("table.after_prune");
        Ok(staged)
    }

    fn require(&self, namespace: &NamespaceIdent) -> Result<()> {
        match self.pointers.namespaces()?.contains(namespace) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NamespaceNotFound, format!("no namespace {namespace}"))),
        }
    }
}

/// Whether a location is inside the local file system, for messages and checks.
pub(crate) fn local_path(location: &str) -> Option<std::path::PathBuf> {
    local(location).ok()
}

#[cfg(test)]
mod tests;
