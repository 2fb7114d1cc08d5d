use super::*;
use crate::care::now_ms;
use crate::warehouse::tests::{data_files, events, open, record, uuids};
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Literal, ManifestFile, ManifestListWriter,
    ManifestWriterBuilder, Struct,
};
use serde_json::{Value, json};
use std::collections::HashMap;

fn ident(namespace: &str, name: &str) -> TableIdent {
    TableIdent::new(NamespaceIdent::from_strs(namespace.split('/')).unwrap(), name.to_owned())
}

fn change(requirements: Value, updates: Value) -> Change {
    serde_json::from_value(json!({"requirements": requirements, "updates": updates})).unwrap()
}

fn new_table(name: &str, more: Value) -> NewTable {
    let fields = json!([{"id": 7, "name": "a", "type": "long", "required": false}]);
    let mut body = json!({"name": name, "schema": {"type": "struct", "schema-id": 0, "fields": fields}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(body).unwrap()
}

/// Three commits of two events each, and the current state of `events` as others see it.
async fn filled() -> (tempfile::TempDir, Arc<Warehouse>, Outside, TableIdent) {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    for offset in 0..3 {
        warehouse.append(offset, &record(offset * 2, 2)).unwrap();
        warehouse.commit(offset + 1).await.unwrap();
    }
    let outside = warehouse.outside();
    (folder, warehouse, outside, ident("tenrec", "events"))
}

/// A snapshot of another program on top of the current one, with its list of manifests, and `more` in it.
fn on_top(now: &TableMetadata, list: &str, more: Value) -> Change {
    let mut snapshot = json!({
        "snapshot-id": 77, "parent-snapshot-id": now.current_snapshot_id(), "timestamp-ms": now_ms(),
        "sequence-number": now.next_sequence_number(), "manifest-list": list, "schema-id": now.current_schema_id(),
        "summary": {"operation": "append"},
    });
    snapshot.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    change(
        json!([{"type": "assert-table-uuid", "uuid": now.uuid()}]),
        json!([
            {"action": "add-snapshot", "snapshot": snapshot},
            {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": snapshot["snapshot-id"]},
        ]),
    )
}

/// Writes one manifest with `file`, and a list of what the current snapshot has and this; gives the list.
async fn list_with(table: &Table, folder: &str, file: DataFile, deletes: bool) -> String {
    let metadata = table.metadata();
    let output = table.file_io().new_output(format!("{folder}/extra-m0.avro")).unwrap();
    let (schema, spec) =
        (metadata.current_schema().clone(), metadata.default_partition_spec().as_ref().clone());
    let builder = ManifestWriterBuilder::new(output, Some(77), schema, spec);
    let mut writer = if deletes { builder.build_v2_deletes() } else { builder.build_v2_data() };
    writer.add_file(file, -1).unwrap();
    let extra = writer.write_manifest_file().await.unwrap();
    let list = table.manifest_list_reader(metadata.current_snapshot().unwrap()).load().await.unwrap();
    let manifests: Vec<ManifestFile> = list.consume_entries().into_iter().chain([extra]).collect();
    let at = format!("{}/metadata/snap-77.avro", metadata.location());
    let output = table.file_io().new_output(&at).unwrap().writer().await.unwrap();
    let mut writer =
        ManifestListWriter::v2(output, 77, metadata.current_snapshot_id(), metadata.next_sequence_number());
    writer.add_manifests(manifests.into_iter()).unwrap();
    writer.close().await.unwrap();
    at
}

fn file(path: &str, bytes: u64, content: DataContentType) -> DataFile {
    let partition = Struct::from_iter([Some(Literal::long(3)), Some(Literal::int(20_000))]);
    DataFileBuilder::default()
        .content(content)
        .file_path(path.to_owned())
        .file_format(DataFileFormat::Parquet)
        .partition(partition)
        .record_count(1)
        .file_size_in_bytes(bytes)
        .build()
        .unwrap()
}

#[tokio::test]
async fn what_would_break_our_tables_is_refused() {
    let (_folder, warehouse, outside, ident) = filled().await;
    let before = outside.load(&ident).await.unwrap();
    let now = &before.metadata;
    let current = now.current_snapshot().unwrap();
    let first = now.history()[0].snapshot_id;
    let schema = serde_json::to_value(now.current_schema()).unwrap();
    let (mut fewer, mut more) = (schema.clone(), schema.clone());
    fewer["fields"].as_array_mut().unwrap().pop();
    more["fields"]
        .as_array_mut()
        .unwrap()
        .push(json!({"id": 999, "name": "x", "type": "long", "required": false}));
    let set = |key: &str, value: &str| json!([{"action": "set-properties", "updates": {key: value}}]);
    let field = json!({"source-id": 1, "field-id": 1002, "name": "x", "transform": "identity"});
    let order = json!({"order-id": 2, "fields": []});
    let cases = [
        (
            "columns",
            json!([{"action": "add-schema", "schema": fewer}, {"action": "set-current-schema", "schema-id": -1}]),
        ),
        (
            "columns",
            json!([{"action": "add-schema", "schema": more}, {"action": "set-current-schema", "schema-id": -1}]),
        ),
        ("partition", json!([{"action": "add-spec", "spec": {"fields": [field]}}])),
        (
            "partition",
            json!([{"action": "add-spec", "spec": {"fields": []}}, {"action": "set-default-spec", "spec-id": -1}]),
        ),
        (
            "sort order",
            json!([{"action": "add-sort-order", "sort-order": order}, {"action": "set-default-sort-order", "sort-order-id": -1}]),
        ),
        ("folder", json!([{"action": "set-location", "location": "file:///elsewhere"}])),
        ("identity", json!([{"action": "assign-uuid", "uuid": "0199f2a1-7a54-7b3c-9d2e-000000000001"}])),
        ("version", json!([{"action": "upgrade-format-version", "format-version": 3}])),
        ("tenrec.log-offset", set("tenrec.log-offset", "99")),
        ("tenrec.log-offset", json!([{"action": "remove-properties", "removals": ["tenrec.log-offset"]}])),
        ("tenrec.columns", set("tenrec.columns", "1")),
        (
            "write.metadata",
            json!([{"action": "remove-properties", "removals": ["write.metadata.delete-after-commit.enabled"]}]),
        ),
        ("write.data.path", set("write.data.path", "file:///elsewhere")),
        ("commit.retry", set("commit.retry.num-retries", "many")),
        ("encryption", set("encryption.key-id", "k")),
        ("", set("write.target-file-size-bytes", "large")),
        ("", json!([{"action": "remove-snapshots", "snapshot-ids": [current.snapshot_id()]}])),
        ("only moves forward", json!([{"action": "remove-snapshot-ref", "ref-name": "main"}])),
        (
            "only moves forward",
            json!([{"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": first}]),
        ),
    ];
    for (said, updates) in cases {
        let fault = outside.commit(&ident, change(json!([]), updates.clone())).await.unwrap_err();
        assert_eq!(fault.reason, Reason::Refused, "{updates}: {fault}");
        assert!(fault.text.contains(said), "{updates}: {fault}");
    }
    let moved = json!([{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": first}]);
    let fault = outside.commit(&ident, change(moved, set("owner", "me"))).await.unwrap_err();
    assert_eq!(fault.reason, Reason::Conflict);
    let after = outside.load(&ident).await.unwrap();
    assert_eq!(after.metadata_location, before.metadata_location, "nothing was changed");
    assert_eq!(events(&warehouse).await, uuids(0..6));
}

#[tokio::test]
async fn what_leaves_our_tables_whole_is_taken() {
    let (folder, warehouse, outside, ident) = filled().await;
    let now = outside.load(&ident).await.unwrap().metadata;
    let first = now.history()[0].snapshot_id;
    for updates in [
        json!([{"action": "set-properties", "updates": {"owner": "me", "write.delete.mode": "copy-on-write"}}]),
        json!([{"action": "remove-properties", "removals": ["owner"]}]),
        json!([{"action": "set-snapshot-ref", "ref-name": "kept", "type": "tag", "snapshot-id": first}]),
        json!([{"action": "set-snapshot-ref", "ref-name": "branch", "type": "branch", "snapshot-id": first}]),
        json!([{"action": "remove-snapshot-ref", "ref-name": "branch"}]),
    ] {
        outside.commit(&ident, change(json!([]), updates)).await.unwrap();
    }
    let list = now.current_snapshot().unwrap().manifest_list();
    let added = outside.commit(&ident, on_top(&now, list, json!({}))).await.unwrap();
    assert_eq!(added.metadata.current_snapshot_id(), Some(77));
    // The snapshot without an offset changes nothing about what is covered, now and after a start.
    assert_eq!(warehouse.committed("events").total(), 3);
    warehouse.append(3, &record(6, 2)).unwrap();
    warehouse.commit(4).await.unwrap();
    let reopened = open(folder.path()).await;
    assert_eq!((events(&reopened).await, reopened.committed("events").total()), (uuids(0..8), 4));
    // The tag was made behind the back of table care, which keeps its snapshot.
    let bare = crate::care::Expiry { keep: 1, grace: std::time::Duration::ZERO };
    warehouse.expire("events", &bare).await.unwrap();
    let left = outside.load(&ident).await.unwrap().metadata;
    assert_eq!(left.snapshot_for_ref("kept").map(|snapshot| snapshot.snapshot_id()), Some(first));
    assert_eq!((left.snapshots().len(), data_files(folder.path())), (2, 4));
    assert_eq!(events(&warehouse).await, uuids(0..8));
}

#[tokio::test]
async fn a_snapshot_is_read_before_it_is_taken() {
    let (folder, warehouse, outside, ident) = filled().await;
    let now = outside.load(&ident).await.unwrap().metadata;
    let list = now.current_snapshot().unwrap().manifest_list().to_owned();
    let older = now.snapshot_by_id(now.history()[0].snapshot_id).unwrap().manifest_list().to_owned();
    let metadata = format!("{}/metadata", now.location());
    std::fs::write(crate::catalog::local_path(&format!("{metadata}/noise.avro")).unwrap(), b"noise").unwrap();
    let (noise, missing) = (format!("{metadata}/noise.avro"), format!("{metadata}/missing.avro"));
    let summary = |key: &str, value: &str| json!({"summary": {"operation": "append", key: value}});
    let climbing = format!("{metadata}/../../persons/metadata/snap.avro");
    for (list, more, said) in [
        (list.as_str(), summary("tenrec.log-offset", "99"), "own commits only"),
        (&list, summary("total-records", "-1"), "no count"),
        (&list, summary("total-records", "18446744073709551615"), "no count"),
        (&list, json!({"timestamp-ms": now_ms() + 3_600_000}), "future"),
        (&list, json!({"key-id": "k"}), "encrypted"),
        (&older, json!({}), "leaves out"),
        (&noise, json!({}), "cannot be read"),
        (&missing, json!({}), "not there"),
        ("file:///etc/passwd", json!({}), "table's folder"),
        (&climbing, json!({}), "table's folder"),
    ] {
        let fault = outside.commit(&ident, on_top(&now, list, more.clone())).await.unwrap_err();
        assert_eq!(fault.reason, Reason::Refused, "{list} {more}: {fault}");
        assert!(fault.text.contains(said), "{list} {more}: {fault}");
    }
    let stale = json!({"parent-snapshot-id": now.history()[0].snapshot_id});
    let fault = outside.commit(&ident, on_top(&now, &list, stale)).await.unwrap_err();
    assert_eq!(fault.reason, Reason::Conflict, "{fault}");

    let (_, _, table) = warehouse.current("events").unwrap();
    let inside = format!("{}/data/new.parquet", now.location());
    std::fs::write(crate::catalog::local_path(&inside).unwrap(), b"12345").unwrap();
    let data = DataContentType::Data;
    for (file, folder, deletes, said) in [
        (file("file:///etc/passwd", 5, data), &metadata, false, "table's folder"),
        (file(&format!("{inside}.gone"), 5, data), &metadata, false, "not there"),
        (file(&inside, 6, data), &metadata, false, "another size"),
        (file(&inside, 5, DataContentType::PositionDeletes), &metadata, true, "delete files"),
        (file(&inside, 5, data), &format!("{}/../persons", now.location()), false, "table's folder"),
    ] {
        let list = list_with(&table, folder, file, deletes).await;
        let fault = outside.commit(&ident, on_top(&now, &list, json!({}))).await.unwrap_err();
        assert_eq!(fault.reason, Reason::Refused, "{said}: {fault}");
        assert!(fault.text.contains(said), "{said}: {fault}");
    }
    let list = list_with(&table, &metadata, file(&inside, 5, data), false).await;
    outside.commit(&ident, on_top(&now, &list, json!({}))).await.unwrap();
    warehouse.append(3, &record(6, 2)).unwrap();
    warehouse.commit(4).await.unwrap();
    assert_eq!(open(folder.path()).await.committed("events").total(), 4);
}

#[tokio::test]
async fn a_lost_answer_is_unclear_and_a_failed_write_is_not() {
    use crate::catalog::fault::Fault as Ordered;
    let (_folder, warehouse, outside, ident) = filled().await;
    let set = |value: &str| change(json!([]), json!([{"action": "set-properties", "updates": {"n": value}}]));
    warehouse.catalog.faults().order(Ordered::BeforeSwap);
    assert_eq!(outside.commit(&ident, set("1")).await.unwrap_err().reason, Reason::Busy);
    warehouse.catalog.faults().order(Ordered::AfterSwap);
    assert_eq!(outside.commit(&ident, set("2")).await.unwrap_err().reason, Reason::Unclear);
    assert_eq!(outside.load(&ident).await.unwrap().metadata.properties()["n"], "2");
    warehouse.append(3, &record(6, 2)).unwrap();
    warehouse.commit(4).await.unwrap();
    let now = outside.load(&ident).await.unwrap();
    assert_eq!(now.metadata.properties()["n"], "2");
    assert_eq!(events(&warehouse).await, uuids(0..8));
}

#[tokio::test]
async fn changes_of_others_and_commits_of_the_pump_take_turns() {
    let (folder, warehouse, outside, ident) = filled().await;
    let tagging = async {
        for number in 0..10 {
            let set = json!([{"action": "set-properties", "updates": {format!("n{number}"): "1"}}]);
            outside.commit(&ident, change(json!([]), set)).await.unwrap();
        }
    };
    let committing = async {
        for offset in 3..13 {
            warehouse.append(offset, &record(offset * 2, 2)).unwrap();
            warehouse.commit(offset + 1).await.unwrap();
        }
    };
    tokio::join!(tagging, committing);
    let now = outside.load(&ident).await.unwrap().metadata;
    assert_eq!((0..10).filter(|n| now.properties().contains_key(&format!("n{n}"))).count(), 10);
    let reopened = open(folder.path()).await;
    assert_eq!((events(&reopened).await, reopened.committed("events").total()), (uuids(0..26), 13));
}

#[tokio::test]
async fn tables_of_others_live_their_life_beside_ours() {
    let (folder, warehouse, outside, _) = filled().await;
    let lab = NamespaceIdent::new("lab".into());
    assert_eq!(
        outside.create(&lab, new_table("t", json!({}))).await.unwrap_err().reason,
        Reason::NoNamespace
    );
    outside.create_namespace(&lab, HashMap::new()).await.unwrap();
    assert_eq!(outside.create_namespace(&lab, HashMap::new()).await.unwrap_err().reason, Reason::Exists);
    let t = ident("lab", "t");
    let made =
        outside.create(&lab, new_table("t", json!({"properties": {"format-version": "2"}}))).await.unwrap();
    assert_eq!(made.metadata.current_schema().as_struct().fields()[0].id, 1, "ids are given here");
    assert_eq!(outside.create(&lab, new_table("t", json!({}))).await.unwrap_err().reason, Reason::Exists);
    let elsewhere = new_table("u", json!({"location": "file:///tmp"}));
    assert_eq!(outside.create(&lab, elsewhere).await.unwrap_err().reason, Reason::Refused);
    let set = |key: &str| change(json!([]), json!([{"action": "set-properties", "updates": {key: "1"}}]));
    assert_eq!(outside.commit(&t, set("a")).await.unwrap().metadata.properties()["a"], "1");
    let away = change(json!([]), json!([{"action": "set-location", "location": "file:///tmp"}]));
    assert_eq!(outside.commit(&t, away).await.unwrap_err().reason, Reason::Refused);
    // Two programs at once: each change is on top of the other's.
    let (one, two) = tokio::join!(outside.commit(&t, set("one")), outside.commit(&t, set("two")));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(outside.load(&t).await.unwrap().metadata.properties().len(), 3);

    let u = ident("lab", "u");
    outside.rename(&t, &u).await.unwrap();
    assert_eq!(outside.load(&t).await.unwrap_err().reason, Reason::NoTable);
    let again = outside.create(&lab, new_table("t", json!({}))).await.unwrap();
    assert_ne!(again.metadata.location(), made.metadata.location(), "no two tables share a folder");
    assert_eq!(outside.rename(&u, &t).await.unwrap_err().reason, Reason::Exists);
    assert_eq!(outside.drop_namespace(&lab).await.unwrap_err().reason, Reason::NotEmpty);

    let at = outside.load(&u).await.unwrap().metadata_location.unwrap();
    assert_eq!(outside.register(&ident("lab", "v"), &at).await.unwrap_err().reason, Reason::Exists);
    outside.drop_table(&u, false).await.unwrap();
    outside.register(&ident("lab", "v"), &at).await.unwrap();
    let place = crate::catalog::local_path(made.metadata.location()).unwrap();
    assert!(place.exists());
    outside.drop_table(&ident("lab", "v"), true).await.unwrap();
    assert!(!place.exists());
    outside.drop_table(&t, true).await.unwrap();
    outside.drop_namespace(&lab).await.unwrap();
    assert_eq!(outside.namespaces(None).await.unwrap(), [NamespaceIdent::new("tenrec".into())]);
    assert_eq!(events(&*open(folder.path()).await).await, events(&warehouse).await);
}

#[tokio::test]
async fn a_prepared_table_is_made_by_its_first_commit() {
    let (_folder, _warehouse, outside, _) = filled().await;
    let lab = NamespaceIdent::new("lab".into());
    outside.create_namespace(&lab, HashMap::new()).await.unwrap();
    let staged = outside.create(&lab, new_table("t", json!({"stage-create": true}))).await.unwrap();
    assert_eq!(
        (staged.metadata_location.as_deref(), outside.has_table(&ident("lab", "t")).await.unwrap()),
        (None, false)
    );
    let updates = |at: &str, id: i32| {
        let fields = json!([{"id": id, "name": "a", "type": "long", "required": false}]);
        json!([
            {"action": "assign-uuid", "uuid": staged.metadata.uuid()},
            {"action": "upgrade-format-version", "format-version": 2},
            {"action": "add-schema", "schema": {"type": "struct", "schema-id": 0, "fields": fields}},
            {"action": "set-current-schema", "schema-id": -1},
            {"action": "add-spec", "spec": {"spec-id": 0, "fields": []}},
            {"action": "set-default-spec", "spec-id": -1},
            {"action": "add-sort-order", "sort-order": {"order-id": 0, "fields": []}},
            {"action": "set-default-sort-order", "sort-order-id": -1},
            {"action": "set-location", "location": at},
            {"action": "set-properties", "updates": {"owner": "me"}},
        ])
    };
    let create = || json!([{"type": "assert-create"}]);
    let at = staged.metadata.location();
    for (at, id) in [(at, 7), ("file:///tmp/t", 1)] {
        let fault = outside.commit(&ident("lab", "t"), change(create(), updates(at, id))).await.unwrap_err();
        assert_eq!(fault.reason, Reason::Refused, "{fault}");
    }
    let made = outside.commit(&ident("lab", "t"), change(create(), updates(at, 1))).await.unwrap();
    assert_eq!((made.metadata.uuid(), made.metadata.location()), (staged.metadata.uuid(), at));
    assert_eq!(made.metadata.properties()["owner"], "me");
    let again = outside.commit(&ident("lab", "t"), change(create(), updates(at, 1))).await.unwrap_err();
    assert_eq!(again.reason, Reason::Exists);
}

#[tokio::test]
async fn what_is_ours_is_left_to_us() {
    let (folder, warehouse, outside, events_ident) = filled().await;
    let own = NamespaceIdent::new("tenrec".into());
    let at = outside.load(&events_ident).await.unwrap().metadata_location.unwrap();
    outside.create_namespace(&NamespaceIdent::new("lab".into()), HashMap::new()).await.unwrap();
    let reasons = [
        outside.create(&own, new_table("t", json!({}))).await.unwrap_err().reason,
        outside.drop_table(&events_ident, false).await.unwrap_err().reason,
        outside.drop_table(&events_ident, true).await.unwrap_err().reason,
        outside.rename(&events_ident, &ident("lab", "t")).await.unwrap_err().reason,
        outside.drop_namespace(&own).await.unwrap_err().reason,
        outside
            .update_namespace(&own, &[], HashMap::from([("a".into(), "b".into())]))
            .await
            .unwrap_err()
            .reason,
        outside
            .create_namespace(&NamespaceIdent::new("session_replay".into()), HashMap::new())
            .await
            .unwrap_err()
            .reason,
    ];
    assert_eq!(reasons, [Reason::Reserved; 7]);
    let fault = outside.register(&ident("lab", "mine"), &at).await.unwrap_err();
    assert_eq!(fault.reason, Reason::Refused, "{fault}");
    // A table that somebody put among ours with the catalog's file at hand is only read.
    let schema = warehouse.current("events").unwrap().2.metadata().current_schema().as_ref().clone();
    let creation = iceberg::TableCreation::builder().name("theirs".to_owned()).schema(schema).build();
    warehouse.catalog.create_table(&own, creation).await.unwrap();
    let theirs = ident("tenrec", "theirs");
    assert!(outside.load(&theirs).await.is_ok());
    let set = change(json!([]), json!([{"action": "set-properties", "updates": {"a": "1"}}]));
    assert_eq!(outside.commit(&theirs, set.clone()).await.unwrap_err().reason, Reason::Reserved);
    let nothing = outside.commit(&ident("tenrec", "nothing"), set).await.unwrap_err();
    assert_eq!(nothing.reason, Reason::NoTable);
    assert_eq!(events(&*open(folder.path()).await).await, uuids(0..6));
}
