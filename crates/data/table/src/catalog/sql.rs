//! A catalog in a SQL database, in the layout of JDBC catalogs and pyiceberg's SQL catalog: one SQLite file by default.
//!
//! A row says which metadata file is a table's current one; moving that pointer is a compare-and-swap and
//! is what commits. Metadata files are durable before the pointer moves. Any program that speaks the layout
//! may open the database at the same time; what it creates or commits is seen here at the next load.

use super::pointer::{Pointers, Swap};
use super::sqlite::Sqlite;
use super::{PRUNE_PROPERTY, TableCatalog, local_path, unclear};
use crate::objects::{Objects, S3};
use crate::outside::is_inside;
use async_trait::async_trait;
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

/// Memory for decoded manifests, per table.
const MANIFEST_CACHE_BYTES: u64 = 4 << 20;

/// See the module.
#[derive(Debug)]
pub struct SqlCatalog {
    pointers: Arc<dyn Pointers>,
    objects: Objects,
    /// Where tables lie: `file:///.../warehouse` or `s3://bucket/folder`.
    root: String,
    /// Tables by name as last loaded; valid while the pointer says the same. Keeps decoded manifests warm.
    loaded: Mutex<HashMap<TableIdent, Table>>,
    #[cfg(test)]
    faults: super::fault::Faults,
}

impl SqlCatalog {
    /// Opens or creates `catalog.db` in `folder`, with tables under `root`.
    ///
    /// # Errors
    /// Unexpected when the file cannot be opened, DataInvalid when it is not a catalog.
    pub fn embedded(folder: &Path, root: String, objects: Objects) -> Result<Self> {
        Ok(Self::new(Arc::new(Sqlite::open(&folder.join("catalog.db"))?), root, objects))
    }

    /// The catalog of a folder that holds its tables, too.
    ///
    /// # Errors
    /// As [`SqlCatalog::embedded`].
    pub fn local(folder: &Path) -> Result<Self> {
        let objects = Objects::new(S3::default(), folder);
        Self::embedded(folder, format!("file://{}/warehouse", folder.display()), objects)
    }

    /// A catalog of these pointers.
    pub fn new(pointers: Arc<dyn Pointers>, root: String, objects: Objects) -> Self {
        Self {
            pointers,
            objects,
            root,
            loaded: Mutex::default(),
            #[cfg(test)]
            faults: super::fault::Faults::default(),
        }
    }

