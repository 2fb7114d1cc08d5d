//! Projects in PostgreSQL.

use super::fault::Fault;
use super::value::{change, column, json, maybe_time, micros, row, rows, stored, text, time, written};
use super::{Postgres, snapshot};
use crate::project::{Find, Key, NewProject, Project, Settings, Store, Update};
use crate::{Kind, Result, key};
use async_trait::async_trait;
use deadpool_postgres::Transaction;
use event::{ProjectId, ProjectKey};
use jiff::Timestamp;
use uuid::Uuid;

#[async_trait]
impl Store for Postgres {
    async fn create_project(&self, new: NewProject, now: Timestamp) -> Result<Project> {
        self.finish("create a project", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            let made = create(&tx, &new, now).await?;
            tx.commit().await?;
            Ok(made)
        })
        .await
    }

    async fn projects(&self) -> Result<Vec<Project>> {
        self.finish("list projects", async {
            let mut client = self.client().await?;
            select(&snapshot(&mut client).await?, None).await
        })
        .await
    }

    async fn find_project(&self, by: Find) -> Result<Option<Project>> {
        self.finish("find a project", async {
            let mut client = self.client().await?;
            let tx = snapshot(&mut client).await?;
            match number(&tx, &by).await? {
                Some(id) => Ok(select(&tx, Some(id)).await?.pop()),
                None => Ok(None),
            }
        })
        .await
    }

    async fn update_project(&self, id: ProjectId, update: Update) -> Result<Project> {
        self.finish("change a project", async {
            let mut desk = self.desk().await?;
            let tx = desk.begin().await?;
            overwrite(&tx, id, &update).await?;
            let changed = existing(&tx, id).await?;
            tx.commit().await?;
            Ok(changed)
        })
        .await
    }

    async fn revision(&self) -> Result<u64> {
        self.finish("read the revision", async {
            let client = self.client().await?;
            let found = row(&client, "SELECT value FROM revision WHERE id = 1", &[]).await?;
            let value: i64 = found.map_or(Ok(-1), |row| column(&row, 0))?;
            u64::try_from(value).map_err(|_| Fault::Damaged("the revision is negative or lost".to_owned()))
        })
        .await
    }
}

/// The project, which must exist.
pub(super) async fn existing(tx: &Transaction<'_>, id: ProjectId) -> Result<Project, Fault> {
    let found = select(tx, Some(id.0)).await?.pop();
    found.ok_or_else(|| Kind::NotFound.error(format!("there is no project {id}")).into())
}

/// Refuses a key that any project has, also a disabled one: its old clients would feed the new project.
pub(super) async fn refuse_taken(tx: &Transaction<'_>, key: &str) -> Result<(), Fault> {
    let Some(row) = row(tx, "SELECT project_id FROM project_keys WHERE key = $1", &[&key]).await? else {
        return Ok(());
    };
    let owner: i64 = column(&row, 0)?;
    Err(Kind::Conflict.error(format!("project {owner} has this key already")).into())
}

/// Refuses key material of another kind than a project key.
pub(super) fn refuse_secret(key: &crate::NewKey) -> Result<(), Fault> {
    if key.kind() == key::Kind::Project {
        return Ok(());
    }
    Err(Kind::Invalid.error("a secret key cannot be the public key of a project").into())
}

/// The next number of a table. Only a transaction that is committed uses one up.
pub(super) async fn next_number(tx: &Transaction<'_>, table: &str) -> Result<i64, Fault> {
    let sql = "UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value";
    let found = row(tx, sql, &[&table]).await?;
    let found = found.ok_or_else(|| Fault::Damaged(format!("the counter of {table} is lost")))?;
    column(&found, 0)
}

async fn create(tx: &Transaction<'_>, new: &NewProject, now: Timestamp) -> Result<Project, Fault> {
    refuse_secret(&new.key)?;
    refuse_empty("name", &new.name)?;
    refuse_taken(tx, new.key.value()).await?;
    let organization = match new.organization {
        Some(given) => given,
        None => match row(tx, "SELECT organization FROM projects ORDER BY id LIMIT 1", &[]).await? {
            Some(oldest) => column(&oldest, 0)?,
            None => Uuid::new_v5(&new.uuid, b"organization"),
        },
    };
    let id = ProjectId(next_number(tx, "projects").await?);
    let (name, token, created_at) = (stored(&new.name), new.key.value(), micros(now));
    let settings = written(&Settings::default())?;
    change(
        tx,
        "INSERT INTO projects (id, uuid, organization, name, api_token, created_at, settings)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[&id.0, &new.uuid, &organization, &name, &token, &created_at, &settings],
    )
    .await?;
    change(
        tx,
        "INSERT INTO project_keys (key, project_id, label, created_at) VALUES ($1, $2, '', $3)",
        &[&token, &id.0, &created_at],
    )
    .await?;
    existing(tx, id).await
}

