//! The warehouse as a lake.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use async_trait::async_trait;
use iceberg::expr::Predicate;
use object_store::ObjectStore;
use table::{TableView, View, Warehouse};

use crate::{DataFile, Error, Kind, Lake, Relation, Snapshot};

#[async_trait]
impl Lake for Warehouse {
    async fn pin(&self) -> Result<Arc<dyn Snapshot>, Error> {
        Ok(Arc::new(Pinned(self.view().map_err(stored)?)))
    }

    fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>, Error> {
        self.objects().bucket(name).map_err(stored)
    }
}

#[derive(Debug)]
struct Pinned(View);

#[async_trait]
impl Snapshot for Pinned {
    async fn names(&self) -> Result<Vec<String>, Error> {
        self.0.names().await.map_err(stored)
    }

    async fn relation(&self, name: &str) -> Result<Option<Arc<dyn Relation>>, Error> {
        match self.0.table(name).await {
            Ok(table) => Ok(Some(Arc::new(One(table)))),
            Err(error) if error.kind() == table::Kind::NotFound => Ok(None),
            Err(error) => Err(stored(error)),
        }
    }
}

fn stored(error: table::Error) -> Error {
    let (kind, code) = match error.kind() {
        table::Kind::Invalid => (Kind::Invalid, "unsupported_table"),
        table::Kind::NotFound => (Kind::NotFound, "table_not_found"),
        table::Kind::Conflict => (Kind::Busy, "throttled"),
        table::Kind::Unavailable => (Kind::Unavailable, "unavailable"),
        table::Kind::Corrupt => (Kind::Corrupt, "corrupt"),
        table::Kind::Bug => (Kind::Bug, "error"),
    };
    let context = error.context().to_owned();
    Error { source: Some(Box::new(error)), ..Error::new(kind, code, context) }
}

#[derive(Debug)]
struct One(TableView);

#[async_trait]
impl Relation for One {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn promoted(&self, json: &str, property: &str) -> Option<String> {
        let def = self.0.def.filter(|_| json == "properties")?;
        def.promoted(property).map(|column| column.name.to_owned())
    }

    fn tail(&self) -> Vec<RecordBatch> {
        self.0.tail.to_vec()
    }

    async fn files(&self, filter: Option<Predicate>) -> Result<Vec<DataFile>, Error> {
        let plan = table::plan(&self.0, filter).await.map_err(stored)?;
        if plan.needs_iceberg_reader {
            let name = self.0.table.identifier().name().to_owned();
            return Err(Error::new(
                Kind::Invalid,
                "unsupported_table",
                format!(
                    "The table {name} has deleted rows marked in delete files; compact it before reading it here."
                ),
            ));
        }
        table::verify_new(&plan.files).await.map_err(stored)?;
        let file = |file: table::DataFileRef| DataFile {
            path: file
                .path()
                .map_or_else(|| file.location.clone(), |path| path.to_string_lossy().into_owned()),
            size: file.size,
            team: file.team_id,
            rows: (file.record_count > 0).then_some(file.record_count),
        };
        Ok(plan.files.into_iter().map(file).collect())
    }

    async fn check(&self) -> Result<(), Error> {
        let plan = table::plan(&self.0, None).await.map_err(stored)?;
        plan.files.iter().try_for_each(|file| file.check().map_err(stored))
    }
}
