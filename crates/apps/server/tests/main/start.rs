//! What keeps a server from starting, and what that leaves behind.

use crate::world::settings;
use server::Settings;
use std::path::Path;

async fn open(settings: Settings, data: &Path) -> Result<server::Running, String> {
    server::start(settings, data).await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_not_made_before_they_can_be_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut busy = settings();
    busy.server.listen = taken.local_addr().expect("an address");
    let error = open(busy, dir.path()).await.err().expect("the port is taken");
    assert!(error.contains("cannot listen on"), "{error}");
    let running = open(settings(), dir.path()).await.expect("a start");
    assert!(running.first.is_some(), "the keys are shown by the start that works");
    running.until(async {}).await.expect("a clean stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_lost_a_file_is_not_answered_from() {
    for (lost, holds) in [("tenrec.db", "projects"), ("catalog.db", "tables")] {
        let dir = tempfile::tempdir().expect("a folder");
        let running = open(settings(), dir.path()).await.expect("a start");
        running.until(async {}).await.expect("a clean stop");
        for entry in std::fs::read_dir(dir.path()).expect("readable") {
            let path = entry.expect("an entry").path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(lost)) {
                std::fs::remove_file(path).expect("removed");
            }
        }
        let error = open(settings(), dir.path()).await.err().expect(lost);
        assert!(error.contains(lost) && error.contains("is missing") && error.contains(holds), "{error}");
        assert!(server::start::open_at_rest(&settings(), dir.path()).await.is_err(), "{lost}");
        assert!(!dir.path().join(lost).exists(), "nothing is made in its place");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_without_serving() {
    let dir = tempfile::tempdir().expect("a folder");
    let running = open(settings(), dir.path()).await.expect("a start");
    assert!(server::inspect::log(dir.path(), 0).await.expect("in use").contains("in use"));
    running.until(async {}).await.expect("a clean stop");
    assert!(server::inspect::log(dir.path(), 0).await.expect("a whole log").contains("segment"));
    assert!(server::inspect::tables(&settings(), dir.path()).await.expect("whole tables").contains("tables"));
    let segment = dir.path().join("log").join("00000000000000000000.segment");
    let mut bytes = std::fs::read(&segment).expect("a segment");
    bytes[0] ^= 1;
    std::fs::write(&segment, bytes).expect("written");
    let error = server::inspect::log(dir.path(), 0).await.expect_err("damaged").to_string();
    assert!(error.contains("00000000000000000000.segment"), "{error}");
    let metadata = dir.path().join("warehouse/tenrec/events/metadata");
    for entry in std::fs::read_dir(metadata).expect("readable") {
        std::fs::write(entry.expect("an entry").path(), "{").expect("written");
    }
    let error = server::inspect::tables(&settings(), dir.path()).await.expect_err("damaged").to_string();
    assert!(error.contains("events"), "{error}");
}
