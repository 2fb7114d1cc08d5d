use super::*;
use crate::catalog::fault::Fault;
use crate::plan::plan;
use crate::warehouse::tests::{data_files, events, open, read, record, uuids};
use crate::{Rows, Warehouse};
use event::ProjectId;
use futures::TryStreamExt;
use iceberg::spec::Operation;
use jiff::SignedDuration;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use uuid::Uuid;

const SOON: Compaction =
    Compaction { min_files: 4, target_bytes: 1 << 20, group_rows: 40, quiet: Duration::from_secs(3600) };
const NOW: Compaction =
    Compaction { min_files: 4, target_bytes: 1 << 20, group_rows: 40, quiet: Duration::ZERO };
const BARE: Expiry = Expiry { keep: 1, grace: Duration::ZERO };

fn quiet(_: Progress) {}

/// Commits `count` records of `each` events, one by one.
async fn fill(warehouse: &Arc<Warehouse>, count: u64, each: u64) {
    let first = warehouse.committed("events").total();
    for offset in first..first + count {
        warehouse.append(offset, &record(offset * each, each)).unwrap();
        warehouse.commit(offset + 1).await.unwrap();
    }
}

async fn compact(warehouse: &Warehouse, policy: &Compaction) -> Compacted {
    warehouse.compact("events", policy, &mut quiet).await.unwrap()
}

/// Operation, files, rows and log offset as the newest snapshot of `events` says them.
fn said(warehouse: &Warehouse) -> (Operation, u64, u64, u64) {
    let view = warehouse.view().unwrap();
    let summary = view.own("events").unwrap().table.metadata().current_snapshot().unwrap().summary().clone();
    let number = |name: &str| summary.additional_properties[name].parse::<u64>().unwrap();
    (
        summary.operation.clone(),
        number("total-data-files"),
        number("total-records"),
        number("tenrec.log-offset"),
    )
}

#[tokio::test]
async fn many_files_become_one_and_every_row_stays() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    for offset in 0..12 {
        let mut rows = record(offset * 3, 3);
        rows.events[0].event = ["b", "a", "c"][offset as usize % 3].to_owned();
        warehouse.append(offset, &rows).unwrap();
        warehouse.commit(offset + 1).await.unwrap();
    }
    let before = warehouse.care_stats("events", &SOON).await.unwrap();
    assert_eq!((before.files, before.small_files, before.rows, before.partitions), (12, 12, 36, 1));
    let compacted = compact(&warehouse, &SOON).await;
    assert_eq!((compacted.partitions, compacted.files_before, compacted.files_after), (1, 12, 1));
    assert_eq!((compacted.rows, compacted.bytes_before, compacted.lost), (36, before.bytes, 0));
    assert_eq!(events(&warehouse).await, uuids(0..36));
    assert_eq!(said(&warehouse), (Operation::Replace, 1, 36, 12));
    let after = warehouse.care_stats("events", &SOON).await.unwrap();
    assert_eq!((after.files, after.rows, after.bytes), (1, 36, compacted.bytes_after));
    assert_eq!(compact(&warehouse, &SOON).await, Compacted::default(), "nothing is left to do");

    let view = warehouse.view().unwrap();
    let planned = plan(view.own("events").unwrap(), None).await.unwrap();
    assert!(
        !planned.needs_iceberg_reader
            && planned.files[0].team_id == Some(3)
            && planned.files[0].day.is_some()
    );
    let file = std::fs::File::open(planned.files[0].path().unwrap()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(reader.metadata().num_row_groups(), 1);
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let column = |name| batch.column_by_name(name).unwrap().clone();
    let sort =
        ["event", "timestamp"].map(|name| arrow::compute::SortColumn { values: column(name), options: None });
    let order = arrow::compute::lexsort_to_indices(&sort, None).unwrap();
    assert!(order.values().is_sorted(), "rows are in the table's order");

    warehouse.append(12, &record(36, 2)).unwrap();
    warehouse.commit(13).await.unwrap();
    assert_eq!(said(&warehouse), (Operation::Append, 2, 38, 13));
    assert_eq!(data_files(folder.path()), 14, "old files stay for readers");
    drop(warehouse);
    let warehouse = open(folder.path()).await;
    assert_eq!((events(&warehouse).await, warehouse.committed("events").total()), (uuids(0..38), 13));
}

