//! Checkpoints in SQLite.

use super::Sqlite;
use super::fault::Fault;
use super::{definition, person};
use crate::checkpoint::{Checkpoint, Store, offsets};
use crate::{Kind, Result};
use async_trait::async_trait;
use event::Reach;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::sync::Arc;

/// The cursor that repeats the checkpoint: SQLite has no checksum of a number, and events below it are never folded again.
const COPY: &str = "checkpoint";

#[async_trait]
impl Store for Sqlite {
    async fn checkpoint(&self) -> Result<Option<Reach>> {
        self.read("read the checkpoint", |tx| stored(tx)).await
    }

    async fn claim(&self) -> Result<()> {
        Ok(())
    }

    async fn commit(&self, checkpoint: Arc<Checkpoint>) -> Result<()> {
        self.write("commit a checkpoint", move |tx| write(tx, &checkpoint)).await
    }
}

/// How far the last commit went, which must be there twice.
pub(super) fn stored(tx: &Connection) -> Result<Option<Reach>, Fault> {
    let mut reach: Option<Reach> = None;
    let mut statement = tx.prepare_cached("SELECT log_partition, log_offset FROM checkpoints")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (partition, offset): (i64, i64) = (row.get(0)?, row.get(1)?);
        let damaged = || Fault::Damaged("the checkpoint is negative".to_owned());
        let partition = u16::try_from(partition).map_err(|_| damaged())?;
        let offset = u64::try_from(offset).map_err(|_| damaged())?;
        reach.get_or_insert_with(Reach::default).advance(usize::from(partition), offset);
    }
    let copy: Option<String> = tx
        .prepare_cached("SELECT value FROM cursors WHERE name = ?1")?
        .query_row([COPY], |row| row.get(0))
        .optional()?;
    if copy.as_ref().is_some_and(|copy| Some(copy) != reach.as_ref().map(Reach::to_string).as_ref()) {
        return Err(Fault::Damaged("its two copies of the checkpoint differ".to_owned()));
    }
    Ok(reach)
}

fn write(tx: &Transaction<'_>, checkpoint: &Checkpoint) -> Result<(), Fault> {
    let offsets = offsets(&checkpoint.reach)?;
    if let Some(further) = stored(tx)?.filter(|stored| stored.is_beyond(&checkpoint.reach)) {
        let why = format!(
            "the checkpoint is already at log offset {further}, beyond {}: another process folds the same log",
            checkpoint.reach
        );
        return Err(Kind::Conflict.error(why).into());
    }
    for (project, changes) in &checkpoint.projects {
        person::write(tx, *project, changes)?;
    }
    for (project, seen) in &checkpoint.definitions {
        definition::write(tx, *project, seen)?;
    }
    let mut statement = tx.prepare_cached(
        "INSERT INTO checkpoints (log_partition, log_offset) VALUES (?1, ?2)
         ON CONFLICT (log_partition) DO UPDATE SET log_offset = excluded.log_offset",
    )?;
    for (partition, offset) in (0_i64..).zip(offsets) {
        statement.execute(params![partition, offset])?;
    }
    tx.prepare_cached(
        "INSERT INTO cursors (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )?
    .execute(params![COPY, checkpoint.reach.to_string()])?;
    Ok(())
}
