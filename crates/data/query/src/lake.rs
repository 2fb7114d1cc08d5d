//! What the engine reads: a pinned, consistent state of all tables.
//!
//! The engine knows tables only through these traits, so that tests can answer from plain
//! batches and files and the warehouse stays free of the SQL engine.

use std::{fmt::Debug, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use async_trait::async_trait;
use iceberg::expr::Predicate;
use object_store::ObjectStore;

use crate::Error;

/// Tables that can be pinned at one moment.
#[async_trait]
pub trait Lake: Send + Sync + 'static {
    /// Pins one state of all tables: whatever is read through it fits together.
    async fn pin(&self) -> Result<Arc<dyn Snapshot>, Error>;

    /// The bucket that holds files which are not on this machine.
    fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>, Error> {
        Err(Error::invalid(format!("There is no bucket {name} here.")))
    }
}

/// One consistent state of all tables.
#[async_trait]
pub trait Snapshot: Debug + Send + Sync {
    /// Names of all tables, ours and those that others made beside them.
    async fn names(&self) -> Result<Vec<String>, Error>;

    /// One table, or `None` when there is none of that name.
    async fn relation(&self, name: &str) -> Result<Option<Arc<dyn Relation>>, Error>;
}

/// One table as of the pinned moment: committed files plus rows not yet committed.
#[async_trait]
pub trait Relation: Debug + Send + Sync {
    /// Columns in order. Files may lack the newer nullable ones.
    fn schema(&self) -> SchemaRef;

    /// The column that holds `property` of the JSON column `json` already extracted as text.
    fn promoted(&self, json: &str, property: &str) -> Option<String>;

    /// Rows that are not committed yet, in any order, with the columns of `schema`.
    fn tail(&self) -> Vec<RecordBatch>;

    /// The files that may hold rows matching `filter`; the answer may be wider, never narrower.
    async fn files(&self, filter: Option<Predicate>) -> Result<Vec<DataFile>, Error>;

    /// Looks for the file that made a read fail; asked only after a failure.
    async fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// One committed Parquet file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Absolute local path, with or without `file://`, or `s3://bucket/key`.
    pub path: String,
    /// Size in bytes.
    pub size: u64,
    /// Rows, when known.
    pub rows: Option<u64>,
    /// The project of every row, when the file belongs to a table partition by `team_id`.
    pub team: Option<i64>,
}
