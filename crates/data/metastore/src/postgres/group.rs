//! Group types and groups in PostgreSQL.

use super::Postgres;
use super::fault::Fault;
use super::value::{change, column, json, last_of_each, micros, rows, slot, stored, text, time};
use crate::Result;
use crate::group::Store;
use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use event::ProjectId;
use identity::{Changes, Group};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

#[async_trait]
impl Store for Postgres {
    async fn group_types(&self, project: ProjectId) -> Result<Vec<(String, u8)>> {
        self.finish("list group types", async { types(&self.client().await?, project).await }).await
    }

    async fn group(&self, project: ProjectId, slot: u8, key: &str) -> Result<Option<Group>> {
        self.finish("find a group", async {
            let found = entries(&self.client().await?, project, slot, &[key.to_owned()]).await?;
            Ok(found.into_iter().next().map(|found| found.1))
        })
        .await
    }
}

/// Writes the group types and groups of one project.
pub(super) async fn write(tx: &Transaction<'_>, project: ProjectId, changes: &Changes) -> Result<(), Fault> {
    for (name, slot) in &changes.group_types {
        let sql = "INSERT INTO group_types (project_id, slot, name) VALUES ($1, $2, $3)
                   ON CONFLICT (project_id, slot) DO UPDATE SET name = excluded.name";
        change(tx, sql, &[&project.0, &i16::from(*slot), &stored(name)]).await?;
    }
    let groups = last_of_each(&changes.groups, |(slot, key, _)| (*slot, key.as_str()));
    for piece in groups.chunks(super::person::ROWS) {
        let slots: Vec<_> = piece.iter().map(|row| i16::from(row.0)).collect();
        let keys: Vec<_> = piece.iter().map(|row| stored(&row.1)).collect();
        let created: Vec<_> = piece.iter().map(|row| micros(row.2.created_at)).collect();
        let properties: Vec<_> = piece.iter().map(|row| row.2.properties.to_json()).collect();
        let versions: Vec<_> = piece.iter().map(|row| row.2.version).collect();
        let sql = "INSERT INTO group_entries (project_id, slot, key, created_at, properties, version)
             SELECT $1::bigint, * FROM unnest($2::smallint[], $3::text[], $4::bigint[], $5::text[], $6::bigint[])
             ON CONFLICT (project_id, slot, key) DO UPDATE SET created_at = excluded.created_at,
                 properties = excluded.properties, version = excluded.version";
        change(tx, sql, &[&project.0, &slots, &keys, &created, &properties, &versions]).await?;
    }
    Ok(())
}

/// Answers the groups of stored types; `asked` is (type name, key).
pub(super) async fn load(
    tx: &Transaction<'_>,
    project: ProjectId,
    asked: &BTreeSet<(String, String)>,
) -> Result<HashMap<(u8, String), Option<Group>>, Fault> {
    let mut loaded = HashMap::with_capacity(asked.len());
    if asked.is_empty() {
        return Ok(loaded);
    }
    let slots: HashMap<String, u8> = types(tx, project).await?.into_iter().collect();
    let mut keys: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for (name, key) in asked {
        if let Some(slot) = slots.get(name) {
            keys.entry(*slot).or_default().push(key.clone());
        }
    }
    for (slot, keys) in keys {
        let found = entries(tx, project, slot, &keys).await?;
        loaded.extend(keys.into_iter().map(|key| ((slot, key), None)));
        loaded.extend(found.into_iter().map(|(key, group)| ((slot, key), Some(group))));
    }
    Ok(loaded)
}

async fn types(client: &impl GenericClient, project: ProjectId) -> Result<Vec<(String, u8)>, Fault> {
    let sql = "SELECT name, slot FROM group_types WHERE project_id = $1 ORDER BY slot";
    let found = rows(client, sql, &[&project.0]).await?;
    found.iter().map(|row| Ok((text(row, 0)?, slot(row, 1)?))).collect()
}

async fn entries(
    client: &impl GenericClient,
    project: ProjectId,
    slot: u8,
    keys: &[String],
) -> Result<Vec<(String, Group)>, Fault> {
    let keys: Vec<_> = keys.iter().map(|key| stored(key)).collect();
    let sql = "SELECT key, created_at, properties, version FROM group_entries
               WHERE project_id = $1 AND slot = $2 AND key = ANY($3)";
    let found = rows(client, sql, &[&project.0, &i16::from(slot), &keys]).await?;
    let group = |row: &_| -> Result<(String, Group), Fault> {
        let properties = Arc::new(json(row, 2)?);
        let group = Group { created_at: time(row, 1)?, properties, version: column(row, 3)? };
        Ok((text(row, 0)?, group))
    };
    found.iter().map(group).collect()
}
