//! Backups of a small folder, into a folder and into an object store.

use crate::target::{Objects, content};
use crate::*;
use eventlog::{EventLog, Offset, Segments};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use table::Warehouse;

fn about(id: &str) -> About {
    About {
        id: id.to_owned(),
        made_at: "2026-11-30T12:00:00Z".to_owned(),
        program: "0.0.0".to_owned(),
        store: Store::InFolder,
        at_rest: false,
    }
}

/// A data folder with `records` records in its log, which stays open.
async fn folder(data: &Path, records: u64) -> Segments {
    fs::create_dir_all(data).expect("a folder");
    metastore::Sqlite::open(data.join("tenrec.db")).expect("a metastore");
    drop(Warehouse::open(table::Settings { dir: data.to_owned() }).await.expect("tables"));
    let log = Segments::open(&data.join("log"), eventlog::Settings::default()).expect("a log");
    for number in 0..records {
        log.append(number.to_le_bytes().to_vec().into()).await.expect("acked");
    }
    fs::create_dir_all(data.join("seen")).expect("a folder");
    fs::write(data.join("seen/1.seen"), "keys").expect("written");
    fs::create_dir_all(data.join("warehouse/session_replay/1")).expect("a folder");
    fs::write(data.join("warehouse/session_replay/1/7.blocks"), "bytes of blocks").expect("written");
    log
}

async fn backup(data: &Path, id: &str, target: &Target) -> Result<Saved> {
    let held = take(data, &about(id)).await?;
    save(&held, held.point.clone(), target, &mut |_| {}).await
}

async fn faults(target: &Target) -> Vec<String> {
    verify(target, &mut |_| {}).await.expect("can be read").faults
}

/// What must hold wherever backups go.
async fn round_trip(target: &Target) {
    let scratch = tempfile::tempdir().expect("a folder");
    let (data, to) = (scratch.path().join("data"), scratch.path().join("other/place"));
    let log = folder(&data, 20).await;
    let first = backup(&data, "1", target).await.expect("a backup");
    assert_eq!((first.copied_files, first.copied_bytes), (first.files, first.bytes));
    log.append(vec![1; 300].into()).await.expect("acked");
    let second = backup(&data, "2", target).await.expect("a backup");
    // The segment grew, and the metastore is always copied, to find that it is the same.
    assert_eq!((second.files, second.copied_files), (first.files, 1));
    assert_eq!(faults(target).await, Vec::<String>::new());
    assert_eq!(fs::read_dir(data.join("backup")).expect("a folder").count(), 1, "only the lock is left");

    let manifest = target.manifest("2").await.expect("is there");
    assert_eq!((manifest.point.checkpoint, manifest.point.log_end), (0, 21));
    restore(target, &manifest, &to, &mut |_| {}).await.expect("restored");
    let again = restore(target, &manifest, &to, &mut |_| {}).await.expect_err("the folder is used");
    assert_eq!(again.kind(), Kind::Invalid);
    let log = Segments::open(&to.join("log"), eventlog::Settings::default()).expect("a log");
    assert_eq!((log.first(), log.durable()), (Offset(0), Offset(21)));
    drop(Warehouse::open(table::Settings { dir: to.clone() }).await.expect("tables at their new place"));
    assert_eq!(
        fs::read(to.join("warehouse/session_replay/1/7.blocks")).expect("is there"),
        b"bytes of blocks"
    );

    let pruned = prune(target, 1).await.expect("pruned");
    assert_eq!((pruned.backups, pruned.files), (1, 1), "the shorter segment");
    assert_eq!(target.ids().await.expect("listed"), ["2"]);
    assert_eq!(faults(target).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_in_a_folder_comes_back() {
    let scratch = tempfile::tempdir().expect("a folder");
    let place = scratch.path().join("backups");
    round_trip(&Target::open(place.to_str().expect("text"), &[]).expect("a target")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_in_an_object_store_comes_back_and_damage_is_found() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let target = Target::Objects(Objects::over(store.clone(), "some/prefix"));
    round_trip(&target).await;
    let manifest = target.manifest("2").await.expect("is there");
    let name = content(&manifest.files[0].sha256);
    let path = object_store::path::Path::from(format!("some/prefix/{name}"));
    let mut bytes = store.get(&path).await.expect("is there").bytes().await.expect("read").to_vec();
    bytes[0] ^= 1;
    store.put(&path, PutPayload::from(bytes)).await.expect("written");
    let found = faults(&target).await;
    assert!(found.len() == 1 && found[0].contains("damaged"), "{found:?}");
    store.delete(&path).await.expect("deleted");
    let found = faults(&target).await;
    assert!(found.iter().any(|fault| fault.contains("missing")), "{found:?}");
}

/// Gives some files, then breaks off.
struct Breaks<'a>(&'a Held, std::sync::atomic::AtomicUsize);

impl Origin for Breaks<'_> {
    fn pour(&self, piece: &Piece, sink: Sink<'_>) -> Result<()> {
        if self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 3 {
            return Err(Error::new(Kind::Unavailable, "the cable was pulled"));
        }
        self.0.pour(piece, sink)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_breaks_off_is_not_visible_and_the_next_one_goes_on() {
    let scratch = tempfile::tempdir().expect("a folder");
    let data = scratch.path().join("data");
    let _log = folder(&data, 3).await;
    let target = Target::open(scratch.path().join("to").to_str().expect("text"), &[]).expect("a target");
    let held = take(&data, &about("1")).await.expect("a moment");
    let breaks = Breaks(&held, Default::default());
    let error = save(&breaks, held.point.clone(), &target, &mut |_| {}).await.expect_err("broke off");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(target.ids().await.expect("listed").is_empty());
    drop(held);
    let saved = backup(&data, "2", &target).await.expect("a backup");
    assert!(saved.copied_files < saved.files, "{saved:?}");
    assert_eq!(faults(&target).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_is_not_backed_up_and_what_is_unlinked_meanwhile_is() {
    let scratch = tempfile::tempdir().expect("a folder");
    let data = scratch.path().join("data");
    let _log = folder(&data, 3).await;
    let target = Target::open(scratch.path().join("to").to_str().expect("text"), &[]).expect("a target");
    let held = take(&data, &about("1")).await.expect("a moment");
    fs::remove_dir_all(data.join("warehouse")).expect("everything goes");
    save(&held, held.point.clone(), &target, &mut |_| {}).await.expect("the moment is still there");
    let metadata = held.point.files.iter().find(|piece| piece.part == Part::Metadata).expect("a table");
    if metadata.seal.is_some() {
        let path = held.path(metadata);
        let mut bytes = fs::read(&path).expect("read");
        bytes[10] ^= 1;
        fs::write(&path, bytes).expect("written");
        let other =
            Target::open(scratch.path().join("other").to_str().expect("text"), &[]).expect("a target");
        let error = save(&held, held.point.clone(), &other, &mut |_| {}).await.expect_err("is damaged");
        assert_eq!(error.kind(), Kind::Corrupt);
    }
}
