use super::*;
use crate::catalog::fault::Fault;
use crate::plan::plan;
use crate::row::tests::{event, object, one_of_each};
use arrow::array::AsArray;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) async fn open(folder: &Path) -> Arc<Warehouse> {
    Arc::new(Warehouse::open(Settings::at(folder.to_owned())).await.unwrap())
}

pub(crate) fn record(first: u64, count: u64) -> Rows {
    let mut rows = Rows::new(ProjectId(3), Timestamp::from_second(1_763_600_000).unwrap());
    rows.events = (first..first + count).map(event).collect();
    rows
}

/// Uuids of all rows of `events` a reader of `view` finds, sorted: snapshot through Iceberg, then tail.
pub(crate) async fn read(view: &View, table: &str, column: &str) -> Vec<String> {
    let view = view.table(table).await.unwrap();
    let stream = view.table.scan().select([column]).build().unwrap().to_arrow().await.unwrap();
    let mut batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
    batches.extend(view.tail.iter().cloned());
    let mut found = Vec::new();
    for batch in batches {
        let column = batch.column_by_name(column).unwrap().as_string::<i32>().clone();
        found.extend(column.iter().map(|text| text.unwrap().to_owned()));
    }
    found.sort();
    found
}

pub(crate) fn uuids(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|number| event(number).uuid.to_string()).collect()
}

pub(crate) async fn events(warehouse: &Warehouse) -> Vec<String> {
    read(&warehouse.view().unwrap(), "events", "uuid").await
}

pub(crate) fn data_files(folder: &Path) -> usize {
    let mut count = 0;
    let mut folders = vec![folder.join("warehouse")];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().map(Result::unwrap) {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => count += usize::from(path.extension().is_some_and(|ext| ext == "parquet")),
            }
        }
    }
    count
}

#[tokio::test]
async fn what_is_appended_while_a_view_is_held_becomes_visible_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    warehouse.append(1, &record(0, 2)).unwrap();
    let held = warehouse.hold().unwrap();
    for piece in 1..3 {
        warehouse.append(2, &record(2 * piece, 2)).unwrap();
        assert_eq!(events(&warehouse).await, uuids(0..2));
    }
    assert_eq!(warehouse.stats().tail_rows(), 6);
    drop(held);
    assert_eq!(events(&warehouse).await, uuids(0..6));
}

