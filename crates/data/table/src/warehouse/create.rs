//! A declared table in the catalog: created, or found and checked.

use crate::catalog::{PRUNE_PROPERTY, TableCatalog};
use crate::error::kind_of;
use crate::schema::{Bound, COLUMNS_PROPERTY, Fit, NAMESPACE, TableDef};
use crate::{Error, Kind, Result};
use iceberg::spec::{Transform, Type};
use iceberg::table::Table;
use iceberg::transaction::{AddColumn, ApplyTransactionAction, Transaction};
use iceberg::{ErrorKind, NamespaceIdent, TableCreation, TableIdent};
use std::collections::HashMap;

/// Metadata files kept beside the current one.
const METADATA_KEPT: &str = "10";

/// Loads the table, creating it or adding its new columns first.
pub(super) async fn open_table(catalog: &dyn TableCatalog, def: &'static TableDef) -> Result<(Table, Bound)> {
    let failed = |error: iceberg::Error| {
        let text = format!("open table {NAMESPACE}.{}: {}", def.name, error.message());
        Error::new(kind_of(&error), text).from_source(error)
    };
    let namespace = NamespaceIdent::new(NAMESPACE.to_owned());
    let ident = TableIdent::new(namespace.clone(), def.name.to_owned());
    catalog.check_place(&ident).await.map_err(failed)?;
    let mut table = match catalog.load_table(&ident).await {
        Ok(table) => table,
        Err(error) if error.kind() == ErrorKind::TableNotFound => {
            let creation = creation(def)?;
            create(catalog, &namespace, creation).await.map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    if let Fit::Missing(from) = def.fit(table.metadata())? {
        table = add_columns(catalog, &table, def, from).await.map_err(failed)?;
    }
    check_partition(def, &table)?;
    match def.fit(table.metadata())? {
        Fit::Bound(bound) => Ok((table, *bound)),
        Fit::Missing(_) => Err(Error::new(Kind::Bug, format!("columns of {} were not added", def.name))),
    }
}

fn creation(def: &TableDef) -> Result<TableCreation> {
    let properties = HashMap::from([
        (COLUMNS_PROPERTY.to_owned(), def.columns.len().to_string()),
        (PRUNE_PROPERTY.to_owned(), "true".to_owned()),
        ("write.metadata.previous-versions-max".to_owned(), METADATA_KEPT.to_owned()),
        ("write.parquet.compression-codec".to_owned(), "zstd".to_owned()),
        ("comment".to_owned(), def.doc.to_owned()),
    ]);
    Ok(TableCreation::builder()
        .name(def.name.to_owned())
        .schema(def.iceberg_schema()?)
        .partition_spec(def.partition_spec()?)
        .sort_order(def.sort_order()?)
        .properties(properties)
        .build())
}

async fn create(
    catalog: &dyn TableCatalog,
    namespace: &NamespaceIdent,
    creation: TableCreation,
) -> iceberg::Result<Table> {
    if !catalog.namespace_exists(namespace).await? {
        catalog.check_unused(namespace).await?;
        catalog.create_namespace(namespace, HashMap::new()).await?;
    }
    catalog.create_table(namespace, creation).await
}

async fn add_columns(
    catalog: &dyn TableCatalog,
    table: &Table,
    def: &TableDef,
    from: usize,
) -> iceberg::Result<Table> {
    let transaction = Transaction::new(table);
    let mut action = transaction.update_schema();
    for column in def.columns[from..]
        .iter()
        .filter(|c| table.metadata().current_schema().field_by_name(c.name).is_none())
    {
        let kind = Type::Primitive(column.kind.iceberg());
        let added = AddColumn::builder().name(column.name).field_type(kind).doc(column.doc).build();
        action = action.add_column(added);
    }
    let transaction = action.apply(transaction)?;
    let count = def.columns.len().to_string();
    let action = transaction.update_table_properties().set(COLUMNS_PROPERTY.to_owned(), count);
    action.apply(transaction)?.commit(catalog).await
}

/// Files are written for one partition spec; a table somebody re-partitioned is refused, not guessed at.
fn check_partition(def: &TableDef, table: &Table) -> Result<()> {
    let schema = table.metadata().current_schema();
    let fields = table.metadata().default_partition_spec().fields();
    let source = |name: &str| schema.field_id_by_name(name);
    let expected = [(source("team_id"), Transform::Identity), (source(def.partition.day_of), Transform::Day)];
    let found = fields.iter().map(|field| (Some(field.source_id), field.transform));
    if found.eq(expected) {
        return Ok(());
    }
    let text = format!("table {NAMESPACE}.{} has another partition spec than this program writes", def.name);
    Err(Error::new(Kind::Invalid, text))
}