#[tokio::test]
async fn expiry_leaves_exactly_what_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    fill(&warehouse, 5, 2).await;
    let old = warehouse.view().unwrap();
    compact(&warehouse, &SOON).await;
    let patient = Expiry { keep: 1, grace: Duration::from_secs(600) };
    assert_eq!(warehouse.expire("events", &patient).await.unwrap(), Expired::default());
    assert_eq!(read(&old, "events", "uuid").await, uuids(0..10), "a reader goes on with what it began with");
    let expired = warehouse.expire("events", &BARE).await.unwrap();
    assert_eq!((expired.data_files, data_files(folder.path())), (5, 1));
    assert!(expired.snapshots >= 4 && expired.metadata_files >= 9 && expired.bytes > 0, "{expired:?}");
    assert_eq!(events(&warehouse).await, uuids(0..10));
    let orphans = warehouse.remove_orphans("events", Duration::ZERO, true).await.unwrap();
    assert_eq!(orphans, Orphans::default(), "nothing is left behind");
    let stray = folder.path().join("warehouse/tenrec/events/data/stray.parquet");
    std::fs::write(&stray, b"12345").unwrap();
    let day = Duration::from_secs(86_400);
    assert_eq!(warehouse.remove_orphans("events", day, false).await.unwrap().young, 1);
    assert!(stray.exists());
    let orphans = warehouse.remove_orphans("events", Duration::ZERO, false).await.unwrap();
    assert_eq!((orphans.files, orphans.bytes, stray.exists()), (1, 5, false));
    fill(&warehouse, 2, 2).await;
    assert_eq!(events(&*open(folder.path()).await).await, uuids(0..14));
}

#[tokio::test]
async fn a_lost_answer_and_a_failed_swap_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    fill(&warehouse, 4, 2).await;
    warehouse.catalog.faults().order(Fault::BeforeSwap);
    let error = warehouse.compact("events", &SOON, &mut quiet).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert_eq!((data_files(folder.path()), events(&warehouse).await), (4, uuids(0..8)));
    warehouse.catalog.faults().order(Fault::AfterSwap);
    assert_eq!(compact(&warehouse, &SOON).await.files_after, 1);
    assert_eq!((data_files(folder.path()), events(&warehouse).await), (5, uuids(0..8)));
    assert_eq!(said(&warehouse), (Operation::Replace, 1, 8, 4));
    warehouse.catalog.faults().order(Fault::AfterSwap);
    assert!(warehouse.expire("events", &BARE).await.is_err());
    fill(&warehouse, 1, 2).await;
    assert_eq!(events(&*open(folder.path()).await).await, uuids(0..10));
}

#[tokio::test]
async fn another_program_in_between_is_carried_over_or_given_way_to() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(folder.path()).await, open(folder.path()).await);
    fill(&one, 4, 2).await;
    two.append(4, &record(8, 2)).unwrap();
    assert_eq!(two.commit(5).await.unwrap_err().kind(), Kind::Conflict);
    two.commit(5).await.unwrap();
    // `one` has not seen the commit of `two`.
    assert_eq!(compact(&one, &SOON).await.files_before, 4);
    assert_eq!(events(&one).await, uuids(0..10));
    assert_eq!(one.committed("events").total(), 5);
    // `two` still knows the files that `one` has replaced: its merge loses.
    let lost = compact(&two, &SOON).await;
    assert_eq!((lost.lost, lost.files_after), (1, 0));
    assert_eq!((events(&two).await, data_files(folder.path())), (uuids(0..10), 6));
}

