//! Erasures in PostgreSQL.

use super::fault::Fault;
use super::project::next_number;
use super::value::{change, column, json, maybe_time, micros, row, rows, stored, text, time, written};
use super::{Postgres, person};
use crate::erasure::{Erasure, Stage, Store, refuse_nobody};
use crate::{Kind, Result};
use async_trait::async_trait;
use deadpool_postgres::GenericClient;
use event::ProjectId;
use jiff::Timestamp;
use std::collections::BTreeSet;
use tokio_postgres::Row;
use uuid::Uuid;

const ALL: &str = "SELECT id, project_id, distinct_ids, person_ids, stage, marks, report, asked_at, erased_at FROM erasures";

#[async_trait]
impl Store for Postgres {
    async fn ask_erasure(
        &self,
        project: ProjectId,
        distinct_ids: &BTreeSet<String>,
        person_ids: &BTreeSet<Uuid>,
        now: Timestamp,
    ) -> Result<Erasure> {
        refuse_nobody(distinct_ids, person_ids)?;
        self.finish("note an erasure", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let id = next_number(&tx, "erasures").await?;
            let (ids, persons, at) = (written(distinct_ids)?, written(person_ids)?, micros(now));
            let sql = "INSERT INTO erasures (id, project_id, distinct_ids, person_ids, asked_at)
                       VALUES ($1, $2, $3, $4, $5)";
            change(&tx, sql, &[&id, &project.0, &ids, &persons, &at]).await?;
            let made = existing(&tx, id).await?;
            tx.commit().await?;
            Ok(made)
        })
        .await
    }

    async fn erasure(&self, id: i64) -> Result<Option<Erasure>> {
        self.finish("find an erasure", async { find(&self.client().await?, id).await }).await
    }

    async fn erasures(&self) -> Result<Vec<Erasure>> {
        self.finish("list erasures", async {
            let found = rows(&self.client().await?, &format!("{ALL} ORDER BY id"), &[]).await?;
            found.iter().map(read).collect()
        })
        .await
    }

    async fn forget_person(&self, id: i64, marks: &str) -> Result<Erasure> {
        self.finish("forget a person", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let mut erasure = existing(&tx, id).await?;
            if erasure.stage == Stage::Asked {
                person::forget(&tx, erasure.project, &mut erasure.distinct_ids, &mut erasure.person_ids)
                    .await?;
                (erasure.stage, erasure.marks) = (Stage::Forgotten, marks.to_owned());
                write(&tx, &erasure).await?;
            }
            tx.commit().await?;
            Ok(erasure)
        })
        .await
    }

    async fn note_erasure(&self, erasure: &Erasure) -> Result<()> {
        self.finish("note how far an erasure is", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            write(&tx, erasure).await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}

async fn existing(client: &impl GenericClient, id: i64) -> Result<Erasure, Fault> {
    let found = find(client, id).await?;
    found.ok_or_else(|| Kind::NotFound.error(format!("there is no erasure {id}")).into())
}

async fn find(client: &impl GenericClient, id: i64) -> Result<Option<Erasure>, Fault> {
    row(client, &format!("{ALL} WHERE id = $1"), &[&id]).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Erasure, Fault> {
    Ok(Erasure {
        id: column(row, 0)?,
        project: ProjectId(column(row, 1)?),
        distinct_ids: json(row, 2)?,
        person_ids: json(row, 3)?,
        stage: Stage::parse(column(row, 4)?)?,
        marks: text(row, 5)?,
        report: text(row, 6)?,
        asked_at: time(row, 7)?,
        erased_at: maybe_time(row, 8)?,
    })
}

async fn write(client: &impl GenericClient, erasure: &Erasure) -> Result<(), Fault> {
    let (ids, persons) = (written(&erasure.distinct_ids)?, written(&erasure.person_ids)?);
    let (stage, erased_at) = (erasure.stage.tag(), erasure.erased_at.map(micros));
    let sql = "UPDATE erasures SET distinct_ids = $2, person_ids = $3, stage = $4, marks = $5, report = $6,
                   erased_at = $7 WHERE id = $1";
    let (marks, report) = (stored(&erasure.marks), stored(&erasure.report));
    let changed =
        change(client, sql, &[&erasure.id, &ids, &persons, &stage, &marks, &report, &erased_at]).await?;
    if changed == 0 {
        return Err(Kind::NotFound.error(format!("there is no erasure {}", erasure.id)).into());
    }
    Ok(())
}
