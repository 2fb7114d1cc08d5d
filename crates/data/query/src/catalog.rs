//! The names one statement may use: the tables of the pinned state, the views, and a small
//! `information_schema` about both. Nothing else exists for SQL.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use datafusion::{
    catalog::{
        CatalogProvider, CatalogProviderList, MemTable, MemoryCatalogProvider, MemoryCatalogProviderList,
        MemorySchemaProvider, SchemaProvider, TableProvider,
    },
    common::TableReference,
    datasource::ViewTable,
    error::DataFusionError,
    execution::{SessionState, SessionStateBuilder},
    sql::parser::Statement,
};

use crate::{Error, Snapshot, error::translate, provider::Rows, sql, view};

/// Name of the only catalog.
pub(crate) const CATALOG: &str = "tenrec";
/// Name of the schema that holds tables and views.
pub(crate) const SCHEMA: &str = "tables";
const INFORMATION: &str = "information_schema";

/// Prepares `base` for one project and one statement: only what the statement names is opened.
pub(crate) struct Catalog<'a> {
    base: &'a SessionState,
    snapshot: &'a Arc<dyn Snapshot>,
    project: i64,
    names: &'a [String],
}

impl<'a> Catalog<'a> {
    pub(crate) fn new(
        base: &'a SessionState,
        snapshot: &'a Arc<dyn Snapshot>,
        project: i64,
        names: &'a [String],
    ) -> Self {
        Self { base, snapshot, project, names }
    }

    /// A session in which exactly the tables and views that `statement` names exist.
    pub(crate) async fn open(&self, statement: &Statement) -> Result<SessionState, Error> {
        let wanted = self.references(statement)?;
        let schema = MemorySchemaProvider::new();
        for name in wanted.iter().filter(|name| name.schema().is_none()) {
            if let Some(table) = self.table_or_view(name.table()).await? {
                self.put(&schema, name.table(), table)?;
            }
        }
        let information = MemorySchemaProvider::new();
        if wanted.iter().any(|name| name.schema() == Some(INFORMATION)) {
            self.describe(&information).await?;
        }
        self.session(schema, information)
    }

    fn references(&self, statement: &Statement) -> Result<Vec<TableReference>, Error> {
        self.base.resolve_table_references(statement).map_err(|error| translate(error, self.names))
    }

    fn put(
        &self,
        schema: &MemorySchemaProvider,
        name: &str,
        table: Arc<dyn TableProvider>,
    ) -> Result<(), Error> {
        if schema.table_exist(name) {
            return Ok(());
        }
        schema.register_table(name.to_owned(), table).map(drop).map_err(|error| translate(error, self.names))
    }

    fn session(
        &self,
        schema: MemorySchemaProvider,
        information: MemorySchemaProvider,
    ) -> Result<SessionState, Error> {
        let build = || -> Result<MemoryCatalogProviderList, DataFusionError> {
            let catalog = MemoryCatalogProvider::new();
            catalog.register_schema(SCHEMA, Arc::new(schema))?;
            catalog.register_schema(INFORMATION, Arc::new(information))?;
            let list = MemoryCatalogProviderList::new();
            list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
            Ok(list)
        };
        let list = build().map_err(|error| translate(error, self.names))?;
        Ok(SessionStateBuilder::new_from_existing(self.base.clone())
            .with_catalog_list(Arc::new(list))
            .build())
    }

    async fn table_or_view(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        match view::named(name) {
            Some(view) => self.view(view).await.map(Some),
            None => self.table(name).await,
        }
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, Error> {
        let found = self.snapshot.relation(name).await?;
        Ok(found.map(|relation| Arc::new(Rows::new(relation, self.project)) as Arc<dyn TableProvider>))
    }

    /// Plans a view over its tables; a view names tables only, so this does not recurse.
    async fn view(&self, view: &view::View) -> Result<Arc<dyn TableProvider>, Error> {
        let statement = Statement::Statement(Box::new(sql::view(view.text)?));
        let schema = MemorySchemaProvider::new();
        for name in self.references(&statement)? {
            if let Some(table) = self.table(name.table()).await? {
                self.put(&schema, name.table(), table)?;
            }
        }
        let session = self.session(schema, MemorySchemaProvider::new())?;
        let plan =
            session.statement_to_plan(statement).await.map_err(|error| translate(error, self.names))?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }

    /// All names a statement may use, tables first.
    pub(crate) fn all_names(names: &[String]) -> Vec<String> {
        let views = view::VIEWS.iter().map(|view| view.name.to_owned());
        let mut all: Vec<String> = names.iter().cloned().chain(views).collect();
        all.dedup();
        all
    }

    async fn describe(&self, information: &MemorySchemaProvider) -> Result<(), Error> {
        let mut tables = Vec::new();
        let mut columns = Vec::new();
        for name in self.names {
            let Some(table) = self.table_or_view(name).await? else { continue };
            let kind = if view::named(name).is_some() { "VIEW" } else { "BASE TABLE" };
            tables.push((name.clone(), kind));
            for (at, field) in table.schema().fields().iter().enumerate() {
                columns.push((name.clone(), field.as_ref().clone(), at as i64 + 1));
            }
        }
        let made = tables_of(&tables).and_then(|tables| Ok((tables, columns_of(&columns)?)));
        let (tables, columns) = made.map_err(|error| translate(error, self.names))?;
        self.put(information, "tables", tables)?;
        self.put(information, "columns", columns)
    }
}

fn text(values: impl Iterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn tables_of(tables: &[(String, &'static str)]) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let field = |name: &str| Field::new(name, DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![field("table_schema"), field("table_name"), field("table_type")]));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            text(tables.iter().map(|_| SCHEMA.to_owned())),
            text(tables.iter().map(|(name, _)| name.clone())),
            text(tables.iter().map(|(_, kind)| (*kind).to_owned())),
        ],
    )?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

fn columns_of(columns: &[(String, Field, i64)]) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    let field = |name: &str| Field::new(name, DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![
        field("table_schema"),
        field("table_name"),
        field("column_name"),
        Field::new("ordinal_position", DataType::Int64, false),
        field("data_type"),
        field("is_nullable"),
    ]));
    let nullable = |field: &Field| if field.is_nullable() { "YES" } else { "NO" };
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            text(columns.iter().map(|_| SCHEMA.to_owned())),
            text(columns.iter().map(|(table, ..)| table.clone())),
            text(columns.iter().map(|(_, field, _)| field.name().clone())),
            Arc::new(Int64Array::from_iter_values(columns.iter().map(|(.., at)| *at))),
            text(columns.iter().map(|(_, field, _)| crate::answer::type_name(field))),
            text(columns.iter().map(|(_, field, _)| nullable(field).to_owned())),
        ],
    )?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}
