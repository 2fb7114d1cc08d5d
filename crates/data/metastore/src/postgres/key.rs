//! Keys in PostgreSQL.

use super::Postgres;
use super::fault::Fault;
use super::project::{existing, next_number, refuse_secret, refuse_taken};
use super::value::{change, column, json, maybe_time, micros, row, rows, stored, text, time, written};
use crate::key::{Credential, Grant, Kind, NOTED_EVERY, NewKey, Store, hash};
use crate::{Kind as Outcome, Result, project};
use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use event::{ProjectId, ProjectKey};
use jiff::Timestamp;
use tokio_postgres::Row;

const COLUMNS: &str = "id, kind, label, mask, scopes, projects, created_at, last_used_at";

#[async_trait]
impl Store for Postgres {
    async fn add_project_key(
        &self,
        project: ProjectId,
        key: NewKey,
        label: &str,
        now: Timestamp,
    ) -> Result<project::Key> {
        self.finish("add a project key", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let added = add(&tx, project, &key, label, now).await?;
            tx.commit().await?;
            Ok(added)
        })
        .await
    }

    async fn rotate_project_key(
        &self,
        project: ProjectId,
        key: NewKey,
        now: Timestamp,
    ) -> Result<ProjectKey> {
        self.finish("rotate a project key", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let old = existing(&tx, project).await?.api_token;
            add(&tx, project, &key, "", now).await?;
            let sql = "UPDATE projects SET api_token = $2 WHERE id = $1";
            change(&tx, sql, &[&project.0, &key.value()]).await?;
            tx.commit().await?;
            Ok(old)
        })
        .await
    }

    async fn disable_project_key(&self, key: &str, now: Timestamp) -> Result<()> {
        self.finish("disable a project key", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let key = stored(key);
            if row(&tx, "SELECT FROM projects WHERE api_token = $1", &[&key]).await?.is_some() {
                let why = "this is the key shown to users: rotate it first, then disable the old one";
                return Err(Outcome::Conflict.error(why).into());
            }
            let sql = "UPDATE project_keys SET disabled_at = coalesce(disabled_at, $2) WHERE key = $1";
            if change(&tx, sql, &[&key, &micros(now)]).await? == 0 {
                return Err(Outcome::NotFound.error("no project has this key").into());
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn create_key(&self, key: NewKey, grant: Grant, now: Timestamp) -> Result<Credential> {
        grant.check(key.kind())?;
        self.finish("create a key", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let made = create(&tx, &key, &grant, now).await?;
            tx.commit().await?;
            Ok(made)
        })
        .await
    }

    async fn keys(&self) -> Result<Vec<Credential>> {
        self.finish("list keys", async {
            let sql = format!("SELECT {COLUMNS} FROM secret_keys ORDER BY id");
            rows(&self.client().await?, &sql, &[]).await?.iter().map(credential).collect()
        })
        .await
    }

    async fn revoke_key(&self, id: i64) -> Result<bool> {
        self.finish("revoke a key", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let gone = change(&tx, "DELETE FROM secret_keys WHERE id = $1", &[&id]).await? == 1;
            tx.commit().await?;
            Ok(gone)
        })
        .await
    }

    async fn authenticate(&self, value: &str, now: Timestamp) -> Result<Option<Credential>> {
        let hash = hash(value);
        let found = self.finish("look up a key", async { find(&self.client().await?, &hash).await }).await?;
        let Some(mut credential) = found else { return Ok(None) };
        if credential.last_used_at.is_some_and(|used| now.duration_since(used) < NOTED_EVERY) {
            return Ok(Some(credential));
        }
        let id = credential.id;
        let used = self.finish("note the use of a key", async {
            let Some(mut desk) = self.desk_if_free().await? else { return Ok(false) };
            let Some(tx) = desk.begin_if_free().await? else { return Ok(false) };
            let sql =
                "UPDATE secret_keys SET last_used_at = greatest(coalesce(last_used_at, $2), $2) WHERE id = $1";
            change(&tx, sql, &[&id, &micros(now)]).await?;
            tx.commit().await?;
            Ok(true)
        });
        match used.await {
            Ok(true) => credential.last_used_at = Some(now),
            Ok(false) => {}
            Err(error) => tracing::warn!(key = id, %error, "the last use of a key is not noted"),
        }
        Ok(Some(credential))
    }
}

async fn add(
    tx: &Transaction<'_>,
    project: ProjectId,
    key: &NewKey,
    label: &str,
    now: Timestamp,
) -> Result<project::Key, Fault> {
    refuse_secret(key)?;
    existing(tx, project).await?;
    refuse_taken(tx, key.value()).await?;
    let sql = "INSERT INTO project_keys (key, project_id, label, created_at) VALUES ($1, $2, $3, $4)";
    change(tx, sql, &[&key.value(), &project.0, &stored(label), &micros(now)]).await?;
    let value = ProjectKey(key.value().to_owned());
    Ok(project::Key { value, label: label.to_owned(), created_at: now, disabled_at: None })
}

async fn create(
    tx: &Transaction<'_>,
    key: &NewKey,
    grant: &Grant,
    now: Timestamp,
) -> Result<Credential, Fault> {
    let hash = hash(key.value());
    if let Some(known) = find(tx, &hash).await? {
        let why = format!("this key is stored already as {:?} (number {})", known.label, known.id);
        return Err(Outcome::Conflict.error(why).into());
    }
    for project in grant.projects.iter().flatten() {
        existing(tx, *project).await?;
    }
    let id = next_number(tx, "secret_keys").await?;
    let kind = if key.kind() == Kind::Secret { "secret" } else { "personal" };
    let (label, scopes) = (stored(&grant.label), written(&grant.scopes)?);
    let projects = grant.projects.as_ref().map(written).transpose()?;
    change(
        tx,
        "INSERT INTO secret_keys (id, kind, hash, mask, label, scopes, projects, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[&id, &kind, &hash.as_slice(), &key.mask(), &label, &scopes, &projects, &micros(now)],
    )
    .await?;
    let stored = find(tx, &hash).await?;
    stored.ok_or_else(|| Outcome::Bug.error("a key that was just stored is not there").into())
}

async fn find(client: &impl GenericClient, hash: &[u8; 32]) -> Result<Option<Credential>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM secret_keys WHERE hash = $1");
    row(client, &sql, &[&hash.as_slice()]).await?.as_ref().map(credential).transpose()
}

fn credential(row: &Row) -> Result<Credential, Fault> {
    let kind: &str = column(row, 1)?;
    let scoped: Option<&str> = column(row, 5)?;
    Ok(Credential {
        id: column(row, 0)?,
        kind: if kind == "secret" { Kind::Secret } else { Kind::Personal },
        label: text(row, 2)?,
        mask: column(row, 3)?,
        scopes: json(row, 4)?,
        projects: scoped.map(|_| json(row, 5)).transpose()?,
        created_at: time(row, 6)?,
        last_used_at: maybe_time(row, 7)?,
    })
}