#[tokio::test]
async fn rows_are_visible_committed_and_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    assert_eq!(warehouse.commit(5).await.unwrap(), crate::Summary::default());
    warehouse.append(10, &one_of_each(Timestamp::from_second(1_763_600_000).unwrap())).unwrap();
    warehouse.append(11, &record(1, 4)).unwrap();
    assert_eq!(events(&warehouse).await, uuids(0..5));
    assert_eq!(warehouse.stats().tail_rows(), 12);
    assert!(warehouse.tail_bytes() > 1000);
    let summary = warehouse.commit(12).await.unwrap();
    assert_eq!((summary.rows(), summary.tables.len()), (12, 8));
    assert_eq!(events(&warehouse).await, uuids(0..5));
    assert_eq!((warehouse.stats().tail_rows(), warehouse.tail_bytes()), (0, 0));
    drop(warehouse);

    let warehouse = open(folder.path()).await;
    assert_eq!(events(&warehouse).await, uuids(0..5));
    for def in TABLES {
        assert_eq!(warehouse.committed(def.name).total(), 12, "{}", def.name);
    }
    let view = warehouse.view().unwrap();
    assert_eq!(read(&view, "person_distinct_ids", "distinct_id").await, ["ann"]);
    let own = view.own("events").unwrap();
    assert_eq!(
        own.table.metadata().current_snapshot().unwrap().summary().additional_properties["tenrec.log-offset"],
        "12"
    );
    assert_eq!(view.table("nothing").await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn files_are_sorted_partitioned_and_prunable() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    let day = jiff::SignedDuration::from_hours(24);
    for (offset, project) in [(0, 1), (1, 2)] {
        let mut rows = record(0, 6);
        rows.project = ProjectId(project);
        for (number, row) in rows.events.iter_mut().enumerate() {
            row.event = ["b", "a", "c"][number % 3].to_owned();
            row.timestamp -= day * (number as i32 % 2);
        }
        warehouse.append(offset, &rows).unwrap();
    }
    warehouse.commit(2).await.unwrap();
    let view = warehouse.view().unwrap();
    let own = view.own("events").unwrap();
    let planned = plan(own, None).await.unwrap();
    assert!(!planned.needs_iceberg_reader);
    let mut places: Vec<_> = planned.files.iter().map(|f| (f.team_id, f.day, f.record_count)).collect();
    places.sort();
    let today = (1_763_600_000_000_000_i64 / DAY) as i32;
    let expected = [1, 2].map(|team| [today - 1, today].map(|day| (Some(team), Some(day), 3)));
    assert_eq!(places, expected.concat());
    for file in &planned.files {
        file.check().unwrap();
        assert_eq!(std::fs::metadata(file.path().unwrap()).unwrap().len(), file.size);
        let reader = std::fs::File::open(file.path().unwrap()).unwrap();
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(reader).unwrap();
        assert_eq!(reader.metadata().num_row_groups(), 1);
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        let names: Vec<_> = batch
            .column_by_name("event")
            .unwrap()
            .as_string::<i32>()
            .iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        assert!(names.is_sorted(), "{names:?}");
    }
    use iceberg::expr::Reference;
    use iceberg::spec::Datum;
    let filters = [
        (Reference::new("team_id").equal_to(Datum::long(2)), 2),
        (Reference::new("team_id").equal_to(Datum::long(9)), 0),
        (Reference::new("timestamp").less_than(Datum::timestamptz_micros(i64::from(today) * DAY)), 2),
        (Reference::new("event").equal_to(Datum::string("zzz")), 0),
        (Reference::new("p_browser").equal_to(Datum::string("Chrome")), 4),
    ];
    for (filter, files) in filters {
        assert_eq!(plan(own, Some(filter.clone())).await.unwrap().files.len(), files, "{filter}");
    }
    let wrong = plan(own, Some(Reference::new("no_such").equal_to(Datum::long(2)))).await;
    assert_eq!(wrong.unwrap_err().kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_replay_adds_nothing_that_is_committed() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    warehouse.append(0, &record(0, 3)).unwrap();
    warehouse.append(1, &record(3, 3)).unwrap();
    warehouse.commit(2).await.unwrap();
    drop(warehouse);
    let warehouse = open(folder.path()).await;
    let mut with_warning = record(0, 3);
    with_warning.warnings.push(event::Warning::new("late"));
    warehouse.append(0, &with_warning).unwrap();
    warehouse.append(1, &record(3, 3)).unwrap();
    warehouse.append(2, &record(6, 3)).unwrap();
    assert_eq!(events(&warehouse).await, uuids(0..9));
    // The other table never covered offset 0, so its row counts.
    assert_eq!(read(&warehouse.view().unwrap(), "ingestion_warnings", "type").await, ["late"]);
    warehouse.commit(3).await.unwrap();
    assert_eq!(events(&warehouse).await, uuids(0..9));
    let too_low = warehouse.append(7, &record(9, 1)).and(warehouse.commit(7).await.map(drop));
    assert_eq!(too_low.unwrap_err().kind(), Kind::Invalid);
    assert_eq!(events(&warehouse).await, uuids(0..10));
}

#[tokio::test]
async fn a_crash_before_the_swap_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    warehouse.append(0, &record(0, 3)).unwrap();
    warehouse.commit(1).await.unwrap();
    warehouse.append(1, &record(3, 3)).unwrap();
    warehouse.catalog.faults().order(Fault::BeforeSwap);
    assert_eq!(warehouse.commit(2).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(events(&warehouse).await, uuids(0..6), "the tail is as it was");
    assert_eq!(data_files(folder.path()), 1, "the files of the failed commit are gone");
    assert_eq!(warehouse.committed("events").total(), 1);
    // Another process after a crash sees the first commit only, and replays.
    let other = open(folder.path()).await;
    assert_eq!(events(&other).await, uuids(0..3));
    drop(other);
    warehouse.append(2, &record(6, 1)).unwrap();
    warehouse.commit(3).await.unwrap();
    assert_eq!(events(&warehouse).await, uuids(0..7));
    assert_eq!(events(&*open(folder.path()).await).await, uuids(0..7));
}

#[tokio::test]
async fn a_lost_answer_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    warehouse.append(0, &record(0, 3)).unwrap();
    warehouse.catalog.faults().order(Fault::AfterSwap);
    warehouse.commit(1).await.unwrap();
    assert_eq!(events(&warehouse).await, uuids(0..3));
    assert_eq!((warehouse.committed("events").total(), warehouse.stats().tail_rows()), (1, 0));
}

#[tokio::test]
async fn an_abandoned_commit_is_settled_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    warehouse.append(0, &record(0, 3)).unwrap();
    {
        let commit = std::pin::pin!(warehouse.commit(1));
        assert!(futures::poll!(commit).is_pending());
    }
    assert_eq!(events(&warehouse).await, uuids(0..3));
    warehouse.append(1, &record(3, 3)).unwrap();
    assert_eq!(events(&warehouse).await, uuids(0..6));
    warehouse.commit(2).await.unwrap();
    assert_eq!(events(&warehouse).await, uuids(0..6));
    assert_eq!(events(&*open(folder.path()).await).await, uuids(0..6));
}

