//! A table that another program made in the same namespace.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Float64Array, RecordBatch, StringArray},
    datatypes::Schema as ArrowSchema,
};
use iceberg::{
    NamespaceIdent, TableCreation,
    arrow::schema_to_arrow_schema,
    spec::{DataFileFormat, NestedField, PrimitiveType, Schema, Type},
    transaction::{ApplyTransactionAction, Transaction},
    writer::{
        IcebergWriter, IcebergWriterBuilder,
        base_writer::data_file_writer::DataFileWriterBuilder,
        file_writer::{
            ParquetWriterBuilder,
            location_generator::{DefaultFileNameGenerator, DefaultLocationGenerator},
            rolling_writer::RollingFileWriterBuilder,
        },
    },
};
use parquet::file::properties::WriterProperties;
use table::Warehouse;

const COLUMNS: [(&str, PrimitiveType); 6] = [
    ("machine_id", PrimitiveType::String),
    ("org_id", PrimitiveType::String),
    ("metric_type", PrimitiveType::String),
    ("time_to_ready_ms", PrimitiveType::Double),
    ("cpu_percent", PrimitiveType::Double),
    ("memory_percent", PrimitiveType::Double),
];

/// `machine_metrics` as the sync of seed 001 would fill it.
pub async fn machine_metrics(warehouse: &Warehouse) {
    let catalog = warehouse.catalog();
    let fields = COLUMNS.iter().enumerate().map(|(at, (name, kind))| {
        NestedField::optional(at as i32 + 1, *name, Type::Primitive(kind.clone())).into()
    });
    let schema = Schema::builder().with_fields(fields).build().expect("a schema");
    let creation = TableCreation::builder().name("machine_metrics".to_owned()).schema(schema).build();
    let namespace = NamespaceIdent::new(table::schema::NAMESPACE.to_owned());
    let table = catalog.create_table(&namespace, creation).await.expect("a table");
    let metadata = table.metadata();
    let arrow = schema_to_arrow_schema(metadata.current_schema()).expect("an Arrow schema");
    let rolling = RollingFileWriterBuilder::new_with_default_file_size(
        ParquetWriterBuilder::new(WriterProperties::default(), metadata.current_schema().clone()),
        table.file_io().clone(),
        DefaultLocationGenerator::new(metadata).expect("a location"),
        DefaultFileNameGenerator::new("part".to_owned(), None, DataFileFormat::Parquet),
    );
    let mut writer = DataFileWriterBuilder::new(rolling).build(None).await.expect("a writer");
    writer.write(rows(arrow)).await.expect("rows are written");
    let files = writer.close().await.expect("a file");
    let transaction = Transaction::new(&table);
    let action = transaction.fast_append().add_data_files(files).set_snapshot_properties(HashMap::new());
    let transaction = action.apply(transaction).expect("an append");
    transaction.commit(catalog.as_ref()).await.expect("a commit");
}

fn rows(schema: ArrowSchema) -> RecordBatch {
    let text = |values: [Option<&str>; 4]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let number = |values: [Option<f64>; 4]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let columns = vec![
        text([Some("m-1"), Some("m-2"), Some("m-1"), Some("m-2")]),
        text([Some("org-a"), Some("org-b"), Some("org-a"), Some("org-b")]),
        text([Some("startup"), Some("startup"), Some("resource"), Some("resource")]),
        number([Some(12_000.0), Some(75_000.0), None, None]),
        number([None, None, Some(95.0), Some(40.0)]),
        number([None, None, Some(50.0), Some(99.0)]),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).expect("a batch")
}
