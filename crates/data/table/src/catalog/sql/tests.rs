use super::*;
use crate::disk::local;
use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
use iceberg::transaction::{ApplyTransactionAction, Transaction};

fn embedded(folder: &Path) -> Result<SqlCatalog> {
    let objects = Objects::new(crate::objects::S3::default(), folder);
    SqlCatalog::embedded(folder, format!("file://{}/warehouse", folder.display()), objects)
}

fn name(text: &str) -> NamespaceIdent {
    NamespaceIdent::from_strs(text.split('.')).unwrap()
}

fn creation(table: &str) -> TableCreation {
    let field = NestedField::optional(1, "a", Type::Primitive(PrimitiveType::Long)).into();
    let schema = Schema::builder().with_fields([field]).build().unwrap();
    TableCreation::builder().name(table.to_owned()).schema(schema).build()
}

async fn set(catalog: &SqlCatalog, table: &Table, key: &str, value: &str) -> Result<Table> {
    let transaction = Transaction::new(table);
    let action = transaction.update_table_properties().set(key.to_owned(), value.to_owned());
    action.apply(transaction)?.commit(catalog).await
}

#[tokio::test]
async fn namespaces_and_tables_live_their_life() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = embedded(folder.path()).unwrap();
    let ns = name("a.b");
    assert_eq!(
        catalog.create_table(&ns, creation("t")).await.unwrap_err().kind(),
        ErrorKind::NamespaceNotFound
    );
    catalog.create_namespace(&ns, HashMap::from([("k".into(), "v".into())])).await.unwrap();
    let again = catalog.create_namespace(&ns, HashMap::new()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NamespaceAlreadyExists);
    assert_eq!(catalog.list_namespaces(None).await.unwrap(), [name("a")]);
    assert_eq!(catalog.list_namespaces(Some(&name("a"))).await.unwrap(), std::slice::from_ref(&ns));
    assert_eq!(catalog.list_namespaces(Some(&ns)).await.unwrap(), []);
    assert_eq!(catalog.get_namespace(&ns).await.unwrap().properties()["k"], "v");

    let table = catalog.create_table(&ns, creation("t")).await.unwrap();
    let twice = catalog.create_table(&ns, creation("t")).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::TableAlreadyExists);
    assert!(table.metadata().location().ends_with("/warehouse/a/b/t"));
    assert_eq!(catalog.list_tables(&ns).await.unwrap(), [table.identifier().clone()]);
    let moved = TableIdent::new(ns.clone(), "u".into());
    catalog.rename_table(table.identifier(), &moved).await.unwrap();
    assert!(!catalog.table_exists(table.identifier()).await.unwrap());
    let location = catalog.load_table(&moved).await.unwrap().metadata_location().unwrap().to_owned();
    assert_eq!(catalog.drop_namespace(&ns).await.unwrap_err().kind(), ErrorKind::PreconditionFailed);
    catalog.drop_table(&moved).await.unwrap();
    assert_eq!(catalog.load_table(&moved).await.unwrap_err().kind(), ErrorKind::TableNotFound);
    catalog.register_table(&moved, location.clone()).await.unwrap();
    catalog.purge_table(&moved).await.unwrap();
    assert!(!local(&location).unwrap().exists());
    catalog.drop_namespace(&ns).await.unwrap();
    assert!(!catalog.namespace_exists(&ns).await.unwrap());
}

#[tokio::test]
async fn two_programs_never_overwrite_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (embedded(folder.path()).unwrap(), embedded(folder.path()).unwrap());
    one.create_namespace(&name("n"), HashMap::new()).await.unwrap();
    let table = one.create_table(&name("n"), creation("t")).await.unwrap();
    let location = table.metadata_location().unwrap().to_owned();
    assert!(matches!(one.pointers.swap(table.identifier(), &location, "file:///x").await, Swap::Done));
    assert!(matches!(two.pointers.swap(table.identifier(), &location, "file:///y").await, Swap::Refused));
    assert_eq!(two.pointers.find(table.identifier()).await.unwrap().as_deref(), Some("file:///x"));
    assert!(matches!(two.pointers.swap(table.identifier(), "file:///x", &location).await, Swap::Done));
    // A stale table object is refreshed and the change applied on top.
    let newer = set(&two, &table, "by", "two").await.unwrap();
    let newest = set(&one, &table, "and", "one").await.unwrap();
    assert_ne!(newer.metadata_location(), newest.metadata_location());
    assert_eq!(newest.metadata().properties()["by"], "two");
    assert_eq!(newest.metadata().properties()["and"], "one");
}

#[tokio::test]
async fn old_metadata_files_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = embedded(folder.path()).unwrap();
    catalog.create_namespace(&name("n"), HashMap::new()).await.unwrap();
    let mut creation = creation("t");
    creation.properties.insert(PRUNE_PROPERTY.into(), "true".into());
    creation.properties.insert("write.metadata.previous-versions-max".into(), "3".into());
    let mut table = catalog.create_table(&name("n"), creation).await.unwrap();
    for number in 0..12 {
        table = set(&catalog, &table, "n", &number.to_string()).await.unwrap();
    }
    let files = std::fs::read_dir(folder.path().join("warehouse/n/t/metadata")).unwrap().count();
    assert_eq!(files, 4);
    assert_eq!(
        embedded(folder.path()).unwrap().load_table(table.identifier()).await.unwrap().metadata(),
        table.metadata()
    );
}

#[tokio::test]
async fn damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = embedded(folder.path()).unwrap();
    catalog.create_namespace(&name("n"), HashMap::new()).await.unwrap();
    let table = catalog.create_table(&name("n"), creation("t")).await.unwrap();
    let path = local(table.metadata_location().unwrap()).unwrap();
    for content in [&b"{\"format-version\": 2"[..], b"", b"\x1f\x8bnot gzip"] {
        std::fs::write(&path, content).unwrap();
        let error = embedded(folder.path()).unwrap().load_table(table.identifier()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataInvalid, "{error}");
        assert!(error.message().contains(path.to_str().unwrap()), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    let error = embedded(folder.path()).unwrap().load_table(table.identifier()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataInvalid);
    std::fs::write(folder.path().join("catalog.db"), b"this is no database, it is a text of some length")
        .unwrap();
    let _ = std::fs::remove_file(folder.path().join("catalog.db-wal"));
    let error = embedded(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataInvalid, "{error}");
    assert!(error.message().contains("catalog.db"));
}

/// Under a name that lost a bit a table would be missing, and be made anew, empty.
#[tokio::test]
async fn a_name_that_lost_a_bit_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = embedded(folder.path()).unwrap();
    catalog.create_namespace(&name("a"), HashMap::new()).await.unwrap();
    catalog.create_table(&name("a"), creation("sessions")).await.unwrap();
    drop(catalog);
    let path = folder.path().join("catalog.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(9).position(|part| part == b"asessions").expect("stored as it is");
    bytes[at + 1] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = embedded(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataInvalid, "{error}");
}