#[tokio::test]
async fn another_writer_in_between_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (warehouse, other) = (open(folder.path()).await, open(folder.path()).await);
    other.append(0, &record(0, 2)).unwrap();
    other.commit(1).await.unwrap();
    warehouse.append(5, &record(2, 2)).unwrap();
    // The table covers more of the log than was known: what is to be appended is looked at again first.
    assert_eq!(warehouse.commit(6).await.unwrap_err().kind(), Kind::Conflict);
    warehouse.commit(6).await.unwrap();
    assert_eq!(events(&warehouse).await, uuids(0..4));
    other.refresh().await.unwrap();
    assert_eq!(events(&other).await, uuids(0..4));
    assert_eq!(other.committed("events").total(), 6);
}

#[tokio::test]
async fn the_later_copy_of_a_fresh_duplicate_wins() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    warehouse.append(0, &record(0, 3)).unwrap();
    let mut later = event(1);
    later.properties = object(json!({"$browser": "Firefox"})).into();
    assert!(warehouse.replace_event(1, ProjectId(3), &later).unwrap());
    assert!(!warehouse.replace_event(1, ProjectId(4), &later).unwrap(), "another project");
    let mut renamed = later.clone();
    renamed.event = "other".into();
    assert!(!warehouse.replace_event(1, ProjectId(3), &renamed).unwrap(), "another name");
    assert_eq!(events(&warehouse).await, uuids(0..3));
    warehouse.commit(2).await.unwrap();
    assert!(!warehouse.replace_event(2, ProjectId(3), &later).unwrap(), "already committed");
    let browsers = read(&warehouse.view().unwrap(), "events", "p_browser").await;
    assert_eq!(browsers, ["Chrome", "Chrome", "Firefox"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_every_row_once_while_commits_run() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (warehouse, done) = (warehouse.clone(), done.clone());
        async move {
            let (mut reads, mut most) = (0, 0);
            while !done.load(Ordering::Acquire) {
                let found = events(&warehouse).await;
                assert!(found.len() >= most, "rows disappeared");
                assert_eq!(found, uuids(0..found.len() as u64), "a row twice or missing");
                most = found.len();
                reads += 1;
            }
            reads
        }
    });
    for round in 0..12 {
        for part in 0..4 {
            warehouse.append(round * 4 + part, &record((round * 4 + part) * 5, 5)).unwrap();
        }
        if round % 3 == 1 {
            warehouse.catalog.faults().order(if round % 2 == 0 {
                Fault::BeforeSwap
            } else {
                Fault::AfterSwap
            });
        }
        let _ = warehouse.commit(round * 4 + 4).await;
    }
    warehouse.commit(48).await.unwrap();
    done.store(true, Ordering::Release);
    assert!(reader.await.unwrap() > 3);
    assert_eq!(events(&warehouse).await, uuids(0..240));
}

#[tokio::test]
async fn damaged_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    warehouse.append(0, &record(0, 3)).unwrap();
    warehouse.commit(1).await.unwrap();
    let view = warehouse.view().unwrap();
    let planned = plan(view.own("events").unwrap(), None).await.unwrap();
    let data = planned.files[0].path().unwrap();
    let content = std::fs::read(&data).unwrap();
    for damaged in
        [Some(&content[..content.len() - 1]), Some(&[&content[..content.len() - 1], b"x"].concat()), None]
    {
        match damaged {
            Some(bytes) => std::fs::write(&data, bytes).unwrap(),
            None => std::fs::remove_file(&data).unwrap(),
        }
        let error = planned.files[0].check().unwrap_err();
        assert_eq!(error.kind(), Kind::Corrupt);
        assert!(error.context().contains(data.to_str().unwrap()));
    }
    let metadata = folder.path().join("warehouse/tenrec/events/metadata");
    for prefix in ["snap-", ""] {
        let files = std::fs::read_dir(&metadata).unwrap().map(|entry| entry.unwrap().path());
        let found = files.into_iter().find(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(".avro") && name.starts_with("snap-") != prefix.is_empty()
        });
        let path = found.unwrap();
        let content = std::fs::read(&path).unwrap();
        for damaged in [&content[..content.len() / 2], b""] {
            std::fs::write(&path, damaged).unwrap();
            let fresh = open(folder.path()).await;
            let error = plan(fresh.view().unwrap().own("events").unwrap(), None).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Corrupt, "{error}");
            assert!(error.context().contains(path.to_str().unwrap()), "{error}");
        }
        std::fs::write(&path, content).unwrap();
    }
}

