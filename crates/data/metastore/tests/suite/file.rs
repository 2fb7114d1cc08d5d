//! What only a file can do: be opened twice, locked, damaged, or written by somebody else.

use crate::sample::{ONE, at, checkpoint, ids, mapping, person, uuid};
use identity::Changes;
use metastore::project::NewProject;
use metastore::sqlite::Settings;
use metastore::{Error, Kind, Metastore, Sqlite};
use rand::{SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("meta.db");
    (folder, path)
}

fn refused(path: &Path) -> Error {
    match Sqlite::open(path) {
        Ok(_) => panic!("{} must not open", path.display()),
        Err(error) => error,
    }
}

/// A closed file with enough persons to have many pages.
async fn filled(path: &Path) {
    let store = Sqlite::open(path).expect("a store");
    let changes = Changes {
        persons: (0..500).map(|number| person(number, 1)).collect(),
        mappings: (0..500).map(|number| (format!("id{number}"), mapping(number, 1))).collect(),
        ..Changes::default()
    };
    let store: &dyn Metastore = &store;
    store.commit(checkpoint(5, changes)).await.expect("committed");
}

fn overwrite(path: &Path, from: u64, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).expect("opened");
    file.seek(SeekFrom::Start(from)).expect("sought");
    file.write_all(bytes).expect("written");
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let (_folder, path) = folder();
    filled(&path).await;
    for version in [2, 3] {
        let store: Arc<dyn Metastore> = Arc::new(Sqlite::open(&path).expect("a store"));
        let loaded = store.load_identity(ONE, &ids(["id7"])).await.expect("loaded");
        assert_eq!(loaded.persons[&uuid(7)].version, version - 1);
        let changes = Changes { persons: vec![person(7, version)], ..Changes::default() };
        store.commit(checkpoint(5 + version.unsigned_abs(), changes)).await.expect("committed");
        assert_eq!(store.checkpoint().await.expect("read"), Some(5 + version.unsigned_abs()));
    }
}

#[tokio::test]
async fn another_process_is_seen() {
    let (_folder, path) = folder();
    let (server, cli) = (Sqlite::open(&path).expect("a store"), Sqlite::open(&path).expect("a store"));
    let (server, cli): (&dyn Metastore, &dyn Metastore) = (&server, &cli);
    let before = server.revision().await.expect("read");
    let new = NewProject::generate("Shop", &mut StdRng::seed_from_u64(1));
    let project = cli.create_project(new, at(0)).await.expect("created");
    assert!(server.revision().await.expect("read") > before);
    assert_eq!(server.projects().await.expect("listed"), [project]);
}

#[test]
fn many_processes_may_create_the_file_at_once() {
    let (_folder, path) = folder();
    let openers: Vec<_> = (0..6)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || Sqlite::open(path).map(drop))
        })
        .collect();
    for opener in openers {
        opener.join().expect("no panic").expect("opened");
    }
}

#[tokio::test]
async fn a_locked_file_is_busy_and_then_works() {
    let (_folder, path) = folder();
    let settings = Settings { busy_timeout_ms: 20, ..Settings::default() };
    let store = Sqlite::open_with(&path, &settings).expect("a store");
    let store: &dyn Metastore = &store;
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let error = store.commit(checkpoint(1, Changes::default())).await.expect_err("locked");
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    assert_eq!(store.checkpoint().await.expect("readers go on"), None);
    other.execute_batch("ROLLBACK").expect("unlocked");
    store.commit(checkpoint(1, Changes::default())).await.expect("committed");
}

#[tokio::test]
async fn damage_is_named_and_never_answered_around() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("no database at all", |path| std::fs::write(path, vec![b'x'; 8192]).expect("written")),
        ("header lost", |path| overwrite(path, 0, &[0; 100])),
        ("pages overwritten", |path| overwrite(path, 20 * 4096, &[0xA5; 30 * 4096])),
        ("cut short", |path| {
            let file = std::fs::OpenOptions::new().write(true).open(path).expect("opened");
            file.set_len(10 * 4096).expect("cut");
        }),
    ];
    for (what, damage) in damages {
        let (_folder, path) = folder();
        filled(&path).await;
        damage(&path);
        let error = refused(&path);
        assert_eq!(error.kind(), Kind::Corrupt, "{what}: {error}");
        let text = error.to_string();
        assert!(text.contains("meta.db") && text.contains("backup"), "{what}: {text}");
    }
}

#[tokio::test]
async fn damage_that_opening_did_not_look_for_is_found_on_reading() {
    let (_folder, path) = folder();
    filled(&path).await;
    overwrite(&path, 20 * 4096, &vec![0xA5; 40 * 4096]);
    let unchecked = Settings { check_up_to_bytes: 0, ..Settings::default() };
    let store = Sqlite::open_with(&path, &unchecked).expect("opens");
    let store: &dyn Metastore = &store;
    let names: Vec<String> = (0..500).map(|number| format!("id{number}")).collect();
    let error = store.load_identity(ONE, &ids(names.iter().map(String::as_str))).await.expect_err("damaged");
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
}

#[tokio::test]
async fn a_distinct_id_without_its_person_is_damage() {
    let (_folder, path) = folder();
    let store = Sqlite::open(&path).expect("a store");
    let store: &dyn Metastore = &store;
    let changes = Changes { mappings: vec![("lost".to_owned(), mapping(1, 0))], ..Changes::default() };
    store.commit(checkpoint(1, changes)).await.expect("committed");
    let error = store.load_identity(ONE, &ids(["lost"])).await.expect_err("no person");
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("\"lost\""), "{error}");
}

#[test]
fn files_of_others_are_refused() {
    let (folder, path) = folder();
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("CREATE TABLE theirs (x)").expect("created");
    drop(other);
    let error = refused(&path);
    assert_eq!(error.kind(), Kind::Invalid, "{error}");

    let newer = folder.path().join("newer.db");
    drop(Sqlite::open(&newer).expect("a store"));
    Connection::open(&newer).expect("opened").pragma_update(None, "user_version", 999).expect("updated");
    let error = refused(&newer);
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(error.to_string().contains("999"), "{error}");

    let error = refused(&folder.path().join("no such folder").join("meta.db"));
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
}
