//! How many persons a second a metastore commits and loads: `cargo run --release -p metastore --example persons [URL]`.
//!
//! Without a URL the store is a SQLite file in a temporary folder. A database must be one that may be filled up.

use event::{ProjectId, Properties};
use identity::{Changes, Mapping, Needs, Person};
use jiff::Timestamp;
use metastore::{Checkpoint, Metastore};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

const PERSONS: u64 = 100_000;
/// As many as a busy commit holds.
const COMMIT: u64 = 20_000;
/// As many as the pump asks for at once.
const LOAD: u64 = 500;

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let url = std::env::args().nth(1).unwrap_or_default();
    let store = metastore::open(&url, &folder.path().join("meta.db")).await?;
    let start = store.checkpoint().await?.unwrap_or_default().total();
    for (what, version) in [("new persons", 1), ("known persons", 2)] {
        let begun = Instant::now();
        for first in (0..PERSONS).step_by(usize::try_from(COMMIT)?) {
            let offset = start + version * PERSONS + first + 1;
            let changes = changes(first, version.cast_signed());
            let projects = vec![(ProjectId(1), changes)];
            store
                .commit(Arc::new(Checkpoint { reach: offset.into(), projects, definitions: Vec::new() }))
                .await?;
        }
        report(&format!("commit {what}, {COMMIT} at once"), PERSONS, begun);
    }
    for size in [LOAD, 10_000] {
        let begun = Instant::now();
        for first in (0..PERSONS).step_by(usize::try_from(size)?) {
            load(&*store, first, size).await?;
        }
        report(&format!("load persons, {size} at once"), PERSONS, begun);
    }
    let begun = Instant::now();
    for number in 0..2_000 {
        load(&*store, number * 37, 1).await?;
    }
    report("load persons, one at a time", 2_000, begun);
    let begun = Instant::now();
    for _ in 0..2_000 {
        store.revision().await?;
    }
    report("read the revision", 2_000, begun);
    Ok(())
}

fn report(what: &str, count: u64, begun: Instant) {
    println!("{what}: {:.0} per second", count as f64 / begun.elapsed().as_secs_f64());
}

fn name(number: u64) -> String {
    format!("visitor-{number:012}")
}

fn uuid(number: u64) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &number.to_be_bytes())
}

fn changes(first: u64, version: i64) -> Changes {
    let numbers = first..first + COMMIT;
    Changes {
        persons: numbers.clone().map(|number| person(number, version)).collect(),
        mappings: numbers.map(|number| (name(number), Mapping { person: uuid(number), version })).collect(),
        ..Changes::default()
    }
}

/// About what a web visitor has: 20 properties, 800 bytes.
fn person(number: u64, version: i64) -> Person {
    let mut properties = Properties::new();
    for at in 0..18 {
        properties.insert(&format!("$initial_property_{at}"), json!(format!("value {}", number * at)));
    }
    properties.insert("email", json!(format!("user{number}@example.com")));
    properties.insert("visits", json!(version));
    Person {
        uuid: uuid(number),
        created_at: Timestamp::UNIX_EPOCH,
        properties: Arc::new(properties),
        is_identified: number.is_multiple_of(2),
        version,
        last_seen_at: None,
    }
}

async fn load(store: &dyn Metastore, first: u64, count: u64) -> Result<(), Failure> {
    let distinct_ids = (first..first + count).map(name).collect();
    let loaded = store.load_identity(ProjectId(1), &Needs { distinct_ids, ..Needs::default() }).await?;
    assert_eq!(loaded.persons.len() as u64, count);
    Ok(())
}
