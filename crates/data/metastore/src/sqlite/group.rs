//! Group types and groups in SQLite.

use super::Sqlite;
use super::fault::Fault;
use super::value::{each_in, json, micros, time};
use crate::Result;
use crate::group::Store;
use async_trait::async_trait;
use event::ProjectId;
use identity::{Changes, Group};
use rusqlite::{Transaction, params};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

#[async_trait]
impl Store for Sqlite {
    async fn group_types(&self, project: ProjectId) -> Result<Vec<(String, u8)>> {
        self.read("list group types", move |tx| types(tx, project)).await
    }

    async fn group(&self, project: ProjectId, slot: u8, key: &str) -> Result<Option<Group>> {
        let key = key.to_owned();
        self.read("find a group", move |tx| {
            Ok(entries(tx, project, slot, &[key])?.pop().map(|found| found.1))
        })
        .await
    }
}

/// Writes the group types and groups of one project.
pub(super) fn write(tx: &Transaction<'_>, project: ProjectId, changes: &Changes) -> Result<(), Fault> {
    let mut kind = tx.prepare_cached(
        "INSERT INTO group_types (project_id, slot, name) VALUES (?1, ?2, ?3)
         ON CONFLICT (project_id, slot) DO UPDATE SET name = excluded.name",
    )?;
    for (name, slot) in &changes.group_types {
        kind.execute(params![project.0, slot, name])?;
    }
    let mut entry = tx.prepare_cached(
        "INSERT INTO group_entries (project_id, slot, key, created_at, properties, version)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (project_id, slot, key) DO UPDATE SET created_at = excluded.created_at,
             properties = excluded.properties, version = excluded.version",
    )?;
    for (slot, key, group) in &changes.groups {
        let created_at = micros(group.created_at);
        let properties = group.properties.to_json();
        entry.execute(params![project.0, slot, key, created_at, properties, group.version])?;
    }
    Ok(())
}

/// Answers the groups of stored types; `asked` is (type name, key).
pub(super) fn load(
    tx: &Transaction<'_>,
    project: ProjectId,
    asked: BTreeSet<(String, String)>,
) -> Result<HashMap<(u8, String), Option<Group>>, Fault> {
    let mut loaded = HashMap::with_capacity(asked.len());
    if asked.is_empty() {
        return Ok(loaded);
    }
    let slots: HashMap<String, u8> = types(tx, project)?.into_iter().collect();
    let mut keys: BTreeMap<u8, Vec<String>> = BTreeMap::new();
    for (name, key) in asked {
        if let Some(slot) = slots.get(&name) {
            keys.entry(*slot).or_default().push(key);
        }
    }
    for (slot, keys) in keys {
        let found = entries(tx, project, slot, &keys)?;
        loaded.extend(keys.into_iter().map(|key| ((slot, key), None)));
        loaded.extend(found.into_iter().map(|(key, group)| ((slot, key), Some(group))));
    }
    Ok(loaded)
}

fn types(tx: &Transaction<'_>, project: ProjectId) -> Result<Vec<(String, u8)>, Fault> {
    let sql = "SELECT name, slot FROM group_types WHERE project_id = ?1 ORDER BY slot";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map([project.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn entries(
    tx: &Transaction<'_>,
    project: ProjectId,
    slot: u8,
    keys: &[String],
) -> Result<Vec<(String, Group)>, Fault> {
    let mut found = Vec::with_capacity(keys.len());
    let sql = "SELECT key, created_at, properties, version FROM group_entries
               WHERE project_id = ? AND slot = ? AND key IN ({list})";
    each_in(tx, sql, &[&project.0, &slot], keys, |row| {
        let properties = Arc::new(json(row, 2)?);
        let group = Group { created_at: time(row, 1)?, properties, version: row.get(3)? };
        found.push((row.get(0)?, group));
        Ok(())
    })?;
    Ok(found)
}
