//! Persons and distinct ids in SQLite.

use super::Sqlite;
use super::fault::Fault;
use super::group;
use super::value::{each_in, json, maybe_time, micros, time, uuid};
use crate::person::{Find, Profile, Store};
use crate::{Page, Result};
use async_trait::async_trait;
use event::ProjectId;
use identity::{Changes, Loaded, Mapping, Needs, Person};
use rusqlite::{Row, ToSql, Transaction, params};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

const PERSON: &str = "uuid, created_at, properties, is_identified, version, last_seen_at";

#[async_trait]
impl Store for Sqlite {
    async fn load_identity(&self, project: ProjectId, needs: &Needs) -> Result<Loaded> {
        let needs = needs.clone();
        self.read("load persons", move |tx| load(tx, project, needs)).await
    }

    async fn person(&self, project: ProjectId, by: Find) -> Result<Option<Profile>> {
        self.read("find a person", move |tx| {
            let uuid = match by {
                Find::Uuid(uuid) => uuid,
                Find::DistinctId(id) => match mappings(tx, project, &[id])?.into_values().next() {
                    Some(mapping) => mapping.person,
                    None => return Ok(None),
                },
            };
            Ok(profiles(tx, project, &[uuid])?.pop())
        })
        .await
    }

    async fn persons(&self, project: ProjectId, page: &Page) -> Result<Vec<Profile>> {
        let page = page.clone();
        self.read("list persons", move |tx| {
            let uuids = search(tx, project, &page)?;
            profiles(tx, project, &uuids)
        })
        .await
    }
}

/// Writes the persons, distinct ids and groups of one project.
pub(super) fn write(tx: &Transaction<'_>, project: ProjectId, changes: &Changes) -> Result<(), Fault> {
    let mut delete = tx.prepare_cached("DELETE FROM persons WHERE project_id = ?1 AND uuid = ?2")?;
    for uuid in &changes.deleted_persons {
        delete.execute(params![project.0, uuid.as_bytes()])?;
    }
    let mut person = tx.prepare_cached(
        "INSERT INTO persons (project_id, uuid, created_at, properties, is_identified, version, last_seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (project_id, uuid) DO UPDATE SET created_at = excluded.created_at,
             properties = excluded.properties, is_identified = excluded.is_identified,
             version = excluded.version, last_seen_at = excluded.last_seen_at",
    )?;
    for row in &changes.persons {
        person.execute(params![
            project.0,
            row.uuid.as_bytes(),
            micros(row.created_at),
            row.properties.to_json(),
            row.is_identified,
            row.version,
            row.last_seen_at.map(micros)
        ])?;
    }
    let mut mapping = tx.prepare_cached(
        "INSERT INTO person_distinct_ids (project_id, distinct_id, person_uuid, version) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (project_id, distinct_id) DO UPDATE SET person_uuid = excluded.person_uuid, version = excluded.version",
    )?;
    for (distinct_id, row) in &changes.mappings {
        mapping.execute(params![project.0, distinct_id, row.person.as_bytes(), row.version])?;
    }
    let mut personless = tx.prepare_cached(
        "INSERT INTO personless_distinct_ids (project_id, distinct_id, is_merged) VALUES (?1, ?2, ?3)
         ON CONFLICT (project_id, distinct_id) DO UPDATE SET is_merged = excluded.is_merged",
    )?;
    for (distinct_id, is_merged) in &changes.personless {
        personless.execute(params![project.0, distinct_id, is_merged])?;
    }
    group::write(tx, project, changes)
}

/// Deletes these persons, everybody these ids lead to, and all their distinct ids; adds what it finds to both.
pub(super) fn forget(
    tx: &Transaction<'_>,
    project: ProjectId,
    ids: &mut BTreeSet<String>,
    uuids: &mut BTreeSet<Uuid>,
) -> Result<(), Fault> {
    let asked: Vec<String> = ids.iter().cloned().collect();
    uuids.extend(mappings(tx, project, &asked)?.into_values().map(|mapping| mapping.person));
    let persons: Vec<Uuid> = uuids.iter().copied().collect();
    ids.extend(members(tx, project, &persons)?.into_values().flatten().map(|(id, _)| id));
    let mut person = tx.prepare_cached("DELETE FROM persons WHERE project_id = ?1 AND uuid = ?2")?;
    for uuid in uuids.iter() {
        person.execute(params![project.0, uuid.as_bytes()])?;
    }
    let mut mapping =
        tx.prepare_cached("DELETE FROM person_distinct_ids WHERE project_id = ?1 AND distinct_id = ?2")?;
    let mut mark =
        tx.prepare_cached("DELETE FROM personless_distinct_ids WHERE project_id = ?1 AND distinct_id = ?2")?;
    for id in ids.iter() {
        mapping.execute(params![project.0, id])?;
        mark.execute(params![project.0, id])?;
    }
    Ok(())
}

