//! Making what was folded durable: blocks, tables, metastore, then the log may forget.
//!
//! The order is the whole point. A table carries the log offset it covers; the metastore's checkpoint is never ahead of
//! any table. Whatever a crash leaves, folding again from the checkpoint gives the same rows, and tables leave out the
//! ones they have.

use crate::blocks::Unwritten;
use crate::error::{Error, Kind};
use event::Reach;
use eventlog::{Offset, Partitions};
use metastore::{Checkpoint, Metastore};
use std::collections::VecDeque;
use std::sync::Arc;
use table::objects::Objects;
use table::{Begun, Warehouse};

/// Where it goes.
#[derive(Clone)]
pub struct Stores {
    /// Told what it may forget.
    pub log: Partitions,
    /// Persons, groups, definitions, the checkpoint.
    pub metastore: Arc<dyn Metastore>,
    /// Rows.
    pub warehouse: Arc<Warehouse>,
}

/// What is not durable outside the log yet: the changes of each cut, oldest first, and the blocks rows point to.
#[derive(Default)]
pub struct Pending {
    /// Written in order.
    pub checkpoints: VecDeque<Arc<Checkpoint>>,
    /// Written before any row.
    pub blocks: Vec<Unwritten>,
}

/// How a commit ended.
pub enum Ended {
    /// Everything is durable this far.
    Done(Reach),
    /// Something is not; what is left goes into the next commit.
    Failed(Pending, Error),
}

impl Pending {
    /// Writes everything. Every step may be repeated: files are replaced, rows already in a table are left out, and
    /// checkpoints hold absolute values.
    pub async fn write(mut self, rows: Begun, stores: &Stores) -> Ended {
        match self.attempt(rows, stores).await {
            Ok(reach) => {
                telemetry::pump::checkpoint(reach.total());
                Ended::Done(reach)
            }
            Err(error) => Ended::Failed(self, error),
        }
    }

    async fn attempt(&mut self, rows: Begun, stores: &Stores) -> Result<Reach, Error> {
        let shelved;
        (self.blocks, shelved) = shelve(std::mem::take(&mut self.blocks), stores.warehouse.objects()).await;
        shelved?;
        telemetry::fail_point!("ingest.after_blocks");
        let reach = rows.reach().clone();
        rows.finish().await.map_err(Error::from_table)?;
        telemetry::fail_point!("ingest.after_tables");
        // Each is let go once it is stored: storing an older one again after a newer one would go back in time.
        while let Some(checkpoint) = self.checkpoints.front() {
            stores.metastore.commit(Arc::clone(checkpoint)).await.map_err(Error::from_metastore)?;
            self.checkpoints.pop_front();
            telemetry::fail_point!("ingest.after_checkpoint");
        }
        for (partition, log) in stores.log.iter().enumerate() {
            log.release(Offset(reach.of(partition))).await.map_err(Error::from_log)?;
        }
        telemetry::fail_point!("ingest.after_release");
        Ok(reach)
    }
}

/// Writes block files where blocking is allowed; gives back those that are left, and why.
async fn shelve(mut blocks: Vec<Unwritten>, objects: Objects) -> (Vec<Unwritten>, Result<(), Error>) {
    let write = move || {
        while let Some(file) = blocks.last() {
            if let Err(error) = file.write(&objects) {
                return (blocks, Err(error));
            }
            blocks.pop();
        }
        (blocks, Ok(()))
    };
    tokio::task::spawn_blocking(write).await.unwrap_or_else(|panic| {
        (Vec::new(), Err(Error::because(Kind::Bug, "writing replay blocks ended without an answer", panic)))
    })
}