#[tokio::test]
async fn old_days_go_and_versions_stay() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    let today = (1_763_600_000_i64 / 86_400) as i32;
    for (offset, project) in [(0, 1), (1, 2)] {
        let mut rows = record(offset * 6, 6);
        rows.project = ProjectId(project);
        for (number, row) in rows.events.iter_mut().enumerate() {
            row.timestamp -= SignedDuration::from_hours(24) * (number as i32 % 3);
        }
        warehouse.append(offset, &rows).unwrap();
    }
    warehouse.commit(2).await.unwrap();
    let retain = async |first_day, project| {
        let policy = Retention::from_day(first_day, project);
        let done = warehouse.retain("events", &policy, &mut quiet).await.unwrap();
        (done.files, done.rows)
    };
    assert_eq!(retain(today - 2, None).await, (0, 0));
    assert_eq!(retain(today - 1, Some(ProjectId(2))).await, (1, 2));
    assert_eq!(said(&warehouse), (Operation::Delete, 5, 10, 2));
    assert_eq!(retain(today, None).await, (3, 6));
    assert_eq!(events(&warehouse).await, uuids([0, 3, 6, 9]));
    assert_eq!(retain(today + 1, None).await, (2, 4));
    assert_eq!(events(&warehouse).await, uuids([]));
    warehouse.expire("events", &BARE).await.unwrap();
    assert_eq!((data_files(folder.path()), warehouse.committed("events").total()), (0, 2));
    fill(&warehouse, 1, 2).await;
    assert_eq!(events(&*open(folder.path()).await).await.len(), 2);
    let policy = Retention::from_day(today, None);
    let error = warehouse.retain("persons", &policy, &mut quiet).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_person_is_erased_and_the_fresh_rows_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    fill(&warehouse, 3, 10).await;
    let mut rows = Rows { project: ProjectId(9), ..record(30, 10) };
    rows.events.iter_mut().for_each(|row| row.person_id = Uuid::from_u128(8));
    warehouse.append(3, &rows).unwrap();
    warehouse.commit(4).await.unwrap();
    warehouse.append(4, &record(40, 10)).unwrap();
    let whose = Erasure {
        project: ProjectId(3),
        distinct_ids: ["user-4".to_owned(), "nobody".to_owned()].into(),
        person_ids: BTreeSet::from([Uuid::from_u128(8)]),
        marks: Marks::new(),
    };
    let erased = warehouse.erase("events", &whose, &mut quiet).await.unwrap();
    assert_eq!(erased, Erased { files: 3, rows: 3, fresh_rows: 1, block_bytes: 0 });
    assert_eq!(said(&warehouse), (Operation::Overwrite, 4, 37, 4));
    warehouse.commit(5).await.unwrap();
    let erased = warehouse.erase("events", &whose, &mut quiet).await.unwrap();
    assert_eq!(erased, Erased { files: 1, rows: 1, fresh_rows: 0, block_bytes: 0 });
    let left = (0..50).filter(|number| number % 10 != 4 || *number == 34);
    assert_eq!(events(&warehouse).await, uuids(left));
    warehouse.expire("events", &BARE).await.unwrap();
    assert_eq!(data_files(folder.path()), 5);
    assert_eq!(warehouse.erase("groups", &whose, &mut quiet).await.unwrap(), Erased::default());
}

#[tokio::test]
async fn a_person_who_comes_back_is_new_and_old_snapshots_do_not_stay() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    fill(&warehouse, 2, 10).await;
    let whose = Erasure {
        project: ProjectId(3),
        distinct_ids: ["user-4".to_owned()].into(),
        person_ids: BTreeSet::new(),
        marks: warehouse.marks().unwrap(),
    };
    // What comes after the mark is somebody else, committed or not.
    fill(&warehouse, 1, 10).await;
    warehouse.append(3, &record(30, 10)).unwrap();
    let erased = warehouse.erase("events", &whose, &mut quiet).await.unwrap();
    assert_eq!((erased.files, erased.rows, erased.fresh_rows), (2, 2, 1));
    let again = warehouse.erase("events", &whose, &mut quiet).await.unwrap();
    assert_eq!((again.files, again.rows), (0, 0));
    let left = (0..40).filter(|number| number % 10 != 4 || *number >= 20);
    assert_eq!(events(&warehouse).await, uuids(left.clone()));
    // Twenty snapshots may stay, but not those with the person.
    let patient = Expiry { keep: 20, grace: Duration::from_secs(600) };
    assert_eq!(warehouse.expire("events", &patient).await.unwrap().data_files, 0);
    let keep = Expiry { keep: 20, grace: Duration::ZERO };
    let expired = warehouse.expire("events", &keep).await.unwrap();
    assert_eq!((expired.data_files, expired.held, data_files(folder.path())), (2, 0, 3));
    warehouse.commit(4).await.unwrap();
    let expired = warehouse.expire("events", &keep).await.unwrap();
    assert_eq!(expired.snapshots, 0, "snapshots made since stay");
    assert_eq!(events(&warehouse).await, uuids(left));
}

