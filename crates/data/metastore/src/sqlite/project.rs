//! Projects in SQLite.

use super::Sqlite;
use super::fault::Fault;
use super::value::{json, maybe_time, micros, text, time, uuid};
use crate::project::{Find, Key, NewProject, Project, Settings, Store, Update};
use crate::{Kind, Result, key};
use async_trait::async_trait;
use event::{ProjectId, ProjectKey};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

#[async_trait]
impl Store for Sqlite {
    async fn create_project(&self, new: NewProject, now: Timestamp) -> Result<Project> {
        self.write("create a project", move |tx| create(tx, &new, now)).await
    }

    async fn projects(&self) -> Result<Vec<Project>> {
        self.read("list projects", |tx| select(tx, None)).await
    }

    async fn find_project(&self, by: Find) -> Result<Option<Project>> {
        self.read("find a project", move |tx| match number(tx, &by)? {
            Some(id) => Ok(select(tx, Some(id))?.pop()),
            None => Ok(None),
        })
        .await
    }

    async fn update_project(&self, id: ProjectId, update: Update) -> Result<Project> {
        self.write("change a project", move |tx| {
            overwrite(tx, id, &update)?;
            existing(tx, id)
        })
        .await
    }

    async fn revision(&self) -> Result<u64> {
        self.read("read the revision", |tx| {
            let value: i64 = tx
                .prepare_cached("SELECT value FROM revision WHERE id = 1")?
                .query_row([], |row| row.get(0))?;
            u64::try_from(value).map_err(|_| Fault::Damaged("the revision is negative".to_owned()))
        })
        .await
    }
}

/// The project, which must exist.
pub(super) fn existing(tx: &Transaction<'_>, id: ProjectId) -> Result<Project, Fault> {
    let found = select(tx, Some(id.0))?.pop();
    found.ok_or_else(|| Kind::NotFound.error(format!("there is no project {id}")).into())
}

/// Refuses a key that any project has, also a disabled one: its old clients would feed the new project.
pub(super) fn refuse_taken(tx: &Transaction<'_>, key: &str) -> Result<(), Fault> {
    let owner: Option<i64> = tx
        .query_row("SELECT project_id FROM project_keys WHERE key = ?1", [key], |row| row.get(0))
        .optional()?;
    match owner {
        None => Ok(()),
        Some(owner) => Err(Kind::Conflict.error(format!("project {owner} has this key already")).into()),
    }
}

/// Refuses key material of another kind than a project key.
pub(super) fn refuse_secret(key: &crate::NewKey) -> Result<(), Fault> {
    if key.kind() == key::Kind::Project {
        return Ok(());
    }
    Err(Kind::Invalid.error("a secret key cannot be the public key of a project").into())
}

fn create(tx: &Transaction<'_>, new: &NewProject, now: Timestamp) -> Result<Project, Fault> {
    refuse_secret(&new.key)?;
    refuse_empty("name", &new.name)?;
    refuse_taken(tx, new.key.value())?;
    let oldest = || -> Result<Option<Uuid>, Fault> {
        let mut statement = tx.prepare("SELECT organization FROM projects ORDER BY id LIMIT 1")?;
        let mut rows = statement.query([])?;
        rows.next()?.map(|row| uuid(row, 0)).transpose()
    };
    let organization = match new.organization {
        Some(given) => given,
        None => oldest()?.unwrap_or_else(|| Uuid::new_v5(&new.uuid, b"organization")),
    };
    tx.execute(
        "INSERT INTO projects (uuid, organization, name, api_token, created_at, settings) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            new.uuid.as_bytes(),
            organization.as_bytes(),
            new.name,
            new.key.value(),
            micros(now),
            text(&Settings::default())?
        ],
    )?;
    let id = ProjectId(tx.last_insert_rowid());
    tx.execute(
        "INSERT INTO project_keys (key, project_id, label, created_at) VALUES (?1, ?2, '', ?3)",
        params![new.key.value(), id.0, micros(now)],
    )?;
    existing(tx, id)
}

