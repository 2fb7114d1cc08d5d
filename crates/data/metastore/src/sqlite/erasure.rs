//! Erasures in SQLite.

use super::Sqlite;
use super::fault::Fault;
use super::person;
use super::value::{json, maybe_time, micros, text, time};
use crate::erasure::{Erasure, Stage, Store, refuse_nobody};
use crate::{Kind, Result};
use async_trait::async_trait;
use event::ProjectId;
use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};
use std::collections::BTreeSet;
use uuid::Uuid;

const ALL: &str = "SELECT id, project_id, distinct_ids, person_ids, stage, marks, report, asked_at, erased_at FROM erasures";

#[async_trait]
impl Store for Sqlite {
    async fn ask_erasure(
        &self,
        project: ProjectId,
        distinct_ids: &BTreeSet<String>,
        person_ids: &BTreeSet<Uuid>,
        now: Timestamp,
    ) -> Result<Erasure> {
        refuse_nobody(distinct_ids, person_ids)?;
        let (ids, persons) = (distinct_ids.clone(), person_ids.clone());
        self.write("note an erasure", move |tx| {
            tx.execute(
                "INSERT INTO erasures (project_id, distinct_ids, person_ids, asked_at) VALUES (?1, ?2, ?3, ?4)",
                params![project.0, text(&ids)?, text(&persons)?, micros(now)],
            )?;
            existing(tx, tx.last_insert_rowid())
        })
        .await
    }

    async fn erasure(&self, id: i64) -> Result<Option<Erasure>> {
        self.read("find an erasure", move |tx| find(tx, id)).await
    }

    async fn erasures(&self) -> Result<Vec<Erasure>> {
        self.read("list erasures", |tx| {
            let mut statement = tx.prepare_cached(&format!("{ALL} ORDER BY id"))?;
            let mut rows = statement.query([])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(row)?);
            }
            Ok(found)
        })
        .await
    }

    async fn forget_person(&self, id: i64, marks: &str) -> Result<Erasure> {
        let marks = marks.to_owned();
        self.write("forget a person", move |tx| {
            let mut erasure = existing(tx, id)?;
            if erasure.stage != Stage::Asked {
                return Ok(erasure);
            }
            // What is deleted is overwritten in the file, too.
            tx.pragma_update(None, "secure_delete", true)?;
            person::forget(tx, erasure.project, &mut erasure.distinct_ids, &mut erasure.person_ids)?;
            (erasure.stage, erasure.marks) = (Stage::Forgotten, marks);
            write(tx, &erasure)?;
            Ok(erasure)
        })
        .await
    }

    async fn note_erasure(&self, erasure: &Erasure) -> Result<()> {
        let erasure = erasure.clone();
        self.write("note how far an erasure is", move |tx| write(tx, &erasure)).await
    }
}

fn existing(tx: &Transaction<'_>, id: i64) -> Result<Erasure, Fault> {
    find(tx, id)?.ok_or_else(|| Kind::NotFound.error(format!("there is no erasure {id}")).into())
}

fn find(tx: &Transaction<'_>, id: i64) -> Result<Option<Erasure>, Fault> {
    let mut statement = tx.prepare_cached(&format!("{ALL} WHERE id = ?1"))?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(read).transpose()
}

fn read(row: &Row<'_>) -> Result<Erasure, Fault> {
    let stage: String = row.get(4)?;
    Ok(Erasure {
        id: row.get(0)?,
        project: ProjectId(row.get(1)?),
        distinct_ids: json(row, 2)?,
        person_ids: json(row, 3)?,
        stage: Stage::parse(&stage)?,
        marks: row.get(5)?,
        report: row.get(6)?,
        asked_at: time(row, 7)?,
        erased_at: maybe_time(row, 8)?,
    })
}

fn write(tx: &Transaction<'_>, erasure: &Erasure) -> Result<(), Fault> {
    let changed = tx.execute(
        "UPDATE erasures SET distinct_ids = ?2, person_ids = ?3, stage = ?4, marks = ?5, report = ?6, erased_at = ?7
         WHERE id = ?1",
        params![
            erasure.id,
            text(&erasure.distinct_ids)?,
            text(&erasure.person_ids)?,
            erasure.stage.tag(),
            erasure.marks,
            erasure.report,
            erasure.erased_at.map(micros)
        ],
    )?;
    if changed == 0 {
        return Err(Kind::NotFound.error(format!("there is no erasure {}", erasure.id)).into());
    }
    Ok(())
}
