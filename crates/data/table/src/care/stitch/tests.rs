use super::*;
use crate::Warehouse;
use crate::care::erase::{Erasure, Marks};
use crate::care::live::files;
use crate::care::{Compacted, Compaction};
use crate::warehouse::tests::{events, open, record, uuids};
use event::ProjectId;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeSet;
use std::time::Duration;

const POLICY: Compaction =
    Compaction { min_files: 2, target_bytes: 1 << 20, group_rows: 40, quiet: Duration::from_secs(3600) };

/// Commits one file of `rows` events of several names, distinct ids `user-0` to `user-(rows-1)`.
async fn commit(warehouse: &Arc<Warehouse>, offset: u64, first: u64, rows: u64) {
    let mut rows = record(first, rows);
    for (number, row) in rows.events.iter_mut().enumerate() {
        row.event = ["b", "a", "c"][number % 3].to_owned();
    }
    warehouse.append(offset, &rows).unwrap();
    warehouse.commit(offset + 1).await.unwrap();
}

async fn compact(warehouse: &Warehouse) -> Compacted {
    warehouse.compact("events", &POLICY, &mut |_| {}).await.unwrap()
}

async fn live(warehouse: &Warehouse) -> Vec<ManifestEntryRef> {
    let table = warehouse.view().unwrap().own("events").unwrap().table.clone();
    files(&table).await.unwrap()
}

fn read(entry: &ManifestEntryRef) -> ParquetMetaData {
    let path = crate::catalog::local_path(entry.file_path()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), entry.file_size_in_bytes());
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    reader.parse_and_finish(&File::open(path).unwrap()).unwrap()
}

#[tokio::test]
async fn row_groups_stay_and_the_file_knows_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    for part in 0..3 {
        commit(&warehouse, part, part * 60, 60).await;
    }
    let before = live(&warehouse).await;
    let done = compact(&warehouse).await;
    assert_eq!((done.files_before, done.files_after, done.rows, done.lost), (3, 1, 180, 0));
    assert_eq!(events(&warehouse).await, uuids(0..180));
    let after = live(&warehouse).await;
    let file = after[0].data_file();
    assert!(is_stitched(file) && file.sort_order_id().is_none(), "the whole is not in order");
    let metadata = read(&after[0]);
    let rows: Vec<i64> = metadata.row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(rows, [60, 60, 60]);
    let offsets: Vec<i64> = metadata.row_groups().iter().map(|group| group.file_offset().unwrap()).collect();
    assert_eq!(file.split_offsets(), Some(&offsets[..]));
    // Bounds and numbers are those of all three together.
    let old: Vec<&DataFile> = before.iter().map(|entry| entry.data_file()).collect();
    assert!(!file.lower_bounds().is_empty() && file.value_counts().values().all(|count| *count == 180));
    for (column, bound) in file.lower_bounds() {
        assert!(old.iter().all(|file| file.lower_bounds().get(column).is_none_or(|own| bound <= own)));
        assert!(old.iter().any(|file| file.lower_bounds().get(column) == Some(bound)));
    }
    for (column, bound) in file.upper_bounds() {
        assert!(old.iter().all(|file| file.upper_bounds().get(column).is_none_or(|own| bound >= own)));
    }
    // Filters and page bounds came along.
    let opened = File::open(crate::catalog::local_path(file.file_path()).unwrap()).unwrap();
    for group in metadata.row_groups() {
        let column = |name: &str| {
            group.columns().iter().find(|column| column.column_path().string() == name).unwrap().clone()
        };
        let filter = Sbbf::read_from_column_chunk(&column("distinct_id"), &opened).unwrap().unwrap();
        assert!(filter.check("user-7") && !filter.check("somebody else"));
        assert_eq!(group.sorting_columns().map(Vec::len), Some(2));
    }
    let index = metadata.column_index().unwrap();
    assert!(index.iter().flatten().any(|index| !matches!(index, ColumnIndexMetaData::NONE)));
    assert_eq!(compact(&warehouse).await, Compacted::default(), "nothing is left to do");
}

