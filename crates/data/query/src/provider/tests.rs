use std::{fs::File, path::Path};

use arrow::array::{Int64Array, StringArray};
use datafusion::{
    catalog::{
        CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
        SchemaProvider,
    },
    execution::SessionStateBuilder,
    parquet::arrow::ArrowWriter,
    physical_plan::{collect, displayable},
    sql::parser::DFParser,
};
use iceberg::expr::Predicate;
use tempfile::TempDir;

use super::*;
use crate::{
    Error, Limits,
    catalog::{CATALOG, SCHEMA},
    session,
};

/// One file and one batch, both with rows of projects 1 and 2.
#[derive(Debug)]
struct Mixed {
    path: String,
    size: u64,
    batch: RecordBatch,
    team: Option<i64>,
}

#[async_trait]
impl Relation for Mixed {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    fn promoted(&self, _: &str, _: &str) -> Option<String> {
        None
    }

    fn tail(&self) -> Vec<RecordBatch> {
        vec![self.batch.clone()]
    }

    async fn files(&self, _: Option<Predicate>) -> std::result::Result<Vec<DataFile>, Error> {
        Ok(vec![DataFile { path: self.path.clone(), size: self.size, rows: Some(4), team: self.team }])
    }
}

/// A lake without tables of its own: the plans here are given theirs.
struct Dry;

#[async_trait]
impl crate::Lake for Dry {
    async fn pin(&self) -> std::result::Result<Arc<dyn crate::Snapshot>, Error> {
        Err(Error::invalid("there are no tables"))
    }
}

fn mixed(dir: &Path, team: Option<i64>) -> Mixed {
    let schema = Arc::new(Schema::new(vec![
        Field::new(TEAM, DataType::Int64, false),
        Field::new("event", DataType::Utf8, false),
        Field::new("properties", DataType::Utf8, false),
    ]));
    let columns: Vec<Arc<dyn Array>> = vec![
        Arc::new(Int64Array::from(vec![1, 2, 1, 2])),
        Arc::new(StringArray::from(vec!["7", "theirs", "8", "theirs"])),
        Arc::new(StringArray::from(vec!["{}"; 4])),
    ];
    let batch = RecordBatch::try_new(schema, columns).expect("a batch");
    let path = dir.join("mixed.parquet");
    let mut writer =
        ArrowWriter::try_new(File::create(&path).expect("a file"), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a file");
    let size = path.metadata().expect("a file").len();
    Mixed { path: path.to_string_lossy().into_owned(), size, batch, team }
}

async fn plan(
    relation: Mixed,
    sql: &str,
) -> (Arc<dyn ExecutionPlan>, String, Arc<datafusion::execution::TaskContext>) {
    let schema = datafusion::catalog::MemorySchemaProvider::new();
    schema.register_table("t".to_owned(), Arc::new(Rows::new(Arc::new(relation), 1))).expect("a table");
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(schema)).expect("a schema");
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    let base = session::base(&Limits { threads: 2, ..Limits::default() }, Arc::new(Dry)).expect("a session");
    let state = SessionStateBuilder::new_from_existing(base).with_catalog_list(Arc::new(list)).build();
    let statement = DFParser::parse_sql(sql).expect("SQL").pop_front().expect("a statement");
    let logical = state.statement_to_plan(statement).await.expect("a plan");
    let physical = state.create_physical_plan(&logical).await.expect("a plan");
    let shown = displayable(physical.as_ref()).indent(true).to_string();
    (physical, shown, state.task_ctx())
}

#[tokio::test]
async fn a_file_of_unknown_owner_is_filtered_before_anything_else() {
    let dir = TempDir::new().expect("a folder");
    let sql = "SELECT sum(CAST(event AS BIGINT)) FROM t WHERE CAST(event AS BIGINT) > 0";
    let (physical, shown, context) = plan(mixed(dir.path(), None), sql).await;
    assert!(shown.contains("Barrier"), "{shown}");
    let rows = collect(physical, context).await.expect("no row of project 2 is cast");
    let total = ScalarValue::try_from_array(rows[0].column(0), 0).expect("a sum");
    assert_eq!(total, ScalarValue::Int64(Some(30)));
}

#[tokio::test]
async fn a_wrongly_labelled_file_still_shows_no_rows_of_others() {
    let dir = TempDir::new().expect("a folder");
    let (physical, _, context) = plan(mixed(dir.path(), Some(1)), "SELECT count(*) FROM t").await;
    let rows = collect(physical, context).await.expect("rows");
    assert_eq!(
        ScalarValue::try_from_array(rows[0].column(0), 0).expect("a count"),
        ScalarValue::Int64(Some(4))
    );
    let (physical, _, context) = plan(mixed(dir.path(), Some(2)), "SELECT count(*) FROM t").await;
    let rows = collect(physical, context).await.expect("rows");
    assert_eq!(
        ScalarValue::try_from_array(rows[0].column(0), 0).expect("a count"),
        ScalarValue::Int64(Some(2))
    );
}

#[tokio::test]
async fn filters_reach_the_parquet_reader() {
    let dir = TempDir::new().expect("a folder");
    let (_, shown, _) = plan(mixed(dir.path(), Some(1)), "SELECT properties FROM t WHERE event = '7'").await;
    assert!(shown.contains("predicate=") && shown.contains("event@1 = 7"), "{shown}");
    assert!(shown.contains("pruning_predicate="), "{shown}");
}
