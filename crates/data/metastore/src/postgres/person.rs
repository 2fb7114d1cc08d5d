//! Persons and distinct ids in PostgreSQL.

use super::definition::sought;
use super::fault::Fault;
use super::value::{change, column, json, last_of_each, maybe_time, micros, rows, stored, text, time};
use super::{Postgres, group, snapshot};
use crate::person::{Find, Profile, Store};
use crate::{Page, Result};
use async_trait::async_trait;
use deadpool_postgres::Transaction;
use event::ProjectId;
use identity::{Changes, Loaded, Mapping, Needs, Person};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tokio_postgres::Row;
use uuid::Uuid;

/// Rows and bytes of one statement. Few statements are fast; one without bounds would have to fit into memory three
/// times, and into a message of PostgreSQL.
pub(super) const ROWS: usize = 5_000;
const BYTES: usize = 4 * 1024 * 1024;

#[async_trait]
impl Store for Postgres {
    async fn load_identity(&self, project: ProjectId, needs: &Needs) -> Result<Loaded> {
        self.finish("load persons", async {
            let mut client = self.client().await?;
            load(&snapshot(&mut client).await?, project, needs).await
        })
        .await
    }

    async fn person(&self, project: ProjectId, by: Find) -> Result<Option<Profile>> {
        self.finish("find a person", async {
            let mut client = self.client().await?;
            let tx = snapshot(&mut client).await?;
            let uuid = match by {
                Find::Uuid(uuid) => uuid,
                Find::DistinctId(id) => match mappings(&tx, project, &[id]).await?.into_values().next() {
                    Some(mapping) => mapping.person,
                    None => return Ok(None),
                },
            };
            Ok(profiles(&tx, project, &[uuid]).await?.pop())
        })
        .await
    }

    async fn persons(&self, project: ProjectId, page: &Page) -> Result<Vec<Profile>> {
        self.finish("list persons", async {
            let mut client = self.client().await?;
            let tx = snapshot(&mut client).await?;
            let uuids = search(&tx, project, page).await?;
            profiles(&tx, project, &uuids).await
        })
        .await
    }
}

/// Writes the persons, distinct ids and groups of one project.
pub(super) async fn write(tx: &Transaction<'_>, project: ProjectId, changes: &Changes) -> Result<(), Fault> {
    if !changes.deleted_persons.is_empty() {
        let sql = "DELETE FROM persons WHERE project_id = $1 AND uuid = ANY($2)";
        change(tx, sql, &[&project.0, &changes.deleted_persons]).await?;
    }
    let mut columns = Columns::default();
    for person in last_of_each(&changes.persons, |person| person.uuid) {
        columns.add(person);
        if columns.uuids.len() >= ROWS || columns.bytes >= BYTES {
            columns.write(tx, project).await?;
        }
    }
    columns.write(tx, project).await?;
    let mappings = last_of_each(&changes.mappings, |(id, _)| id.as_str());
    for piece in mappings.chunks(ROWS) {
        let ids: Vec<_> = piece.iter().map(|row| stored(&row.0)).collect();
        let persons: Vec<_> = piece.iter().map(|row| row.1.person).collect();
        let versions: Vec<_> = piece.iter().map(|row| row.1.version).collect();
        let sql = "INSERT INTO person_distinct_ids (project_id, distinct_id, person_uuid, version)
             SELECT $1::bigint, * FROM unnest($2::text[], $3::uuid[], $4::bigint[])
             ON CONFLICT (project_id, distinct_id) DO UPDATE SET person_uuid = excluded.person_uuid,
                 version = excluded.version";
        change(tx, sql, &[&project.0, &ids, &persons, &versions]).await?;
    }
    let personless = last_of_each(&changes.personless, |(id, _)| id.as_str());
    for piece in personless.chunks(ROWS) {
        let ids: Vec<_> = piece.iter().map(|row| stored(&row.0)).collect();
        let merged: Vec<_> = piece.iter().map(|row| row.1).collect();
        let sql = "INSERT INTO personless_distinct_ids (project_id, distinct_id, is_merged)
             SELECT $1::bigint, * FROM unnest($2::text[], $3::boolean[])
             ON CONFLICT (project_id, distinct_id) DO UPDATE SET is_merged = excluded.is_merged";
        change(tx, sql, &[&project.0, &ids, &merged]).await?;
    }
    group::write(tx, project, changes).await
}