#[tokio::test]
async fn recordings_go_with_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    let path = folder.path().join("7.blocks");
    let url = format!("file://{}", path.display());
    std::fs::write(&path, b"aaaabbbbccccdddd").unwrap();
    // Two recordings of ann, the second began before she was known; one of bob.
    for (offset, (session, id, range)) in
        [("s1", "ann", "0-3"), ("s2", "anon", "4-7"), ("s2", "ann", "8-11"), ("s3", "bob", "12-15")]
            .into_iter()
            .enumerate()
    {
        let mut rows = Rows { events: Vec::new(), ..record(offset as u64, 1) };
        rows.replay_blocks.push(crate::row::tests::block(session, id, &format!("{url}?range=bytes={range}")));
        warehouse.append(offset as u64, &rows).unwrap();
        warehouse.commit(offset as u64 + 1).await.unwrap();
    }
    let whose = Erasure {
        project: ProjectId(3),
        distinct_ids: ["ann".to_owned()].into(),
        person_ids: BTreeSet::new(),
        marks: warehouse.marks().unwrap(),
    };
    let table = "session_replay_blocks";
    let erased = warehouse.erase(table, &whose, &mut quiet).await.unwrap();
    assert_eq!((erased.rows, erased.block_bytes), (3, 12));
    assert_eq!(std::fs::read(&path).unwrap(), b"\0\0\0\0\0\0\0\0\0\0\0\0dddd");
    let view = warehouse.view().unwrap();
    assert_eq!(read(&view, table, "session_id").await, ["s3"]);
    let retained = warehouse.retain(table, &Retention::from_day(i32::MAX, None), &mut quiet).await.unwrap();
    assert_eq!((retained.rows, retained.block_bytes, path.exists()), (1, 4, false));
}

#[tokio::test]
async fn ids_that_the_tables_link_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    let (one, two, other) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
    for (offset, (id, person)) in
        [("anon", one), ("ann", two), ("anon", two), ("bob", other)].into_iter().enumerate()
    {
        let mut rows = Rows { events: Vec::new(), ..record(0, 1) };
        rows.mappings.push(identity::MappingRow {
            distinct_id: id.to_owned(),
            person_id: person,
            version: offset as i64,
            is_deleted: false,
        });
        warehouse.append(offset as u64, &rows).unwrap();
        warehouse.commit(offset as u64 + 1).await.unwrap();
    }
    let whose = Erasure {
        project: ProjectId(3),
        distinct_ids: ["ann".to_owned()].into(),
        person_ids: BTreeSet::new(),
        marks: Marks::new(),
    };
    let found = warehouse.links(whose.clone()).await.unwrap();
    assert_eq!(found.distinct_ids, ["ann", "anon"].map(str::to_owned).into());
    assert_eq!(found.person_ids, [one, two].into());
    let elsewhere = Erasure { project: ProjectId(4), ..whose.clone() };
    assert_eq!(warehouse.links(elsewhere.clone()).await.unwrap(), elsewhere);
}

