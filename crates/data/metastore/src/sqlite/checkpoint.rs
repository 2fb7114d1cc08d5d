//! Checkpoints in SQLite.

use super::Sqlite;
use super::fault::Fault;
use super::{definition, person};
use crate::checkpoint::{Checkpoint, Store};
use crate::{Kind, Result};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::sync::Arc;

/// The log has one partition until it is shared.
const PARTITION: i64 = 0;

/// The cursor that repeats the checkpoint: SQLite has no checksum of a number, and events below it are never folded again.
const COPY: &str = "checkpoint";

#[async_trait]
impl Store for Sqlite {
    async fn checkpoint(&self) -> Result<Option<u64>> {
        self.read("read the checkpoint", |tx| stored(tx)).await
    }

    async fn claim(&self) -> Result<()> {
        Ok(())
    }

    async fn commit(&self, checkpoint: Arc<Checkpoint>) -> Result<()> {
        self.write("commit a checkpoint", move |tx| write(tx, &checkpoint)).await
    }
}

/// The offset of the last commit, which must be there twice.
pub(super) fn stored(tx: &Connection) -> Result<Option<u64>, Fault> {
    let offset: Option<i64> = tx
        .prepare_cached("SELECT log_offset FROM checkpoints WHERE log_partition = ?1")?
        .query_row([PARTITION], |row| row.get(0))
        .optional()?;
    let copy: Option<String> = tx
        .prepare_cached("SELECT value FROM cursors WHERE name = ?1")?
        .query_row([COPY], |row| row.get(0))
        .optional()?;
    if copy.as_ref().is_some_and(|copy| Some(copy) != offset.map(|offset| offset.to_string()).as_ref()) {
        return Err(Fault::Damaged("its two copies of the checkpoint differ".to_owned()));
    }
    offset
        .map(|offset| {
            u64::try_from(offset).map_err(|_| Fault::Damaged("the checkpoint is negative".to_owned()))
        })
        .transpose()
}

fn write(tx: &Transaction<'_>, checkpoint: &Checkpoint) -> Result<(), Fault> {
    let offset = i64::try_from(checkpoint.offset)
        .map_err(|_| Kind::Invalid.error("a log offset of 2^63 or more cannot be stored"))?;
    if let Some(further) = stored(tx)?.filter(|stored| *stored > checkpoint.offset) {
        let why = format!(
            "the checkpoint is already at log offset {further}, beyond {offset}: another process folds the same log"
        );
        return Err(Kind::Conflict.error(why).into());
    }
    for (project, changes) in &checkpoint.projects {
        person::write(tx, *project, changes)?;
    }
    for (project, seen) in &checkpoint.definitions {
        definition::write(tx, *project, seen)?;
    }
    tx.prepare_cached(
        "INSERT INTO checkpoints (log_partition, log_offset) VALUES (?1, ?2)
         ON CONFLICT (log_partition) DO UPDATE SET log_offset = excluded.log_offset",
    )?
    .execute(params![PARTITION, offset])?;
    tx.prepare_cached(
        "INSERT INTO cursors (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![COPY, offset.to_string()])?;
    Ok(())
}
