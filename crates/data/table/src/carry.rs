//! Carrying tables to another place: what belongs to them, and their files with other paths in them.
//!
//! Iceberg's metadata, manifest lists and manifests name every file by its absolute location. A copy elsewhere gets them
//! anew with the locations of its place; data files stay as they are.

mod blocks;
mod inventory;
mod rewrite;

pub use blocks::{Changed, names_files};
pub use inventory::{Inventory, Member, NamespaceAt, Role, TableAt, inventory};
pub use rewrite::{Move, named};

use crate::catalog::SqlCatalog;
use crate::error::kind_of;
use crate::{Error, Result, seal};
use iceberg::{Catalog, ErrorKind, NamespaceIdent, TableIdent};
use std::fs::File;
use std::io;
use std::path::Path;

/// Gives a file of a table the checksum of its content.
///
/// # Errors
/// What the file system said; one without extended attributes is no failure.
pub fn seal(file: &File, crc: u32) -> io::Result<()> {
    seal::put(file, crc)
}

/// The checksum that a file of a table carries, if any.
pub fn sealed(file: &File) -> Option<u32> {
    seal::read(file)
}

fn failed(what: &str, error: iceberg::Error) -> Error {
    Error::new(kind_of(&error), format!("{what}: {}", error.message())).from_source(error)
}

/// Makes a catalog in a folder that has none, with these namespaces and tables. Their files must be in place.
///
/// # Errors
/// `Corrupt` naming a metadata file that cannot be read, `Unavailable` when the disk does not answer.
pub async fn register(dir: &Path, inventory: &Inventory) -> Result<()> {
    let catalog = SqlCatalog::local(dir).map_err(|error| failed("make the catalog", error))?;
    for namespace in &inventory.namespaces {
        let text = || format!("make namespace {}", namespace.name.join("."));
        let name =
            NamespaceIdent::from_vec(namespace.name.clone()).map_err(|error| failed(&text(), error))?;
        let properties = namespace.properties.clone().into_iter().collect();
        match catalog.create_namespace(&name, properties).await {
            Err(error) if error.kind() != ErrorKind::NamespaceAlreadyExists => {
                return Err(failed(&text(), error));
            }
            _ => {}
        }
    }
    for table in &inventory.tables {
        let namespace = NamespaceIdent::from_vec(table.namespace.clone());
        let namespace = namespace.map_err(|error| failed("read a namespace", error))?;
        let ident = TableIdent::new(namespace, table.name.clone());
        let registered = catalog.register_table(&ident, table.metadata.clone()).await;
        registered.map_err(|error| failed(&format!("register {ident}"), error))?;
    }
    Ok(())
}
