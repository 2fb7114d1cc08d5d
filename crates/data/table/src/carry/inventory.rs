//! Which tables a catalog has, and every file they need.

use super::failed;
use crate::care::live::{entries, has_live, manifests};
use crate::catalog::{SqlCatalog, TableCatalog};
use crate::schema::NAMESPACE;
use crate::{Error, Kind, Result};
use iceberg::spec::ManifestFile;
use iceberg::table::Table;
use iceberg::{Catalog, NamespaceIdent};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The tables of a folder at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Where they lie: `file:///.../warehouse`.
    pub root: String,
    /// Parents before children.
    pub namespaces: Vec<NamespaceAt>,
    /// All tables.
    pub tables: Vec<TableAt>,
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceAt {
    /// Its parts.
    pub name: Vec<String>,
    /// What it says about itself.
    pub properties: BTreeMap<String, String>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableAt {
    /// Parts of its namespace.
    pub namespace: Vec<String>,
    /// Its name.
    pub name: String,
    /// Location of its current metadata file.
    pub metadata: String,
    /// Columns that the program which wrote it knew, for a table of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<u64>,
}

/// What a file is to its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The table's metadata.
    Metadata,
    /// A list of manifests.
    List,
    /// A manifest.
    Manifest,
    /// Rows, deletions, statistics: nothing in it depends on where it is.
    Data,
}

/// A file that a table needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Where the table says it is.
    pub location: String,
    /// What it is.
    pub role: Role,
}

/// Takes hold of files as they are found, so that a server which lets them go meanwhile does not take them away.
type Hold<'a, E> = dyn FnMut(&Member) -> Result<(), E> + 'a;

/// Looks at the catalog of a folder, which a server may have open, and calls `hold` once for everything its tables
/// reach, at once when it is found: what lives shortest first, a table's metadata, then its lists of manifests, then
/// manifests, then rows.
///
/// Files of old snapshots may be gone when a server lets them expire meanwhile: look again then.
///
/// # Errors
/// `Corrupt` when a file cannot be read or is gone, `Unavailable` when the disk does not answer, and what `hold` says.
pub async fn inventory<E: From<Error>>(dir: &Path, hold: &mut Hold<'_, E>) -> Result<Inventory, E> {
    let catalog = SqlCatalog::local(dir).map_err(|error| failed("open the catalog", error))?;
    let list = |error| failed("list the catalog", error);
    let mut inventory =
        Inventory { root: format!("file://{}/warehouse", dir.display()), ..Inventory::default() };
    let mut held = Held { known: BTreeSet::new(), hold };
    let mut pending: Vec<NamespaceIdent> = catalog.list_namespaces(None).await.map_err(list)?;
    while let Some(name) = pending.pop() {
        let found = catalog.get_namespace(&name).await.map_err(list)?;
        let properties = found.properties().clone().into_iter().collect();
        inventory.namespaces.push(NamespaceAt { name: name.clone().inner(), properties });
        for ident in catalog.list_tables(&name).await.map_err(list)? {
            if name.len() == 1 && name[0] == NAMESPACE {
                catalog.check_place(&ident).await.map_err(|error| failed(&format!("find {ident}"), error))?;
            }
            let table = catalog.load_table(&ident).await;
            let table = table.map_err(|error| failed(&format!("load {ident}"), error))?;
            let metadata = table.metadata_location().unwrap_or_default().to_owned();
            held.add(&metadata, Role::Metadata)?;
            reach(&table, &mut held).await?;
            let columns = table.metadata().properties().get(crate::schema::COLUMNS_PROPERTY);
            inventory.tables.push(TableAt {
                namespace: name.clone().inner(),
                name: ident.name().to_owned(),
                metadata,
                columns: columns.and_then(|count| count.parse().ok()),
            });
        }
        pending.extend(catalog.list_namespaces(Some(&name)).await.map_err(list)?);
    }
    Ok(inventory)
}

/// What was found so far.
struct Held<'a, 'b, E> {
    known: BTreeSet<String>,
    hold: &'a mut Hold<'b, E>,
}

impl<E> Held<'_, '_, E> {
    fn add(&mut self, location: &str, role: Role) -> Result<(), E> {
        if self.known.contains(location) {
            return Ok(());
        }
        self.known.insert(location.to_owned());
        (self.hold)(&Member { location: location.to_owned(), role })
    }
}

/// Adds every file that the snapshots of a table reach. Metadata files of the past are not needed.
async fn reach<E: From<Error>>(table: &Table, held: &mut Held<'_, '_, E>) -> Result<(), E> {
    let metadata = table.metadata();
    for snapshot in metadata.snapshots() {
        if snapshot.manifest_list().is_empty() {
            let text = format!("{} has a snapshot without a manifest list", table.identifier());
            return Err(Error::new(Kind::Invalid, text).into());
        }
        held.add(snapshot.manifest_list(), Role::List)?;
    }
    let statistics = metadata.statistics_iter().map(|file| &file.statistics_path);
    let partitions = metadata.partition_statistics_iter().map(|file| &file.statistics_path);
    for path in statistics.chain(partitions) {
        held.add(path, Role::Data)?;
    }
    let mut known: BTreeMap<String, ManifestFile> = BTreeMap::new();
    for snapshot in metadata.snapshots() {
        for manifest in manifests(table, snapshot).await? {
            held.add(&manifest.manifest_path, Role::Manifest)?;
            known.insert(manifest.manifest_path.clone(), manifest);
        }
    }
    for manifest in known.values().filter(|manifest| has_live(manifest)) {
        for entry in entries(table, manifest).await?.iter() {
            held.add(entry.file_path(), Role::Data)?;
        }
    }
    Ok(())
}
