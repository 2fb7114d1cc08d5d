//! Cursors: how far a named job has come, in words only that job understands.

use crate::Result;
use async_trait::async_trait;

/// Cursors at rest.
#[async_trait]
pub trait Store: Send + Sync {
    /// The last value a job stored under `name`.
    async fn cursor(&self, name: &str) -> Result<Option<String>>;

    /// Overwrites the value under `name`.
    async fn advance_cursor(&self, name: &str, value: &str) -> Result<()>;
}
