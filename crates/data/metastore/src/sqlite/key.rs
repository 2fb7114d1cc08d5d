//! Keys in SQLite.

use super::Sqlite;
use super::fault::Fault;
use super::project::{existing, refuse_secret, refuse_taken};
use super::value::{json, maybe_time, micros, text, time};
use crate::key::{Credential, Grant, Kind, NOTED_EVERY, NewKey, Store, hash};
use crate::{Kind as Outcome, Result, project};
use async_trait::async_trait;
use event::{ProjectId, ProjectKey};
use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};

const COLUMNS: &str = "id, kind, label, mask, scopes, projects, created_at, last_used_at";

#[async_trait]
impl Store for Sqlite {
    async fn add_project_key(
        &self,
        project: ProjectId,
        key: NewKey,
        label: &str,
        now: Timestamp,
    ) -> Result<project::Key> {
        let label = label.to_owned();
        self.write("add a project key", move |tx| add(tx, project, &key, label, now)).await
    }

    async fn rotate_project_key(
        &self,
        project: ProjectId,
        key: NewKey,
        now: Timestamp,
    ) -> Result<ProjectKey> {
        self.write("rotate a project key", move |tx| {
            let old = existing(tx, project)?.api_token;
            add(tx, project, &key, String::new(), now)?;
            tx.execute("UPDATE projects SET api_token = ?2 WHERE id = ?1", params![project.0, key.value()])?;
            Ok(old)
        })
        .await
    }

    async fn disable_project_key(&self, key: &str, now: Timestamp) -> Result<()> {
        let key = key.to_owned();
        self.write("disable a project key", move |tx| {
            let current = "SELECT EXISTS (SELECT 1 FROM projects WHERE api_token = ?1)";
            if tx.query_row(current, [&key], |row| row.get(0))? {
                let why = "this is the key shown to users: rotate it first, then disable the old one";
                return Err(Outcome::Conflict.error(why).into());
            }
            let found = tx.execute(
                "UPDATE project_keys SET disabled_at = coalesce(disabled_at, ?2) WHERE key = ?1",
                params![key, micros(now)],
            )?;
            match found {
                0 => Err(Outcome::NotFound.error("no project has this key").into()),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn create_key(&self, key: NewKey, grant: Grant, now: Timestamp) -> Result<Credential> {
        grant.check(key.kind())?;
        self.write("create a key", move |tx| create(tx, &key, &grant, now)).await
    }

    async fn keys(&self) -> Result<Vec<Credential>> {
        self.read("list keys", |tx| {
            let mut statement =
                tx.prepare_cached(&format!("SELECT {COLUMNS} FROM secret_keys ORDER BY id"))?;
            let mut rows = statement.query([])?;
            let mut keys = Vec::new();
            while let Some(row) = rows.next()? {
                keys.push(credential(row)?);
            }
            Ok(keys)
        })
        .await
    }

    async fn revoke_key(&self, id: i64) -> Result<bool> {
        self.write("revoke a key", move |tx| {
            Ok(tx.execute("DELETE FROM secret_keys WHERE id = ?1", [id])? == 1)
        })
        .await
    }

    async fn authenticate(&self, value: &str, now: Timestamp) -> Result<Option<Credential>> {
        let hash = hash(value);
        let found = self.read("look up a key", move |tx| find(tx, &hash)).await?;
        let Some(mut credential) = found else { return Ok(None) };
        if credential.last_used_at.is_some_and(|used| now.duration_since(used) < NOTED_EVERY) {
            return Ok(Some(credential));
        }
        let id = credential.id;
        let used = self.write_if_free("note the use of a key", move |tx| {
            tx.prepare_cached(
                "UPDATE secret_keys SET last_used_at = max(coalesce(last_used_at, ?2), ?2) WHERE id = ?1",
            )?
            .execute(params![id, micros(now)])?;
            Ok(())
        });
        match used.await {
            Ok(Some(())) => credential.last_used_at = Some(now),
            Ok(None) => {}
            Err(error) => tracing::warn!(key = id, %error, "the last use of a key is not noted"),
        }
        Ok(Some(credential))
    }
}

fn add(
    tx: &Transaction<'_>,
    project: ProjectId,
    key: &NewKey,
    label: String,
    now: Timestamp,
) -> Result<project::Key, Fault> {
    refuse_secret(key)?;
    existing(tx, project)?;
    refuse_taken(tx, key.value())?;
    tx.execute(
        "INSERT INTO project_keys (key, project_id, label, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![key.value(), project.0, label, micros(now)],
    )?;
    Ok(project::Key { value: ProjectKey(key.value().to_owned()), label, created_at: now, disabled_at: None })
}

fn create(tx: &Transaction<'_>, key: &NewKey, grant: &Grant, now: Timestamp) -> Result<Credential, Fault> {
    let hash = hash(key.value());
    if let Some(known) = find(tx, &hash)? {
        let why = format!("this key is stored already as {:?} (number {})", known.label, known.id);
        return Err(Outcome::Conflict.error(why).into());
    }
    for project in grant.projects.iter().flatten() {
        existing(tx, *project)?;
    }
    let projects = grant.projects.as_ref().map(text).transpose()?;
    let kind = if key.kind() == Kind::Secret { "secret" } else { "personal" };
    tx.execute(
        "INSERT INTO secret_keys (kind, hash, mask, label, scopes, projects, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![kind, hash, key.mask(), grant.label, text(&grant.scopes)?, projects, micros(now)],
    )?;
    let stored = find(tx, &hash)?;
    stored.ok_or_else(|| Outcome::Bug.error("a key that was just stored is not there").into())
}

fn find(tx: &Transaction<'_>, hash: &[u8; 32]) -> Result<Option<Credential>, Fault> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM secret_keys WHERE hash = ?1"))?;
    let mut rows = statement.query([hash])?;
    rows.next()?.map(credential).transpose()
}

fn credential(row: &Row<'_>) -> Result<Credential, Fault> {
    let kind: String = row.get(1)?;
    let scoped: Option<String> = row.get(5)?;
    Ok(Credential {
        id: row.get(0)?,
        kind: if kind == "secret" { Kind::Secret } else { Kind::Personal },
        label: row.get(2)?,
        mask: row.get(3)?,
        scopes: json(row, 4)?,
        projects: scoped.map(|_| json(row, 5)).transpose()?,
        created_at: time(row, 6)?,
        last_used_at: maybe_time(row, 7)?,
    })
}
