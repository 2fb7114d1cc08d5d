//! Checkpoints in PostgreSQL.

use super::fault::Fault;
use super::value::{change, column, rows};
use super::{COMMIT_STATEMENTS, Postgres, definition, person};
use crate::checkpoint::{Checkpoint, Store, offsets};
use crate::{Kind, Result};
use async_trait::async_trait;
use deadpool_postgres::{ClientWrapper, GenericClient};
use event::Reach;
use std::sync::Arc;

#[async_trait]
impl Store for Postgres {
    async fn checkpoint(&self) -> Result<Option<Reach>> {
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

async fn known(client: &impl GenericClient) -> Result<Option<Reach>, Fault> {
    let mut known = None;
    for row in rows(client, "SELECT log_partition, log_offset FROM checkpoints", &[]).await? {
        let (partition, offset): (i64, i64) = (column(&row, 0)?, column(&row, 1)?);
        let damaged = || Fault::Damaged("the checkpoint is negative".to_owned());
        let partition = u16::try_from(partition).map_err(|_| damaged())?;
        let offset = u64::try_from(offset).map_err(|_| damaged())?;
        known.get_or_insert_with(Reach::default).advance(usize::from(partition), offset);
    }
    Ok(known)
}

async fn write(session: &mut ClientWrapper, checkpoint: &Checkpoint) -> Result<(), Fault> {
    let tx = session.transaction().await?;
    if let Some(further) = known(&tx).await?.filter(|known| known.is_beyond(&checkpoint.reach)) {
        let why = format!(
            "the checkpoint is already at log offset {further}, beyond {}: another process folds the same log",
            checkpoint.reach
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
    for (partition, offset) in (0_i64..).zip(offsets(&checkpoint.reach)?) {
        change(&tx, sql, &[&partition, &offset]).await?;
    }
    tx.commit().await?;
    Ok(())
}
