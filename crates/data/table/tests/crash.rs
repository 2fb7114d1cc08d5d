//! Care that breaks off at any of its steps leaves every row once, and nothing that a sweep does not remove.

use event::ProjectId;
use futures::TryStreamExt;
use identity::{EventRow, PersonMode};
use jiff::Timestamp;
use serde_json::Map;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use table::care::{Compaction, Erasure, Expiry, Retention};
use table::{Rows, Settings, Warehouse};
use uuid::Uuid;

const POINTS: [&str; 7] = [
    "table.after_rewrite_file",
    "table.after_stitch_file",
    "table.after_replace_manifests",
    "table.after_replace_list",
    "table.after_replace_swap",
    "table.after_expire_swap",
    "table.after_expire_unlink",
];
const ALL: Compaction =
    Compaction { min_files: 2, target_bytes: 1 << 20, group_rows: 4, quiet: Duration::ZERO };
const BARE: Expiry = Expiry { keep: 1, grace: Duration::ZERO };

fn row(number: u64) -> EventRow {
    let at = Timestamp::from_microsecond(1_763_600_000_000_000 + number as i64).unwrap();
    EventRow {
        uuid: Uuid::from_u128(u128::from(number) + 1),
        event: "$pageview".into(),
        distinct_id: format!("user-{}", number % 5),
        timestamp: at,
        created_at: at,
        properties: Default::default(),
        context: None,
        elements_chain: String::new(),
        person_id: Uuid::from_u128(7),
        person_created_at: at,
        person_properties: Default::default(),
        person_mode: PersonMode::Full,
        groups: Default::default(),
        group_properties: Default::default(),
        api_key: "phc_test".into(),
        extra: Map::new(),
    }
}

async fn open(folder: &Path) -> Arc<Warehouse> {
    Arc::new(Warehouse::open(Settings::at(folder.to_owned())).await.unwrap())
}

async fn commit(warehouse: &Arc<Warehouse>, offset: u64) {
    let mut rows = Rows::new(ProjectId(3), Timestamp::from_second(1_763_600_000).unwrap());
    rows.events = (offset * 5..offset * 5 + 5).map(row).collect();
    warehouse.append(offset, &rows).unwrap();
    warehouse.commit(offset + 1).await.unwrap();
}

async fn uuids(warehouse: &Warehouse) -> Vec<String> {
    let table = warehouse.view().unwrap().own("events").unwrap().table.clone();
    let stream = table.scan().select(["uuid"]).build().unwrap().to_arrow().await.unwrap();
    let batches: Vec<arrow::record_batch::RecordBatch> = stream.try_collect().await.unwrap();
    let text = |batch: &arrow::record_batch::RecordBatch| {
        let column = batch.column(0).clone();
        let column = arrow::array::AsArray::as_string::<i32>(column.as_ref());
        column.iter().flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut found: Vec<String> = batches.iter().flat_map(text).collect();
    found.sort();
    found
}

/// Everything care does, one after the other.
async fn care(warehouse: &Warehouse) -> table::Result<()> {
    let mut quiet = |_| {};
    warehouse.compact("events", &ALL, &mut quiet).await?;
    warehouse.expire("events", &BARE).await?;
    let whose = Erasure {
        project: ProjectId(3),
        distinct_ids: ["user-4".to_owned()].into(),
        person_ids: Default::default(),
        marks: Default::default(),
    };
    warehouse.erase("events", &whose, &mut quiet).await?;
    // Erasing made a file of each row group.
    warehouse.compact("events", &ALL, &mut quiet).await?;
    warehouse.expire("events", &BARE).await?;
    warehouse.retain("events", &Retention::from_day(0, None), &mut quiet).await?;
    Ok(())
}

#[tokio::test]
async fn every_step_of_care_may_be_the_last() {
    std::panic::set_hook(Box::new(|_| {}));
    for point in POINTS {
        for skip in 0..2 {
            let folder = tempfile::tempdir().unwrap();
            let warehouse = open(folder.path()).await;
            for offset in 0..4 {
                commit(&warehouse, offset).await;
            }
            telemetry::fault::arm(point, skip, move || panic!("struck at {point}"));
            let cared = warehouse.clone();
            let ended = tokio::spawn(async move { care(&cared).await }).await;
            telemetry::fault::disarm_all();
            assert!(!matches!(ended, Ok(Ok(()))), "{point} was not passed {} times", skip + 1);
            drop(warehouse);

            let warehouse = open(folder.path()).await;
            let found = uuids(&warehouse).await;
            let expected = |erased: bool| -> Vec<String> {
                let stays = |number: &u64| !erased || number % 5 != 4;
                (0..20).filter(stays).map(|number| row(number).uuid.to_string()).collect()
            };
            assert!(found == expected(false) || found == expected(true), "{point}: {} rows", found.len());
            assert_eq!(warehouse.committed("events").total(), 4, "{point}");
            care(&warehouse).await.unwrap();
            commit(&warehouse, 4).await;
            warehouse.remove_orphans("events", Duration::ZERO, false).await.unwrap();
            assert_eq!(uuids(&warehouse).await.len(), 16 + 5, "{point}");
            let left = warehouse.remove_orphans("events", Duration::ZERO, true).await.unwrap();
            assert_eq!(left.files, 0, "{point}");
        }
    }
    let _ = std::panic::take_hook();
}
