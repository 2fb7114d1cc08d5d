//! What only a file can do: be locked, damaged, or written by somebody else.

use crate::sample::{ONE, checkpoint, ids, mapping, person};
use identity::Changes;
use metastore::sqlite::Settings;
use metastore::{Error, Kind, Metastore, Sqlite};
use rusqlite::Connection;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
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

/// A number has no checksum: what lies below a checkpoint that grew by itself would never be folded.
#[tokio::test]
async fn a_changed_checkpoint_is_damage() {
    let (_folder, path) = folder();
    filled(&path).await;
    let other = Connection::open(&path).expect("opened");
    other.execute("UPDATE checkpoints SET log_offset = log_offset + 64", []).expect("changed");
    let store = Sqlite::open(&path).expect("its pages are whole");
    let error = (&store as &dyn Metastore).checkpoint().await.expect_err("the copies differ");
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
    other.execute("DELETE FROM checkpoints", []).expect("changed");
    let error = (&store as &dyn Metastore).checkpoint().await.expect_err("one is gone");
    assert_eq!(error.kind(), Kind::Corrupt, "{error}");
}

/// An id that lost a bit is another id in the row than in the index.
#[tokio::test]
async fn a_row_that_its_index_does_not_know_is_damage() {
    let (_folder, path) = folder();
    filled(&path).await;
    Sqlite::open(&path).expect("whole");
    let whole = std::fs::read(&path).expect("read");
    let uuid = person(7, 1).uuid.as_bytes().to_vec();
    let places: Vec<usize> =
        (0..whole.len() - uuid.len()).filter(|at| whole[*at..].starts_with(&uuid)).collect();
    let mut found = 0;
    for at in places {
        overwrite(&path, at as u64, &[whole[at] ^ 1]);
        // What a page that was split left behind is nobody's: a change there is none.
        found += u32::from(Sqlite::open(&path).is_err_and(|error| error.kind() == Kind::Corrupt));
        overwrite(&path, at as u64, &[whole[at]]);
    }
    assert!(found >= 2, "found in {found} places: a row and an index at least hold it");
}