#[tokio::test]
async fn tables_of_others_are_seen() {
    use iceberg::spec::{NestedField, PrimitiveType, Schema, Type};
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    let view = warehouse.view().unwrap();
    let field = NestedField::optional(1, "machine", Type::Primitive(PrimitiveType::String)).into();
    let schema = Schema::builder().with_fields([field]).build().unwrap();
    let creation =
        iceberg::TableCreation::builder().name("machine_metrics".to_owned()).schema(schema).build();
    let namespace = NamespaceIdent::new(NAMESPACE.to_owned());
    let dir = folder.path().canonicalize().unwrap();
    let other = crate::catalog::SqlCatalog::embedded(
        &dir,
        format!("file://{}/warehouse", dir.display()),
        warehouse.objects(),
    )
    .unwrap();
    iceberg::Catalog::create_table(&other, &namespace, creation).await.unwrap();
    assert!(view.names().await.unwrap().contains(&"machine_metrics".to_owned()));
    let table = view.table("machine_metrics").await.unwrap();
    assert_eq!(
        (table.schema.field(0).name().as_str(), table.tail.len(), table.def.is_none()),
        ("machine", 0, true)
    );
    assert!(plan(&table, None).await.unwrap().files.is_empty());
}

#[tokio::test]
async fn an_older_table_gains_columns_and_a_newer_one_is_refused() {
    use crate::schema::{COLUMNS_PROPERTY, EVENTS};
    use iceberg::transaction::{ApplyTransactionAction, Transaction};
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    let catalog = warehouse.catalog();
    warehouse.append(0, &record(0, 2)).unwrap();
    warehouse.commit(1).await.unwrap();
    let table = warehouse.view().unwrap().own("events").unwrap().table.clone();
    let transaction = Transaction::new(&table);
    let action =
        transaction.update_schema().delete_column("p_feature_flag").delete_column("p_feature_flag_response");
    let transaction = action.apply(transaction).unwrap();
    let action = transaction.update_table_properties().set(COLUMNS_PROPERTY.to_owned(), "51".to_owned());
    action.apply(transaction).unwrap().commit(catalog.as_ref()).await.unwrap();
    drop(warehouse);

    let warehouse = open(folder.path()).await;
    warehouse.append(1, &record(2, 2)).unwrap();
    warehouse.commit(2).await.unwrap();
    assert_eq!(events(&warehouse).await, uuids(0..4));
    let table = warehouse.view().unwrap().own("events").unwrap().table.clone();
    assert_eq!(table.metadata().properties()[COLUMNS_PROPERTY], EVENTS.columns.len().to_string());
    let transaction = Transaction::new(&table);
    let action = transaction.update_table_properties().set(COLUMNS_PROPERTY.to_owned(), "99".to_owned());
    action.apply(transaction).unwrap().commit(catalog.as_ref()).await.unwrap();
    let refused = Warehouse::open(Settings::at(folder.path().to_owned())).await;
    assert_eq!(refused.err().map(|error| error.kind()), Some(Kind::Invalid));
}

#[tokio::test]
async fn old_snapshots_expire_and_every_row_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut warehouse = open(folder.path()).await;
    Arc::get_mut(&mut warehouse).unwrap().grace_ms = 0;
    for offset in 0..30 {
        warehouse.append(offset, &record(offset, 1)).unwrap();
        warehouse.commit(offset + 1).await.unwrap();
    }
    let view = warehouse.view().unwrap();
    let metadata = view.own("events").unwrap().table.metadata().clone();
    let count = metadata.snapshots().len();
    assert!((4..=8).contains(&count), "{count} snapshots");
    assert_eq!(events(&warehouse).await, uuids(0..30));
    assert_eq!(warehouse.committed("events").total(), 30);
    let lists = std::fs::read_dir(folder.path().join("warehouse/tenrec/events/metadata")).unwrap();
    let lists =
        lists.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("snap-"));
    assert_eq!(lists.count(), count, "manifest lists of expired snapshots are deleted");
    drop(warehouse);
    assert_eq!(events(&*open(folder.path()).await).await, uuids(0..30));
}

#[tokio::test]
async fn a_copied_folder_says_that_it_was_moved() {
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old");
    let warehouse = open(&old).await;
    warehouse.append(0, &record(0, 1)).unwrap();
    warehouse.commit(1).await.unwrap();
    drop(warehouse);
    let new = folder.path().join("new");
    std::fs::create_dir(&new).unwrap();
    std::fs::copy(old.join("catalog.db"), new.join("catalog.db")).unwrap();
    let error = Warehouse::open(Settings::at(new)).await.err().unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("tenrec restore"), "{error}");
}
