//! Checkpoints in PostgreSQL.

use super::fault::Fault;
use super::value::{change, column, row};
use super::{COMMIT_STATEMENTS, Postgres, definition, person};
use crate::checkpoint::{Checkpoint, Store};
use crate::{Kind, Result};
use async_trait::async_trait;
use deadpool_postgres::{ClientWrapper, GenericClient};
use std::sync::Arc;

/// The log has one partition until it is shared.
const PARTITION: i64 = 0;

#[async_trait]
impl Store for Postgres {
    async fn checkpoint(&self) -> Result<Option<u64>> {
        self.finish("read the checkpoint", async { known(&self.client().await?).await }).await
    }

    async fn claim(&self) -> Result<()> {
        self.finish("become the one that folds", async {
            let mut seat = self.shared.fold.lock().await;
            let session = seat.take(&self.shared.connector).await?;
            seat.put(session);
            Ok(())
        })
        .await
    }

    async fn commit(&self, checkpoint: Arc<Checkpoint>) -> Result<()> {
        self.finish_within(self.shared.limit * COMMIT_STATEMENTS, "commit a checkpoint", async {
            let mut seat = self.shared.fold.lock().await;
            let mut session = seat.take(&self.shared.connector).await?;
            let written = write(&mut session, &checkpoint).await;
            // A connection that failed is given up: the server undoes what it had begun and frees the lock. When only
            // the answer was lost, the same checkpoint comes again and writes the same values.
            if !matches!(written, Err(Fault::Postgres(_))) {
                seat.put(session);
            }
            written
        })
        .await
    }
}

async fn known(client: &impl GenericClient) -> Result<Option<u64>, Fault> {
    let sql = "SELECT log_offset FROM checkpoints WHERE log_partition = $1";
    let Some(row) = row(client, sql, &[&PARTITION]).await? else { return Ok(None) };
    let offset: i64 = column(&row, 0)?;
    let offset = u64::try_from(offset);
    offset.map(Some).map_err(|_| Fault::Damaged("the checkpoint is negative".to_owned()))
}

async fn write(session: &mut ClientWrapper, checkpoint: &Checkpoint) -> Result<(), Fault> {
    let offset = i64::try_from(checkpoint.offset)
        .map_err(|_| Kind::Invalid.error("a log offset of 2^63 or more cannot be stored"))?;
    let tx = session.transaction().await?;
    if let Some(further) = known(&tx).await?.filter(|known| *known > checkpoint.offset) {
        let why = format!(
            "the checkpoint is already at log offset {further}, beyond {offset}: another process folds the same log"
        );
        return Err(Kind::Conflict.error(why).into());
    }
    for (project, changes) in &checkpoint.projects {
        person::write(&tx, *project, changes).await?;
    }
    for (project, seen) in &checkpoint.definitions {
        definition::write(&tx, *project, seen).await?;
    }
    let sql = "INSERT INTO checkpoints (log_partition, log_offset) VALUES ($1, $2)
               ON CONFLICT (log_partition) DO UPDATE SET log_offset = excluded.log_offset";
    change(&tx, sql, &[&PARTITION, &offset]).await?;
    tx.commit().await?;
    Ok(())
}
