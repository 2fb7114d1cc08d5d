//! Making what was folded durable: blocks, tables, metastore, then the log may forget.
//!
//! The order is the whole point. A table carries the log offset it covers; the metastore's checkpoint is never ahead of
//! any table. Whatever a crash leaves, folding again from the checkpoint gives the same rows, and tables leave out the
//! ones they have.

use crate::blocks::Unwritten;
use crate::error::{Error, Kind};
use eventlog::{EventLog, Offset};
use metastore::{Checkpoint, Metastore};
use std::sync::Arc;
use std::time::Duration;
use table::Warehouse;

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Everything one commit makes durable.
pub struct Commit {
    /// State of the world up to this offset.
    pub checkpoint: Checkpoint,
    /// Replay blocks its rows point to.
    pub blocks: Vec<Unwritten>,
}

/// Where it goes.
#[derive(Clone)]
pub struct Stores {
    /// Read for release only.
    pub log: Arc<dyn EventLog>,
    /// Persons, groups, definitions, the checkpoint.
    pub metastore: Arc<dyn Metastore>,
    /// Rows.
    pub warehouse: Arc<Warehouse>,
}

impl Commit {
    /// Commits, trying again for as long as a store is merely unavailable: the log keeps the events meanwhile.
    ///
    /// # Errors
    /// What trying again cannot mend.
    pub async fn run(self, stores: &Stores) -> Result<u64, Error> {
        let offset = self.checkpoint.offset;
        let mut pause = Duration::from_millis(100);
        while let Err(error) = self.attempt(stores).await {
            if !matches!(error.kind, Kind::Busy | Kind::Unavailable) {
                return Err(error);
            }
            telemetry::pump::stalled(error.part());
            tracing::warn!(
                error = %error.chain(),
                retry_in = ?pause,
                "cannot commit; events stay in the log and queries still see them"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        telemetry::pump::checkpoint(offset);
        Ok(offset)
    }

    /// One attempt. Every step may be repeated.
    async fn attempt(&self, stores: &Stores) -> Result<(), Error> {
        let offset = self.checkpoint.offset;
        for file in &self.blocks {
            file.write()?;
        }
        stores.warehouse.commit(offset).await.map_err(Error::from_table)?;
        stores.metastore.commit(self.checkpoint.clone()).await.map_err(Error::from_metastore)?;
        stores.log.release(Offset(offset)).await.map_err(Error::from_log)
    }
}