/// Persons on their way into one statement, column by column.
#[derive(Default)]
struct Columns {
    uuids: Vec<Uuid>,
    created: Vec<i64>,
    properties: Vec<String>,
    identified: Vec<bool>,
    versions: Vec<i64>,
    last_seen: Vec<Option<i64>>,
    bytes: usize,
}

impl Columns {
    fn add(&mut self, person: &Person) {
        let properties = person.properties.to_json();
        self.bytes += properties.len();
        self.uuids.push(person.uuid);
        self.created.push(micros(person.created_at));
        self.properties.push(properties);
        self.identified.push(person.is_identified);
        self.versions.push(person.version);
        self.last_seen.push(person.last_seen_at.map(micros));
    }

    /// Writes what was added and is empty afterwards.
    async fn write(&mut self, tx: &Transaction<'_>, project: ProjectId) -> Result<(), Fault> {
        let full = std::mem::take(self);
        if full.uuids.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO persons (project_id, uuid, created_at, properties, is_identified, version, last_seen_at)
             SELECT $1::bigint, *
             FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::boolean[], $6::bigint[], $7::bigint[])
             ON CONFLICT (project_id, uuid) DO UPDATE SET created_at = excluded.created_at,
                 properties = excluded.properties, is_identified = excluded.is_identified,
                 version = excluded.version, last_seen_at = excluded.last_seen_at";
        let Self { uuids, created, properties, identified, versions, last_seen, .. } = &full;
        change(tx, sql, &[&project.0, uuids, created, properties, identified, versions, last_seen]).await?;
        Ok(())
    }
}

/// Deletes these persons, everybody these ids lead to, and all their distinct ids; adds what it finds to both.
pub(super) async fn forget(
    tx: &Transaction<'_>,
    project: ProjectId,
    ids: &mut BTreeSet<String>,
    uuids: &mut BTreeSet<Uuid>,
) -> Result<(), Fault> {
    let asked: Vec<String> = ids.iter().cloned().collect();
    uuids.extend(mappings(tx, project, &asked).await?.into_values().map(|mapping| mapping.person));
    let persons: Vec<Uuid> = uuids.iter().copied().collect();
    ids.extend(members(tx, project, &persons).await?.into_values().flatten().map(|(id, _)| id));
    let sql = "DELETE FROM persons WHERE project_id = $1 AND uuid = ANY($2)";
    change(tx, sql, &[&project.0, &persons]).await?;
    let all: Vec<_> = ids.iter().map(|id| stored(id)).collect();
    for table in ["person_distinct_ids", "personless_distinct_ids"] {
        let sql = format!("DELETE FROM {table} WHERE project_id = $1 AND distinct_id = ANY($2)");
        change(tx, &sql, &[&project.0, &all]).await?;
    }
    Ok(())
}

async fn load(tx: &Transaction<'_>, project: ProjectId, needs: &Needs) -> Result<Loaded, Fault> {
    let ids: Vec<String> = needs.distinct_ids.union(&needs.members_of).cloned().collect();
    // One round trip for what is asked by distinct id, another for what is asked by person.
    let (found, marks, groups) = tokio::try_join!(
        mappings(tx, project, &ids),
        personless(tx, project, &ids),
        group::load(tx, project, &needs.groups)
    )?;
    let owners = |ids: &mut dyn Iterator<Item = &String>| -> Vec<Uuid> {
        let owners: BTreeSet<Uuid> =
            ids.filter_map(|id| found.get(id)).map(|mapping| mapping.person).collect();
        owners.into_iter().collect()
    };
    let (owning, asked) = (owners(&mut ids.iter()), owners(&mut needs.members_of.iter()));
    let (persons, members) = tokio::try_join!(persons(tx, project, &owning), members(tx, project, &asked))?;
    if let Some((id, mapping)) = found.iter().find(|(_, mapping)| !persons.contains_key(&mapping.person)) {
        return Err(Fault::Damaged(format!(
            "distinct id {id:?} of project {project} leads to person {}, which is not there",
            mapping.person
        )));
    }
    let mut loaded = Loaded { persons, members, groups, ..Loaded::default() };
    for id in ids {
        loaded.personless.insert(id.clone(), marks.get(&id).copied());
        let mapping = found.get(&id).copied();
        loaded.mappings.insert(id, mapping);
    }
    Ok(loaded)
}

