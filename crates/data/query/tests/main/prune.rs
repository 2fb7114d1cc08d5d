//! Files that cannot match are not opened.

use std::sync::{Arc, Mutex};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use async_trait::async_trait;
use event::ProjectId;
use iceberg::expr::Predicate;
use query::{DataFile, Engine, Error, Lake, Relation, Request, Snapshot};

use crate::world::{NOW, World, limits};

type Seen = Arc<Mutex<Vec<usize>>>;

/// A lake that writes down how many files each read of `events` got.
struct Watched {
    inner: Arc<dyn Lake>,
    seen: Seen,
}

#[derive(Debug)]
struct Pinned(Arc<dyn Snapshot>, Seen);

#[derive(Debug)]
struct Table(Arc<dyn Relation>, Seen);

#[async_trait]
impl Lake for Watched {
    async fn pin(&self) -> Result<Arc<dyn Snapshot>, Error> {
        Ok(Arc::new(Pinned(self.inner.pin().await?, Arc::clone(&self.seen))))
    }
}

#[async_trait]
impl Snapshot for Pinned {
    async fn names(&self) -> Result<Vec<String>, Error> {
        self.0.names().await
    }

    async fn relation(&self, name: &str) -> Result<Option<Arc<dyn Relation>>, Error> {
        let found = self.0.relation(name).await?;
        Ok(found.map(|inner| Arc::new(Table(inner, Arc::clone(&self.1))) as Arc<dyn Relation>))
    }
}

#[async_trait]
impl Relation for Table {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn promoted(&self, json: &str, property: &str) -> Option<String> {
        self.0.promoted(json, property)
    }

    fn tail(&self) -> Vec<RecordBatch> {
        self.0.tail()
    }

    async fn files(&self, filter: Option<Predicate>) -> Result<Vec<DataFile>, Error> {
        let files = self.0.files(filter).await?;
        self.1.lock().expect("a list").push(files.len());
        Ok(files)
    }
}

#[tokio::test]
async fn projects_days_and_bounds_choose_files() {
    let world = World::open().await;
    let seen = Seen::default();
    let lake = Watched { inner: world.warehouse.clone(), seen: Arc::clone(&seen) };
    let engine = Engine::new(Arc::new(lake), limits()).expect("an engine");
    // Project 1 has three committed days, project 2 has one, project 3 has none.
    let cases = [
        (1, "SELECT count(*) FROM events", 3),
        (2, "SELECT count(*) FROM events", 1),
        (3, "SELECT count(*) FROM events", 0),
        (1, "SELECT count(*) FROM events WHERE timestamp >= '2026-01-09'", 1),
        (1, "SELECT count(*) FROM events WHERE timestamp > now() - interval '2 days 6 hours'", 2),
        (1, "SELECT count(*) FROM events WHERE timestamp BETWEEN '2026-01-08' AND '2026-01-08 23:00:00'", 1),
        (1, "SELECT count(*) FROM events WHERE event = 'old_event'", 2),
        (1, "SELECT count(*) FROM events WHERE event = 'zzz'", 0),
        (1, "SELECT count(*) FROM events WHERE properties.$browser = 'Firefox'", 1),
        (1, "SELECT count(*) FROM events WHERE event = 'nowhere' OR event = 'purchase'", 1),
        (1, "SELECT count(*) FROM events_resolved WHERE timestamp >= '2026-01-09'", 1),
        (1, "SELECT count(*) FROM hogflare WHERE timestamp >= '2026-01-09'", 1),
    ];
    for (project, sql, files) in cases {
        seen.lock().expect("a list").clear();
        let now = NOW.parse().expect("a time");
        let request = Request { project: ProjectId(project), sql: sql.to_owned(), now, row_limit: None };
        engine.run(request).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let found = *seen.lock().expect("a list").first().expect("one read");
        assert_eq!(found, files, "project {project}: {sql}");
    }
}
