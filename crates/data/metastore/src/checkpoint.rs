//! The checkpoint: how far the log has been folded into this store.

use crate::{Definitions, Result};
use async_trait::async_trait;
use event::ProjectId;
use identity::Changes;
use std::sync::Arc;

/// All changes of the log up to an offset.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The next log record to read: everything before it is in `projects` and `definitions` or was committed earlier.
    pub offset: u64,
    /// Persons, distinct ids and groups that changed, per project.
    pub projects: Vec<(ProjectId, Changes)>,
    /// Definitions that were seen, per project.
    pub definitions: Vec<(ProjectId, Definitions)>,
}

/// The one place where folds over the log become rows.
#[async_trait]
pub trait Store: Send + Sync {
    /// The offset of the last commit; `None` before the first.
    async fn checkpoint(&self) -> Result<Option<u64>>;

    /// Makes this process the one that folds into this store, until it ends. A commit does it too, but late.
    ///
    /// In SQLite there is nothing to do: the file lies in a data folder, which its log keeps locked.
    ///
    /// # Errors
    /// `Conflict` when another process is folding into it.
    async fn claim(&self) -> Result<()>;

    /// Writes all changes and the offset in one transaction.
    ///
    /// Values are absolute: committing the same checkpoint again changes nothing. Within one project
    /// `deleted_persons` are removed first, then `persons` are written. A project need not exist:
    /// the log may still hold events of one that is gone. Shared, so that a caller who must try again keeps it without a
    /// second copy.
    ///
    /// # Durability
    /// When this returns, everything is fsynced and the log before the offset may be released.
    /// After an error nothing was written, or (when the last fsync failed) everything was.
    ///
    /// # Errors
    /// `Conflict` when the stored offset is already greater: another process folds the same log; or when another
    /// process has claimed the store.
    async fn commit(&self, checkpoint: Arc<Checkpoint>) -> Result<()>;
}
