//! Where the engine finds files: on this machine's disk, or in the buckets of the lake.

use std::{fmt, sync::Arc};

use datafusion::{
    common::{DataFusionError, Result},
    execution::object_store::ObjectStoreRegistry,
};
use object_store::{ObjectStore, local::LocalFileSystem};
use url::Url;

use crate::Lake;

/// See the module. Nothing else can be registered: no address in SQL leads anywhere.
pub(crate) struct Shelf {
    lake: Arc<dyn Lake>,
    disk: Arc<dyn ObjectStore>,
}

impl Shelf {
    pub(crate) fn of(lake: Arc<dyn Lake>) -> Self {
        Self { lake, disk: Arc::new(LocalFileSystem::new()) }
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Shelf")
    }
}

impl ObjectStoreRegistry for Shelf {
    fn register_store(&self, _: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        match (url.scheme(), url.host_str()) {
            ("file", _) => Ok(Arc::clone(&self.disk)),
            ("s3", Some(name)) => {
                self.lake.bucket(name).map_err(|error| DataFusionError::External(Box::new(error)))
            }
            (scheme, _) => Err(DataFusionError::Internal(format!("no files at {scheme}"))),
        }
    }
}
