//! Definitions in PostgreSQL.

use super::fault::Fault;
use super::value::{change, column, micros, row, rows, stored, text, time};
use super::{Postgres, snapshot};
use crate::definition::{Definitions, Event, Owner, Property, PropertyType, Store};
use crate::{Listing, Page, Result};
use async_trait::async_trait;
use deadpool_postgres::Transaction;
use event::ProjectId;
use tokio_postgres::types::ToSql;

#[async_trait]
impl Store for Postgres {
    async fn event_definitions(&self, project: ProjectId, page: &Page) -> Result<Listing<Event>> {
        self.finish("list event definitions", async {
            let mut client = self.client().await?;
            events(&snapshot(&mut client).await?, project, page).await
        })
        .await
    }

    async fn property_definitions(
        &self,
        project: ProjectId,
        owner: Owner,
        page: &Page,
    ) -> Result<Listing<Property>> {
        self.finish("list property definitions", async {
            let mut client = self.client().await?;
            properties(&snapshot(&mut client).await?, project, owner, page).await
        })
        .await
    }

    async fn event_properties(&self, project: ProjectId, event: &str) -> Result<Vec<String>> {
        self.finish("list the properties of an event", async {
            let client = self.client().await?;
            let sql = "SELECT property FROM event_properties WHERE project_id = $1 AND event = $2 ORDER BY property";
            let found = rows(&client, sql, &[&project.0, &stored(event)]).await?;
            found.iter().map(|row| text(row, 0)).collect()
        })
        .await
    }
}

/// Writes the definitions of one project. Those seen several times are brought together first: one statement writes a
/// row once.
pub(super) async fn write(tx: &Transaction<'_>, project: ProjectId, seen: &Definitions) -> Result<(), Fault> {
    let (events, properties, pairs) = (&seen.events, &seen.properties, &seen.event_properties);
    if !events.is_empty() {
        let names: Vec<_> = events.iter().map(|row| stored(&row.name)).collect();
        let created: Vec<_> = events.iter().map(|row| micros(row.created_at)).collect();
        let last: Vec<_> = events.iter().map(|row| micros(row.last_seen_at)).collect();
        let sql = "INSERT INTO event_definitions AS known (project_id, name, created_at, last_seen_at)
             SELECT $1::bigint, name, min(created_at), max(last_seen_at)
             FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS seen (name, created_at, last_seen_at) GROUP BY name
             ON CONFLICT (project_id, name) DO UPDATE SET
                 created_at = least(known.created_at, excluded.created_at),
                 last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)";
        change(tx, sql, &[&project.0, &names, &created, &last]).await?;
    }
    if !properties.is_empty() {
        let (owners, slots): (Vec<_>, Vec<_>) = properties.iter().map(|row| row.owner.stored()).unzip();
        let names: Vec<_> = properties.iter().map(|row| stored(&row.name)).collect();
        let kinds: Vec<_> = properties.iter().map(|row| row.kind.map(PropertyType::text)).collect();
        let sql = "INSERT INTO property_definitions AS known (project_id, owner, slot, name, kind)
             SELECT $1::bigint, owner, slot, name, (array_agg(kind ORDER BY at) FILTER (WHERE kind IS NOT NULL))[1]
             FROM unnest($2::smallint[], $3::smallint[], $4::text[], $5::text[]) WITH ORDINALITY
                 AS seen (owner, slot, name, kind, at) GROUP BY owner, slot, name
             ON CONFLICT (project_id, owner, slot, name) DO UPDATE SET kind = excluded.kind
                 WHERE known.kind IS NULL AND excluded.kind IS NOT NULL";
        change(tx, sql, &[&project.0, &owners, &slots, &names, &kinds]).await?;
    }
    if !pairs.is_empty() {
        let events: Vec<_> = pairs.iter().map(|row| stored(&row.event)).collect();
        let properties: Vec<_> = pairs.iter().map(|row| stored(&row.property)).collect();
        let sql = "INSERT INTO event_properties (project_id, event, property)
             SELECT $1::bigint, event, property FROM unnest($2::text[], $3::text[]) AS seen (event, property)
             ON CONFLICT DO NOTHING";
        change(tx, sql, &[&project.0, &events, &properties]).await?;
    }
    Ok(())
}

async fn count(tx: &Transaction<'_>, of: &str, with: &[&(dyn ToSql + Sync)]) -> Result<u64, Fault> {
    let found = row(tx, &format!("SELECT count(*) {of}"), with).await?;
    let count: i64 = found.map_or(Ok(0), |row| column(&row, 0))?;
    Ok(count.unsigned_abs())
}

async fn events(tx: &Transaction<'_>, project: ProjectId, page: &Page) -> Result<Listing<Event>, Fault> {
    const MATCH: &str = "FROM event_definitions WHERE project_id = $1
                         AND ($2::text IS NULL OR strpos(lower(name), lower($2 COLLATE \"C\")) > 0)";
    let (search, limit, offset) = sought(page);
    let count = count(tx, MATCH, &[&project.0, &search]).await?;
    let sql = format!("SELECT name, created_at, last_seen_at {MATCH} ORDER BY name LIMIT $3 OFFSET $4");
    let found = rows(tx, &sql, &[&project.0, &search, &limit, &offset]).await?;
    let event = |row: &_| -> Result<Event, Fault> {
        Ok(Event { name: text(row, 0)?, created_at: time(row, 1)?, last_seen_at: time(row, 2)? })
    };
    Ok(Listing { count, rows: found.iter().map(event).collect::<Result<_, Fault>>()? })
}

async fn properties(
    tx: &Transaction<'_>,
    project: ProjectId,
    owner: Owner,
    page: &Page,
) -> Result<Listing<Property>, Fault> {
    const MATCH: &str = "FROM property_definitions WHERE project_id = $1 AND owner = $2 AND slot = $3
                         AND ($4::text IS NULL OR strpos(lower(name), lower($4 COLLATE \"C\")) > 0)";
    let (kind, slot) = owner.stored();
    let (search, limit, offset) = sought(page);
    let count = count(tx, MATCH, &[&project.0, &kind, &slot, &search]).await?;
    let sql = format!("SELECT name, kind {MATCH} ORDER BY name LIMIT $5 OFFSET $6");
    let found = rows(tx, &sql, &[&project.0, &kind, &slot, &search, &limit, &offset]).await?;
    let property = |row: &_| -> Result<Property, Fault> {
        let kind: Option<&str> = column(row, 1)?;
        Ok(Property { owner, name: text(row, 0)?, kind: kind.and_then(PropertyType::parse) })
    };
    Ok(Listing { count, rows: found.iter().map(property).collect::<Result<_, Fault>>()? })
}

/// What is searched for, and which part of it is wanted.
pub(super) fn sought(page: &Page) -> (Option<String>, i64, i64) {
    let search = page.search.as_deref().map(|text| stored(text).into_owned());
    (search, i64::from(page.limit), i64::from(page.offset))
}