fn refuse_empty(what: &str, value: &str) -> Result<(), Fault> {
    if value.trim().is_empty() {
        return Err(Kind::Invalid.error(format!("the {what} of a project cannot be empty")).into());
    }
    Ok(())
}

async fn overwrite(tx: &Transaction<'_>, id: ProjectId, update: &Update) -> Result<(), Fault> {
    if let Some(name) = &update.name {
        refuse_empty("name", name)?;
    }
    if let Some(timezone) = &update.timezone {
        refuse_empty("time zone", timezone)?;
    }
    let fields = [
        ("name", update.name.as_deref().map(|name| stored(name).into_owned())),
        ("timezone", update.timezone.as_deref().map(|zone| stored(zone).into_owned())),
        ("settings", update.settings.as_ref().map(written).transpose()?),
        ("exhausted", update.exhausted.as_ref().map(written).transpose()?),
        ("restrictions", update.restrictions.as_ref().map(written).transpose()?),
    ];
    for (column, value) in fields {
        if let Some(value) = value {
            change(tx, &format!("UPDATE projects SET {column} = $2 WHERE id = $1"), &[&id.0, &value]).await?;
        }
    }
    Ok(())
}

async fn number(tx: &Transaction<'_>, by: &Find) -> Result<Option<i64>, Fault> {
    let found = match by {
        Find::Id(id) => return Ok(Some(id.0)),
        Find::Uuid(uuid) => row(tx, "SELECT id FROM projects WHERE uuid = $1", &[uuid]).await?,
        Find::Key(key) => {
            let sql = "SELECT project_id FROM project_keys WHERE key = $1 AND disabled_at IS NULL";
            row(tx, sql, &[&stored(key)]).await?
        }
        Find::Name(name) => {
            let sql = "SELECT id FROM projects WHERE name = $1 ORDER BY id LIMIT 1";
            row(tx, sql, &[&stored(name)]).await?
        }
    };
    found.map(|row| column(&row, 0)).transpose()
}

/// All projects, or one.
async fn select(tx: &Transaction<'_>, only: Option<i64>) -> Result<Vec<Project>, Fault> {
    let sql = "SELECT id, uuid, organization, name, api_token, created_at, timezone, settings, exhausted, restrictions
               FROM projects WHERE $1::bigint IS NULL OR id = $1 ORDER BY id";
    let mut projects = Vec::new();
    for row in rows(tx, sql, &[&only]).await? {
        projects.push(Project {
            id: ProjectId(column(&row, 0)?),
            uuid: column(&row, 1)?,
            organization: column(&row, 2)?,
            name: text(&row, 3)?,
            api_token: ProjectKey(text(&row, 4)?),
            keys: Vec::new(),
            created_at: time(&row, 5)?,
            timezone: text(&row, 6)?,
            settings: json(&row, 7)?,
            exhausted: json(&row, 8)?,
            restrictions: json(&row, 9)?,
        });
    }
    attach_keys(tx, only, &mut projects).await?;
    Ok(projects)
}

/// `projects` are sorted by id.
async fn attach_keys(tx: &Transaction<'_>, only: Option<i64>, projects: &mut [Project]) -> Result<(), Fault> {
    let sql = "SELECT project_id, key, label, created_at, disabled_at
               FROM project_keys WHERE $1::bigint IS NULL OR project_id = $1 ORDER BY created_at, key";
    for row in rows(tx, sql, &[&only]).await? {
        let owner = ProjectId(column(&row, 0)?);
        let Ok(index) = projects.binary_search_by_key(&owner, |project| project.id) else { continue };
        projects[index].keys.push(Key {
            value: ProjectKey(text(&row, 1)?),
            label: text(&row, 2)?,
            created_at: time(&row, 3)?,
            disabled_at: maybe_time(&row, 4)?,
        });
    }
    Ok(())
}