fn refuse_empty(what: &str, value: &str) -> Result<(), Fault> {
    if value.trim().is_empty() {
        return Err(Kind::Invalid.error(format!("the {what} of a project cannot be empty")).into());
    }
    Ok(())
}

fn overwrite(tx: &Transaction<'_>, id: ProjectId, update: &Update) -> Result<(), Fault> {
    if let Some(name) = &update.name {
        refuse_empty("name", name)?;
        tx.execute("UPDATE projects SET name = ?2 WHERE id = ?1", params![id.0, name])?;
    }
    if let Some(timezone) = &update.timezone {
        refuse_empty("time zone", timezone)?;
        tx.execute("UPDATE projects SET timezone = ?2 WHERE id = ?1", params![id.0, timezone])?;
    }
    if let Some(settings) = &update.settings {
        tx.execute("UPDATE projects SET settings = ?2 WHERE id = ?1", params![id.0, text(settings)?])?;
    }
    if let Some(exhausted) = &update.exhausted {
        tx.execute("UPDATE projects SET exhausted = ?2 WHERE id = ?1", params![id.0, text(exhausted)?])?;
    }
    if let Some(restrictions) = &update.restrictions {
        tx.execute(
            "UPDATE projects SET restrictions = ?2 WHERE id = ?1",
            params![id.0, text(restrictions)?],
        )?;
    }
    Ok(())
}

fn number(tx: &Transaction<'_>, by: &Find) -> Result<Option<i64>, Fault> {
    let found = match by {
        Find::Id(id) => return Ok(Some(id.0)),
        Find::Uuid(uuid) => {
            tx.query_row("SELECT id FROM projects WHERE uuid = ?1", [uuid.as_bytes()], |row| row.get(0))
        }
        Find::Key(key) => tx.query_row(
            "SELECT project_id FROM project_keys WHERE key = ?1 AND disabled_at IS NULL",
            [key],
            |row| row.get(0),
        ),
        Find::Name(name) => {
            tx.query_row("SELECT id FROM projects WHERE name = ?1 ORDER BY id LIMIT 1", [name], |row| {
                row.get(0)
            })
        }
    };
    Ok(found.optional()?)
}

/// All projects, or one.
fn select(tx: &Transaction<'_>, only: Option<i64>) -> Result<Vec<Project>, Fault> {
    let mut statement = tx.prepare_cached(
        "SELECT id, uuid, organization, name, api_token, created_at, timezone, settings, exhausted, restrictions
         FROM projects WHERE ?1 IS NULL OR id = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([only])?;
    let mut projects = Vec::new();
    while let Some(row) = rows.next()? {
        projects.push(Project {
            id: ProjectId(row.get(0)?),
            uuid: uuid(row, 1)?,
            organization: uuid(row, 2)?,
            name: row.get(3)?,
            api_token: ProjectKey(row.get(4)?),
            keys: Vec::new(),
            created_at: time(row, 5)?,
            timezone: row.get(6)?,
            settings: json(row, 7)?,
            exhausted: json(row, 8)?,
            restrictions: json(row, 9)?,
        });
    }
    attach_keys(tx, only, &mut projects)?;
    Ok(projects)
}

/// `projects` are sorted by id.
fn attach_keys(tx: &Transaction<'_>, only: Option<i64>, projects: &mut [Project]) -> Result<(), Fault> {
    let mut statement = tx.prepare_cached(
        "SELECT project_id, key, label, created_at, disabled_at
         FROM project_keys WHERE ?1 IS NULL OR project_id = ?1 ORDER BY created_at, key",
    )?;
    let mut rows = statement.query([only])?;
    while let Some(row) = rows.next()? {
        let owner = ProjectId(row.get(0)?);
        let Ok(index) = projects.binary_search_by_key(&owner, |project| project.id) else { continue };
        projects[index].keys.push(Key {
            value: ProjectKey(row.get(1)?),
            label: row.get(2)?,
            created_at: time(row, 3)?,
            disabled_at: maybe_time(row, 4)?,
        });
    }
    Ok(())
}
