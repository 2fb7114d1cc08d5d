//! A process that is killed while it commits: whatever it was told is durable is there.

use crate::place::Place;
use crate::sample::{ONE, checkpoint, ids, mapping, person, uuid};
use identity::Changes;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const FILE: &str = "METASTORE_TEST_FILE";
const URL: &str = "METASTORE_TEST_URL";

/// The process that is killed: commits for ever and prints each offset once it is durable.
///
/// Run as a test of its own, without the variables, it has nothing to do.
#[tokio::test]
async fn child() {
    let (Some(file), Ok(url)) = (std::env::var_os(FILE), std::env::var(URL)) else { return };
    let store = metastore::open(&url, Path::new(&file)).await.expect("a store");
    let start = store.checkpoint().await.expect("read").map(|reach| reach.total()).unwrap_or(0);
    for offset in start + 1.. {
        let version = i64::try_from(offset).expect("small");
        let changes = Changes {
            persons: (1..=40).map(|number| person(number, version)).collect(),
            mappings: (1..=40).map(|number| (format!("id{number}"), mapping(number, version))).collect(),
            ..Changes::default()
        };
        store.commit(checkpoint(offset, changes)).await.expect("committed");
        let mut out = std::io::stdout();
        writeln!(out, "durable {offset}").expect("a reader");
        out.flush().expect("a reader");
    }
}

pub async fn what_was_durable_is_there_after_a_kill(place: Place) {
    let mut last = 0;
    for commits in [1, 7, 20] {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["kill::child", "--exact", "--nocapture", "--test-threads=1"])
            .env(FILE, place.path())
            .env(URL, place.url())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let offsets = lines.filter_map(|line| {
            let line = line.expect("text");
            line.split_once("durable ").map(|(_, offset)| offset.parse::<u64>().expect("a number"))
        });
        let durable = offsets.take(commits).last().expect("some commits");
        child.kill().expect("killed");
        child.wait().expect("gone");

        let store = place.open().await;
        // A database server may still be finishing the last commit of the dead.
        store.claim().await.expect("nobody folds any more");
        let stored = store.checkpoint().await.expect("read").map(|reach| reach.total()).expect("committed");
        assert!(stored >= durable && durable > last, "{stored} {durable} {last}");
        let names: Vec<String> = (1..=40).map(|number| format!("id{number}")).collect();
        let loaded = store.load_identity(ONE, &ids(names.iter().map(String::as_str))).await.expect("loaded");
        let version = i64::try_from(stored).expect("small");
        for (number, name) in (1..).zip(&names) {
            assert_eq!(loaded.persons[&uuid(number)].version, version, "whole commits only");
            assert_eq!(loaded.mappings[name], Some(mapping(number, version)));
        }
        last = stored;
    }
}