    async fn load_from(&self, ident: &TableIdent, location: &str) -> Result<Table> {
        if let Some(table) = self.loaded.lock().get(ident)
            && table.metadata_location() == Some(location)
        {
            return Ok(table.clone());
        }
        let metadata = TableMetadata::read_from(self.objects.files(), location).await.map_err(|error| {
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
            .file_io(self.objects.files().clone())
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
                && let Err(error) = self.objects.files().delete(location).await
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
impl Catalog for SqlCatalog {
    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        let names = self.pointers.namespaces().await?;
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
        if self.pointers.namespaces().await?.contains(namespace) {
            return Err(Error::new(ErrorKind::NamespaceAlreadyExists, namespace.to_string()));
        }
        self.pointers.write_namespace(namespace, &properties).await?;
        Ok(Namespace::with_properties(namespace.clone(), properties))
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        self.require(namespace).await?;
        Ok(Namespace::with_properties(namespace.clone(), self.pointers.properties(namespace).await?))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        Ok(self.pointers.namespaces().await?.contains(namespace))
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()> {
        self.require(namespace).await?;
        self.pointers.write_namespace(namespace, &properties).await
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        self.require(namespace).await?;
        if !self.pointers.tables(namespace).await?.is_empty() {
            return Err(Error::new(ErrorKind::PreconditionFailed, format!("{namespace} is not empty")));
        }
        self.pointers.remove_namespace(namespace).await
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let names = self.pointers.tables(namespace).await?;
        Ok(names.into_iter().map(|name| TableIdent::new(namespace.clone(), name)).collect())
    }

    async fn create_table(&self, namespace: &NamespaceIdent, mut creation: TableCreation) -> Result<Table> {
        self.require(namespace).await?;
        let ident = TableIdent::new(namespace.clone(), creation.name.clone());
        if creation.location.is_none() {
            let folder = namespace.join("/");
            creation.location = Some(format!("{}/{folder}/{}", self.root, creation.name));
        }
        let metadata = TableMetadataBuilder::from_table_creation(creation)?.build()?.metadata;
        let location = MetadataLocation::new_with_metadata(metadata.location(), &metadata);
        metadata.write_to(self.objects.files(), &location).await?;
        let location = location.to_string();
        telemetry::fail_point!("table.before_table_insert");
        self.pointers.insert(&ident, &location).await?;
        self.table(&ident, metadata, &location)
    }

    async fn load_table(&self, ident: &TableIdent) -> Result<Table> {
        let Some(location) = self.pointers.find(ident).await? else {
            return Err(Error::new(ErrorKind::TableNotFound, format!("no table {ident}")));
        };
        self.load_from(ident, &location).await
    }

    async fn drop_table(&self, ident: &TableIdent) -> Result<()> {
        self.loaded.lock().remove(ident);
        self.pointers.remove(ident).await
    }

    async fn purge_table(&self, ident: &TableIdent) -> Result<()> {
        let table = self.load_table(ident).await?;
        self.drop_table(ident).await?;
        iceberg::drop_table_data(&table).await
    }

    async fn table_exists(&self, ident: &TableIdent) -> Result<bool> {
        Ok(self.pointers.find(ident).await?.is_some())
    }

    async fn rename_table(&self, src: &TableIdent, dest: &TableIdent) -> Result<()> {
        self.require(&dest.namespace).await?;
        self.loaded.lock().remove(src);
        self.pointers.rename(src, dest).await
    }

    async fn register_table(&self, ident: &TableIdent, metadata_location: String) -> Result<Table> {
        self.require(&ident.namespace).await?;
        let table = self.load_from(ident, &metadata_location).await?;
        self.pointers.insert(ident, &metadata_location).await?;
        Ok(table)
    }

    async fn update_table(&self, commit: TableCommit) -> Result<Table> {
        let current = self.load_table(commit.identifier()).await?;
        let staged = commit.apply(current.clone())?;
        self.move_on(current, staged).await
    }
}

#[async_trait]
impl TableCatalog for SqlCatalog {
    async fn commit(
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

    async fn check_place(&self, ident: &TableIdent) -> Result<()> {
        let Some(location) = self.pointers.find(ident).await? else { return Ok(()) };
        if location.starts_with(&format!("{}/", self.root)) {
            return Ok(());
        }
        let text = match self.root.starts_with("file:") && location.starts_with("file:") {
            true => format!(
                "{ident} was made at {location}, not below {}. Tables know their files by absolute path: put the \
                 folder back where it was and move it with `tenrec restore OLD --to NEW`.",
                self.root
            ),
            false => format!(
                "{ident} was made at {location}, not below {}. Tables stay where they were made: set `table.location` to \
                 what it was, or begin with an empty data folder and catalog.",
                self.root
            ),
        };
        Err(Error::new(ErrorKind::FeatureUnsupported, text))
    }

    async fn check_unused(&self, namespace: &NamespaceIdent) -> Result<()> {
        // A folder of this machine is looked at as a whole before it is opened.
        let folder = format!("{}/{}", self.root, namespace.join("/"));
        let look = async {
            if local_path(&folder).is_some() { Ok(false) } else { self.objects.has_any(&folder).await }
        };
        let is_used = look.await.map_err(|error| {
            Error::new(ErrorKind::Unexpected, error.context().to_owned()).with_source(error)
        })?;
        if !is_used {
            return Ok(());
        }
        let text = format!(
            "there are files of tables at {folder}, but the catalog lists none: it was lost, or the tables are another \
             server's. Put catalog.db back from a backup, or set `table.location` to a folder of this server's own"
        );
        Err(Error::new(ErrorKind::FeatureUnsupported, text))
    }

    fn objects(&self) -> &Objects {
        &self.objects
    }

    #[cfg(test)]
    fn faults(&self) -> &super::fault::Faults {
        &self.faults
    }
}

impl SqlCatalog {
    /// Writes the metadata of `staged` and moves the pointer to it.
    async fn move_on(&self, current: Table, staged: Table) -> Result<Table> {
        let old = current.metadata_location_result()?.to_owned();
        let new = staged.metadata_location_result()?.to_owned();
        // The name must be ours alone before anything refers to it.
        let (files, behind) = self.objects.behind();
        staged.metadata().write_to(&files, &MetadataLocation::from_str(&new)?).await?;
        if let Err(error) = behind.settle().await {
            let _ = self.objects.files().delete(&new).await;
            return Err(error);
        }
        telemetry::fail_point!("table.before_pointer");
        #[cfg(test)]
        self.faults.before_swap()?;
        let swapped = self.pointers.swap(staged.identifier(), &old, &new).await;
        telemetry::fail_point!("table.after_pointer");
        #[cfg(test)]
        self.faults.after_swap().map_err(unclear)?;
        match swapped {
            Swap::Done => {}
            Swap::Refused => {
                let _ = self.objects.files().delete(&new).await;
                let text = format!("{} was changed by somebody else", staged.identifier());
                return Err(Error::new(ErrorKind::CatalogCommitConflicts, text).with_retryable(true));
            }
            Swap::Failed(error) => {
                let _ = self.objects.files().delete(&new).await;
                return Err(error);
            }
            Swap::Unknown(error) => return Err(unclear(error)),
        }
        self.loaded.lock().insert(staged.identifier().clone(), staged.clone());
        self.prune(&current, &staged).await;
        telemetry::fail_point!("table.after_prune");
        Ok(staged)
    }

    async fn require(&self, namespace: &NamespaceIdent) -> Result<()> {
        match self.pointers.namespaces().await?.contains(namespace) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::NamespaceNotFound, format!("no namespace {namespace}"))),
        }
    }
}

#[cfg(test)]
mod tests;
