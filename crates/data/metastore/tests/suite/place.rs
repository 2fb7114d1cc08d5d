//! Where a store lies, so that a case may open it again, or twice.

use crate::server::server;
use metastore::Metastore;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A place without a store yet.
pub struct Place {
    url: String,
    folder: TempDir,
}

impl Place {
    /// A file that is not there.
    pub async fn sqlite() -> Self {
        Self { url: String::new(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// An empty database.
    pub async fn postgres() -> Self {
        let server = tokio::task::spawn_blocking(server).await.expect("a server");
        let url = server.url(&server.database("").await);
        Self { url, folder: tempfile::tempdir().expect("a folder") }
    }

    /// What [`metastore::open`] takes.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What [`metastore::open`] takes.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("meta.db")
    }

    /// Opens the store as a server does.
    pub async fn open(&self) -> Arc<dyn Metastore> {
        metastore::open(&self.url, &self.path()).await.expect("a store")
    }
}
