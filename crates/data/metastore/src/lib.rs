//! Small mutable facts of a server: projects, keys, persons, groups, definitions, checkpoints.
//!
//! Takes: rows of the nouns below and [`identity::Changes`]. Gives: [`Metastore`], one trait with an
//! embedded SQLite or a shared PostgreSQL behind it.
//! Never: reads a clock, the environment or randomness (time and key material are arguments), keeps a secret key in clear.

pub mod checkpoint;
pub mod cursor;
pub mod definition;
pub mod erasure;
pub mod error;
pub mod group;
pub mod key;
pub mod page;
pub mod person;
pub mod postgres;
pub mod project;
pub mod salt;
pub mod sqlite;

pub use checkpoint::Checkpoint;
pub use definition::Definitions;
pub use erasure::Erasure;
pub use error::{Error, Kind, Result};
pub use key::{Credential, NewKey};
pub use page::{Listing, Page};
pub use postgres::Postgres;
pub use project::{NewProject, Project};
pub use sqlite::Sqlite;

use std::path::Path;
use std::sync::Arc;

/// Everything a metastore does: one `Store` trait per noun, all of them on one database.
///
/// Object safe; servers hold an `Arc<dyn Metastore>` and call the methods of every noun on it
/// without importing the traits. `sqlite/` and `postgres/` have the same file names, one per noun, each
/// implementing its trait; one suite runs on both.
///
/// Every method that writes returns after its change is durable (fsynced), unless it says otherwise.
pub trait Metastore:
    project::Store
    + key::Store
    + person::Store
    + group::Store
    + definition::Store
    + checkpoint::Store
    + salt::Store
    + cursor::Store
    + erasure::Store
{
}

impl<T> Metastore for T where
    T: project::Store
        + key::Store
        + person::Store
        + group::Store
        + definition::Store
        + checkpoint::Store
        + salt::Store
        + cursor::Store
        + erasure::Store
{
}

/// Opens the metastore of a server: the PostgreSQL database of `url`, or the SQLite file at `path` when that is empty.
///
/// # Errors
/// As [`Postgres::open_with`] or [`Sqlite::open_with`].
pub async fn open(url: &str, path: &Path) -> Result<Arc<dyn Metastore>> {
    if url.is_empty() {
        return Ok(Arc::new(Sqlite::open(path)?));
    }
    Ok(Arc::new(Postgres::open(url).await?))
}