#[tokio::test]
async fn a_stitched_file_grows_and_small_files_are_merged_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    for (offset, (first, rows)) in [(0, 50), (50, 50), (100, 3), (103, 3)].into_iter().enumerate() {
        commit(&warehouse, offset as u64, first, rows).await;
    }
    let done = compact(&warehouse).await;
    assert_eq!((done.files_before, done.files_after), (4, 2));
    commit(&warehouse, 4, 106, 50).await;
    compact(&warehouse).await;
    let mut groups: Vec<Vec<i64>> = Vec::new();
    for entry in live(&warehouse).await {
        groups.push(read(&entry).row_groups().iter().map(|group| group.num_rows()).collect());
    }
    groups.sort();
    assert_eq!(groups, [vec![6], vec![50, 50, 50]]);
    assert_eq!(events(&*open(folder.path()).await).await, uuids(0..156));
}

#[tokio::test]
async fn rows_are_erased_from_a_stitched_file() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    for part in 0..2 {
        commit(&warehouse, part, part * 60, 60).await;
    }
    compact(&warehouse).await;
    let whose = Erasure {
        project: ProjectId(3),
        distinct_ids: ["user-4".to_owned()].into(),
        person_ids: BTreeSet::new(),
        marks: Marks::new(),
    };
    let erased = warehouse.erase("events", &whose, &mut |_| {}).await.unwrap();
    let mine = (0..120).filter(|number| number % 10 == 4).count() as u64;
    assert_eq!((erased.files, erased.rows), (1, mine));
    let left: Vec<u64> = (0..120).filter(|number| number % 10 != 4).collect();
    assert_eq!(events(&warehouse).await, uuids(left.iter().copied()));
    // One file for each row group, each in order, to be put together again.
    for entry in live(&warehouse).await {
        assert!(entry.data_file().sort_order_id().is_some());
        let path = crate::catalog::local_path(entry.file_path()).unwrap();
        let rows = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let batch = rows.with_batch_size(1000).build().unwrap().next().unwrap().unwrap();
        let column = |name| arrow::compute::SortColumn {
            values: batch.column_by_name(name).unwrap().clone(),
            options: None,
        };
        let order = arrow::compute::lexsort_to_indices(&["event", "timestamp"].map(column), None).unwrap();
        assert!(order.values().is_sorted());
    }
    let done = compact(&warehouse).await;
    assert_eq!((done.files_before, done.files_after), (2, 1));
    assert_eq!(events(&warehouse).await, uuids(left));
}

#[tokio::test]
async fn damage_is_found_before_it_is_copied() {
    let folder = tempfile::tempdir().unwrap();
    let warehouse = open(folder.path()).await;
    for part in 0..2 {
        commit(&warehouse, part, part * 60, 60).await;
    }
    let path = crate::catalog::local_path(live(&warehouse).await[1].file_path()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    use std::os::unix::fs::FileExt;
    File::options().write(true).open(&path).unwrap().write_all_at(&bytes, 0).unwrap();
    let error = warehouse.compact("events", &POLICY, &mut |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt);
    assert_eq!(live(&warehouse).await.len(), 2);
    assert_eq!(crate::warehouse::tests::data_files(folder.path()), 2, "nothing is left behind");
}

#[test]
fn a_bound_that_one_file_lacks_is_unknown_unless_it_has_only_nulls() {
    let file = |low: Option<i64>, nulls: u64| {
        let bounds: HashMap<i32, Datum> = low.map(|low| (1, Datum::long(low))).into_iter().collect();
        DataFileBuilder::default()
            .content(DataContentType::Data)
            .file_path("a".to_owned())
            .file_format(DataFileFormat::Parquet)
            .record_count(5)
            .file_size_in_bytes(1)
            .value_counts(HashMap::from([(1, 5)]))
            .null_value_counts(HashMap::from([(1, nulls)]))
            .lower_bounds(bounds)
            .build()
            .unwrap()
    };
    let low = |files: &[&DataFile]| bounds(files, DataFile::lower_bounds, Order::Less).get(&1).cloned();
    let (three, two, null, unknown) = (file(Some(3), 0), file(Some(2), 1), file(None, 5), file(None, 1));
    assert_eq!(low(&[&three, &two]), Some(Datum::long(2)));
    assert_eq!(low(&[&null, &three, &null]), Some(Datum::long(3)));
    assert_eq!(low(&[&three, &unknown]), None);
    assert_eq!(low(&[&null]), None);
    assert_eq!(sums(&[&three, &two], DataFile::null_value_counts), HashMap::from([(1, 1)]));
}