#[tokio::test]
async fn a_column_added_later_is_filled_in() {
    use crate::schema::COLUMNS_PROPERTY;
    use iceberg::transaction::{ApplyTransactionAction, Transaction};
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    let flags = async |warehouse: &Warehouse| {
        let view = warehouse.view().unwrap();
        let scan = view.own("events").unwrap().table.scan().select(["p_feature_flag"]).build().unwrap();
        let batches: Vec<_> = scan.to_arrow().await.unwrap().try_collect().await.unwrap();
        let null = |batch: &arrow::record_batch::RecordBatch| batch.column(0).null_count();
        batches.iter().map(|batch| batch.num_rows() - null(batch)).sum::<usize>()
    };
    for offset in 0..4 {
        let mut rows = record(offset * 2, 2);
        rows.events[0].properties =
            serde_json::from_value(json!({"$feature_flag": "beta", "$feature_flag_response": offset}))
                .unwrap();
        warehouse.append(offset, &rows).unwrap();
        warehouse.commit(offset + 1).await.unwrap();
    }
    assert_eq!(flags(&warehouse).await, 4);
    // As a version of the program that did not have the columns left it.
    let table = warehouse.view().unwrap().own("events").unwrap().table.clone();
    let transaction = Transaction::new(&table);
    let schema = transaction.update_schema();
    let action = schema.delete_column("p_feature_flag").delete_column("p_feature_flag_response");
    let transaction = action.apply(transaction).unwrap();
    let action = transaction.update_table_properties().set(COLUMNS_PROPERTY.to_owned(), "51".to_owned());
    action.apply(transaction).unwrap().commit(warehouse.catalog().as_ref()).await.unwrap();
    drop(warehouse);
    let warehouse = open(folder.path()).await;
    fill(&warehouse, 1, 2).await;
    assert_eq!(flags(&warehouse).await, 0, "the new column has a new id");
    assert_eq!(compact(&warehouse, &SOON).await.files_after, 1);
    assert_eq!(flags(&warehouse).await, 4);
    assert_eq!(events(&warehouse).await, uuids(0..10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_snapshot_counts_right_while_all_work_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for task in 0..3 {
        let (warehouse, done) = (warehouse.clone(), done.clone());
        tasks.push(tokio::spawn(async move {
            let mut changes = 0;
            while !done.load(Ordering::Acquire) {
                match task {
                    0 => {
                        let found = events(&warehouse).await;
                        assert_eq!(found, uuids(0..found.len() as u64), "a row twice or missing");
                        changes += 1;
                    }
                    1 => {
                        let policy = if changes % 2 == 0 { &NOW } else { &SOON };
                        match warehouse.compact("events", policy, &mut quiet).await {
                            Ok(compacted) => changes += compacted.files_before,
                            Err(error) => {
                                assert!(matches!(error.kind(), Kind::Conflict | Kind::Unavailable), "{error}")
                            }
                        }
                    }
                    _ => {
                        let policy = Expiry { keep: 6, grace: Duration::from_millis(1500) };
                        match warehouse.expire("events", &policy).await {
                            Ok(expired) => changes += expired.snapshots,
                            Err(error) => {
                                assert!(matches!(error.kind(), Kind::Conflict | Kind::Unavailable), "{error}")
                            }
                        }
                        tokio::task::yield_now().await;
                    }
                }
            }
            changes
        }));
    }
    for offset in 0..80 {
        warehouse.append(offset, &record(offset * 5, 5)).unwrap();
        match offset % 11 {
            4 => warehouse.catalog.faults().order(Fault::BeforeSwap),
            8 => warehouse.catalog.faults().order(Fault::AfterSwap),
            _ => {}
        }
        let _ = warehouse.commit(offset + 1).await;
    }
    warehouse.commit(80).await.unwrap_or_default();
    done.store(true, Ordering::Release);
    for (task, name) in tasks.into_iter().zip(["reads", "compactions", "expiries"]) {
        assert!(task.await.unwrap() > 0, "{name}");
    }
    let _ = warehouse.commit(80).await;
    assert_eq!(events(&warehouse).await, uuids(0..400));
    let table = open(folder.path()).await.view().unwrap().own("events").unwrap().table.clone();
    for snapshot in table.metadata().snapshots() {
        let scan = table.scan().snapshot_id(snapshot.snapshot_id()).select(["uuid"]).build().unwrap();
        let rows: Vec<_> = scan.to_arrow().await.unwrap().try_collect().await.unwrap();
        let rows: usize = rows.iter().map(|batch| batch.num_rows()).sum();
        let summary = &snapshot.summary().additional_properties;
        assert_eq!(summary["total-records"], rows.to_string());
        assert_eq!(rows as u64, summary["tenrec.log-offset"].parse::<u64>().unwrap() * 5);
    }
}