fn load(tx: &Transaction<'_>, project: ProjectId, needs: Needs) -> Result<Loaded, Fault> {
    let ids: Vec<String> = needs.distinct_ids.union(&needs.members_of).cloned().collect();
    let found = mappings(tx, project, &ids)?;
    let owners = |ids: &mut dyn Iterator<Item = &String>| -> Vec<Uuid> {
        let owners: BTreeSet<Uuid> =
            ids.filter_map(|id| found.get(id)).map(|mapping| mapping.person).collect();
        owners.into_iter().collect()
    };
    let persons = persons(tx, project, &owners(&mut ids.iter()))?;
    if let Some((id, mapping)) = found.iter().find(|(_, mapping)| !persons.contains_key(&mapping.person)) {
        return Err(Fault::Damaged(format!(
            "distinct id {id:?} of project {project} leads to person {}, which is not there",
            mapping.person
        )));
    }
    let members = members(tx, project, &owners(&mut needs.members_of.iter()))?;
    let marks = personless(tx, project, &ids)?;
    let mut loaded =
        Loaded { persons, members, groups: group::load(tx, project, needs.groups)?, ..Loaded::default() };
    for id in ids {
        loaded.personless.insert(id.clone(), marks.get(&id).copied());
        let mapping = found.get(&id).copied();
        loaded.mappings.insert(id, mapping);
    }
    Ok(loaded)
}

fn mappings(
    tx: &Transaction<'_>,
    project: ProjectId,
    ids: &[String],
) -> Result<HashMap<String, Mapping>, Fault> {
    let mut found = HashMap::with_capacity(ids.len());
    let sql = "SELECT distinct_id, person_uuid, version FROM person_distinct_ids
               WHERE project_id = ? AND distinct_id IN ({list})";
    each_in(tx, sql, &[&project.0], ids, |row| {
        found.insert(row.get(0)?, Mapping { person: uuid(row, 1)?, version: row.get(2)? });
        Ok(())
    })?;
    Ok(found)
}

fn personless(
    tx: &Transaction<'_>,
    project: ProjectId,
    ids: &[String],
) -> Result<HashMap<String, bool>, Fault> {
    let mut found = HashMap::new();
    let sql = "SELECT distinct_id, is_merged FROM personless_distinct_ids
               WHERE project_id = ? AND distinct_id IN ({list})";
    each_in(tx, sql, &[&project.0], ids, |row| {
        found.insert(row.get(0)?, row.get(1)?);
        Ok(())
    })?;
    Ok(found)
}

fn persons(tx: &Transaction<'_>, project: ProjectId, uuids: &[Uuid]) -> Result<HashMap<Uuid, Person>, Fault> {
    let mut found = HashMap::with_capacity(uuids.len());
    let sql = format!("SELECT {PERSON} FROM persons WHERE project_id = ? AND uuid IN ({{list}})");
    each_in(tx, &sql, &[&project.0], &bytes(uuids), |row| {
        let person = person(row)?;
        found.insert(person.uuid, person);
        Ok(())
    })?;
    Ok(found)
}

/// Every distinct id of these persons, each list in alphabetical order.
fn members(
    tx: &Transaction<'_>,
    project: ProjectId,
    uuids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<(String, Mapping)>>, Fault> {
    let mut found: HashMap<Uuid, Vec<(String, Mapping)>> = HashMap::with_capacity(uuids.len());
    let sql = "SELECT person_uuid, distinct_id, version FROM person_distinct_ids
               WHERE project_id = ? AND person_uuid IN ({list})";
    each_in(tx, sql, &[&project.0], &bytes(uuids), |row| {
        let person = uuid(row, 0)?;
        found.entry(person).or_default().push((row.get(1)?, Mapping { person, version: row.get(2)? }));
        Ok(())
    })?;
    for ids in found.values_mut() {
        ids.sort_by(|one, two| one.0.cmp(&two.0));
    }
    Ok(found)
}

fn bytes(uuids: &[Uuid]) -> Vec<[u8; 16]> {
    uuids.iter().map(|uuid| uuid.into_bytes()).collect()
}

fn person(row: &Row<'_>) -> Result<Person, Fault> {
    Ok(Person {
        uuid: uuid(row, 0)?,
        created_at: time(row, 1)?,
        properties: Arc::new(json(row, 2)?),
        is_identified: row.get(3)?,
        version: row.get(4)?,
        last_seen_at: maybe_time(row, 5)?,
    })
}

/// The persons among `uuids` that exist, in the same order.
fn profiles(tx: &Transaction<'_>, project: ProjectId, uuids: &[Uuid]) -> Result<Vec<Profile>, Fault> {
    let mut persons = persons(tx, project, uuids)?;
    let mut members = members(tx, project, uuids)?;
    let found = uuids.iter().filter_map(|uuid| {
        let person = persons.remove(uuid)?;
        Some(Profile { person, distinct_ids: members.remove(uuid).unwrap_or_default() })
    });
    Ok(found.collect())
}

fn search(tx: &Transaction<'_>, project: ProjectId, page: &Page) -> Result<Vec<Uuid>, Fault> {
    let (condition, text): (&str, &dyn ToSql) = match &page.search {
        None => ("?2 IS NULL", &rusqlite::types::Null),
        Some(text) => (
            "(instr(lower(properties), lower(?2)) > 0 OR uuid IN
              (SELECT person_uuid FROM person_distinct_ids WHERE project_id = ?1 AND distinct_id = ?2))",
            text,
        ),
    };
    let mut statement = tx.prepare_cached(&format!(
        "SELECT uuid FROM persons WHERE project_id = ?1 AND {condition} ORDER BY uuid LIMIT ?3 OFFSET ?4"
    ))?;
    let mut rows = statement.query(params![project.0, text, page.limit, page.offset])?;
    let mut uuids = Vec::new();
    while let Some(row) = rows.next()? {
        uuids.push(uuid(row, 0)?);
    }
    Ok(uuids)
}