async fn mappings(
    tx: &Transaction<'_>,
    project: ProjectId,
    ids: &[String],
) -> Result<HashMap<String, Mapping>, Fault> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<_> = ids.iter().map(|id| stored(id)).collect();
    let sql = "SELECT distinct_id, person_uuid, version FROM person_distinct_ids
               WHERE project_id = $1 AND distinct_id = ANY($2)";
    let found = rows(tx, sql, &[&project.0, &ids]).await?;
    found.iter().map(|row| Ok((text(row, 0)?, mapping(row)?))).collect()
}

/// A mapping in the columns after the first.
fn mapping(row: &Row) -> Result<Mapping, Fault> {
    Ok(Mapping { person: column(row, 1)?, version: column(row, 2)? })
}

async fn personless(
    tx: &Transaction<'_>,
    project: ProjectId,
    ids: &[String],
) -> Result<HashMap<String, bool>, Fault> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<_> = ids.iter().map(|id| stored(id)).collect();
    let sql = "SELECT distinct_id, is_merged FROM personless_distinct_ids
               WHERE project_id = $1 AND distinct_id = ANY($2)";
    let found = rows(tx, sql, &[&project.0, &ids]).await?;
    found.iter().map(|row| Ok((text(row, 0)?, column(row, 1)?))).collect()
}

async fn persons(
    tx: &Transaction<'_>,
    project: ProjectId,
    uuids: &[Uuid],
) -> Result<HashMap<Uuid, Person>, Fault> {
    if uuids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT uuid, created_at, properties, is_identified, version, last_seen_at FROM persons
               WHERE project_id = $1 AND uuid = ANY($2)";
    let found = rows(tx, sql, &[&project.0, &uuids]).await?;
    let person = |row: &Row| -> Result<(Uuid, Person), Fault> {
        let person = Person {
            uuid: column(row, 0)?,
            created_at: time(row, 1)?,
            properties: Arc::new(json(row, 2)?),
            is_identified: column(row, 3)?,
            version: column(row, 4)?,
            last_seen_at: maybe_time(row, 5)?,
        };
        Ok((person.uuid, person))
    };
    found.iter().map(person).collect()
}

/// Every distinct id of these persons, each list in alphabetical order.
async fn members(
    tx: &Transaction<'_>,
    project: ProjectId,
    uuids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<(String, Mapping)>>, Fault> {
    let mut found: HashMap<Uuid, Vec<(String, Mapping)>> = HashMap::with_capacity(uuids.len());
    if uuids.is_empty() {
        return Ok(found);
    }
    let sql = "SELECT distinct_id, person_uuid, version FROM person_distinct_ids
               WHERE project_id = $1 AND person_uuid = ANY($2)";
    for row in rows(tx, sql, &[&project.0, &uuids]).await? {
        let mapping = mapping(&row)?;
        found.entry(mapping.person).or_default().push((text(&row, 0)?, mapping));
    }
    for ids in found.values_mut() {
        ids.sort_by(|one, two| one.0.cmp(&two.0));
    }
    Ok(found)
}

/// The persons among `uuids` that exist, in the same order.
async fn profiles(tx: &Transaction<'_>, project: ProjectId, uuids: &[Uuid]) -> Result<Vec<Profile>, Fault> {
    let (mut persons, mut members) =
        tokio::try_join!(persons(tx, project, uuids), members(tx, project, uuids))?;
    let found = uuids.iter().filter_map(|uuid| {
        let person = persons.remove(uuid)?;
        Some(Profile { person, distinct_ids: members.remove(uuid).unwrap_or_default() })
    });
    Ok(found.collect())
}

async fn search(tx: &Transaction<'_>, project: ProjectId, page: &Page) -> Result<Vec<Uuid>, Fault> {
    let (search, limit, offset) = sought(page);
    let sql = "SELECT uuid FROM persons WHERE project_id = $1 AND ($2::text IS NULL
               OR strpos(lower(properties), lower($2 COLLATE \"C\")) > 0 OR uuid IN
               (SELECT person_uuid FROM person_distinct_ids WHERE project_id = $1 AND distinct_id = $2))
               ORDER BY uuid LIMIT $3 OFFSET $4";
    let found = rows(tx, sql, &[&project.0, &search, &limit, &offset]).await?;
    found.iter().map(|row| column(row, 0)).collect()
}
