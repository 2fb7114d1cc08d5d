//! The checkpoint: how far the log has been folded into this store.

use crate::{Definitions, Kind, Result};
use async_trait::async_trait;
use event::{ProjectId, Reach};
use identity::Changes;
use std::sync::Arc;

/// All changes of the log as far as it was folded.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The next log records to read: everything before them is in `projects` and `definitions` or was committed earlier.
    pub reach: Reach,
    /// Persons, distinct ids and groups that changed, per project.
    pub projects: Vec<(ProjectId, Changes)>,
    /// Definitions that were seen, per project.
    pub definitions: Vec<(ProjectId, Definitions)>,
}

/// The one place where folds over the log become rows.
#[async_trait]
pub trait Store: Send + Sync {
    /// How far the last commit went; `None` before the first.
    async fn checkpoint(&self) -> Result<Option<Reach>>;

    /// Makes this process the one that folds into this store, until it ends. A commit does it too, but late.
    ///
    /// In SQLite there is nothing to do: the file lies in a data folder, which its log keeps locked.
    ///
    /// # Errors
    /// `Conflict` when another process is folding into it.
    async fn claim(&self) -> Result<()>;

    /// Writes all changes and the offsets in one transaction.
    ///
    /// Values are absolute: committing the same checkpoint again changes nothing. Within one project
    /// `deleted_persons` are removed first, then `persons` are written. A project need not exist:
    /// the log may still hold events of one that is gone. Shared, so that a caller who must try again keeps it without a
    /// second copy.
    ///
    /// # Durability
    /// When this returns, everything is fsynced and the log before the offsets may be released.
    /// After an error nothing was written, or (when the last fsync failed) everything was.
    ///
    /// # Errors
    /// `Conflict` when a stored offset is already greater: another process folds the same log; or when another
    /// process has claimed the store.
    async fn commit(&self, checkpoint: Arc<Checkpoint>) -> Result<()>;
}

/// Offsets as a database holds them; that of the first partition is always there.
pub(crate) fn offsets(reach: &Reach) -> Result<Vec<i64>> {
    let whole = if reach.offsets().is_empty() { &[0] } else { reach.offsets() };
    let signed = whole.iter().map(|offset| i64::try_from(*offset)).collect::<Result<_, _>>();
    signed.map_err(|_| Kind::Invalid.error("a log offset of 2^63 or more cannot be stored"))
}
