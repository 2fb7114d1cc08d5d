//! Definitions in SQLite.

use super::Sqlite;
use super::fault::Fault;
use super::value::{micros, time};
use crate::definition::{Definitions, Event, Owner, Property, PropertyType, Store};
use crate::{Listing, Page, Result};
use async_trait::async_trait;
use event::ProjectId;
use rusqlite::{Transaction, params};

#[async_trait]
impl Store for Sqlite {
    async fn event_definitions(&self, project: ProjectId, page: &Page) -> Result<Listing<Event>> {
        let page = page.clone();
        self.read("list event definitions", move |tx| events(tx, project, &page)).await
    }

    async fn property_definitions(
        &self,
        project: ProjectId,
        owner: Owner,
        page: &Page,
    ) -> Result<Listing<Property>> {
        let page = page.clone();
        self.read("list property definitions", move |tx| properties(tx, project, owner, &page)).await
    }

    async fn event_properties(&self, project: ProjectId, event: &str) -> Result<Vec<String>> {
        let event = event.to_owned();
        self.read("list the properties of an event", move |tx| {
            let sql = "SELECT property FROM event_properties WHERE project_id = ?1 AND event = ?2 ORDER BY property";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map(params![project.0, event], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }
}

/// Writes the definitions of one project.
pub(super) fn write(tx: &Transaction<'_>, project: ProjectId, seen: &Definitions) -> Result<(), Fault> {
    let mut event = tx.prepare_cached(
        "INSERT INTO event_definitions (project_id, name, created_at, last_seen_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (project_id, name) DO UPDATE SET created_at = min(created_at, excluded.created_at),
             last_seen_at = max(last_seen_at, excluded.last_seen_at)",
    )?;
    for row in &seen.events {
        event.execute(params![project.0, row.name, micros(row.created_at), micros(row.last_seen_at)])?;
    }
    let mut property = tx.prepare_cached(
        "INSERT INTO property_definitions (project_id, owner, slot, name, kind) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (project_id, owner, slot, name) DO UPDATE SET kind = excluded.kind
             WHERE kind IS NULL AND excluded.kind IS NOT NULL",
    )?;
    for row in &seen.properties {
        let (owner, slot) = row.owner.stored();
        property.execute(params![project.0, owner, slot, row.name, row.kind.map(PropertyType::text)])?;
    }
    let mut pair = tx.prepare_cached(
        "INSERT INTO event_properties (project_id, event, property) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    for row in &seen.event_properties {
        pair.execute(params![project.0, row.event, row.property])?;
    }
    Ok(())
}

fn events(tx: &Transaction<'_>, project: ProjectId, page: &Page) -> Result<Listing<Event>, Fault> {
    const MATCH: &str = "FROM event_definitions WHERE project_id = ?1
                         AND (?2 IS NULL OR instr(lower(name), lower(?2)) > 0)";
    let count = tx
        .prepare_cached(&format!("SELECT count(*) {MATCH}"))?
        .query_row(params![project.0, page.search], |row| row.get::<_, i64>(0))?;
    let mut statement = tx.prepare_cached(&format!(
        "SELECT name, created_at, last_seen_at {MATCH} ORDER BY name LIMIT ?3 OFFSET ?4"
    ))?;
    let mut found = statement.query(params![project.0, page.search, page.limit, page.offset])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(Event { name: row.get(0)?, created_at: time(row, 1)?, last_seen_at: time(row, 2)? });
    }
    Ok(Listing { count: count.unsigned_abs(), rows })
}

fn properties(
    tx: &Transaction<'_>,
    project: ProjectId,
    owner: Owner,
    page: &Page,
) -> Result<Listing<Property>, Fault> {
    const MATCH: &str = "FROM property_definitions WHERE project_id = ?1 AND owner = ?2 AND slot = ?3
                         AND (?4 IS NULL OR instr(lower(name), lower(?4)) > 0)";
    let (kind, slot) = owner.stored();
    let count = tx
        .prepare_cached(&format!("SELECT count(*) {MATCH}"))?
        .query_row(params![project.0, kind, slot, page.search], |row| row.get::<_, i64>(0))?;
    let mut statement =
        tx.prepare_cached(&format!("SELECT name, kind {MATCH} ORDER BY name LIMIT ?5 OFFSET ?6"))?;
    let mut found = statement.query(params![project.0, kind, slot, page.search, page.limit, page.offset])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let stored: Option<String> = row.get(1)?;
        let kind = stored.as_deref().and_then(PropertyType::parse);
        rows.push(Property { owner, name: row.get(0)?, kind });
    }
    Ok(Listing { count: count.unsigned_abs(), rows })
}
