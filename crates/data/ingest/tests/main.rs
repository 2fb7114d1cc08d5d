//! The door and the pump over a real log, real metastore and real tables, and what crashes between them leave.

use bytes::Bytes;
use event::event_size::Limits;
use event::{ProjectId, Rejection, Route};
use eventlog::{EventLog, Offset, Partitions, Segments};
use ingest::accept::Bounds;
use ingest::commit::Stores;
use ingest::seen::Window;
use ingest::{Arrival, Directory, Door, Kind, Pump, Receipt, TokenMode, pump};
use jiff::Timestamp;
use metastore::key::Kind as KeyKind;
use metastore::{Metastore, NewKey, NewProject, Sqlite, person};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use table::Warehouse;
use tokio::sync::watch;

const KEY: &str = "phc_ingest";

/// One process' worth of open parts over a folder.
struct World {
    door: Door,
    stores: Stores,
    directory: Arc<Directory>,
    settings: pump::Settings,
}

impl World {
    async fn open(dir: &Path) -> Self {
        Self::open_with(dir, 1).await
    }

    /// As many log partitions, each in a folder of its own.
    async fn open_with(dir: &Path, partitions: usize) -> Self {
        let metastore: Arc<dyn Metastore> = Arc::new(Sqlite::open(dir.join("tenrec.db")).expect("metastore"));
        let mut new = NewProject::generate("p", &mut rand::rng());
        new.key = NewKey::fixed(KeyKind::Project, KEY).expect("key");
        if metastore.projects().await.expect("projects").is_empty() {
            metastore.create_project(new, Timestamp::UNIX_EPOCH).await.expect("project");
        }
        let reach = metastore.checkpoint().await.expect("checkpoint").unwrap_or_default();
        let log = |partition: usize| -> Arc<dyn EventLog> {
            let folder = if partition == 0 { "log".to_owned() } else { format!("log-{partition}") };
            let floor = Offset(reach.of(partition));
            Arc::new(Segments::open_at(&dir.join(folder), eventlog::Settings::default(), floor).expect("log"))
        };
        let log = Partitions::new((0..partitions).map(log).collect()).expect("at least one");
        let warehouse = Warehouse::open(table::Settings::at(dir.to_owned())).await.expect("warehouse");
        let directory = Directory::open(metastore.clone(), TokenMode::Enforce).await.expect("directory");
        let directory = Arc::new(directory);
        let bounds = Bounds { decompressed: 16 << 20, events: Limits::default() };
        let settings = pump::Settings {
            every: Duration::from_secs(3600),
            bytes: 64 << 20,
            window: Window::default(),
            seen: dir.join("seen"),
            blocks: format!("file://{}/blocks", dir.display()),
            skip_lost: false,
        };
        let stores = Stores { log: log.clone(), metastore, warehouse: Arc::new(warehouse) };
        Self { door: Door::new(log, directory.clone(), bounds), stores, directory, settings }
    }

    async fn send(&self, route: Route, body: &Value) -> Result<Receipt, Rejection> {
        let arrival = Arrival {
            route,
            at: "2026-01-01T12:00:00Z".parse().expect("time"),
            seed: 7,
            query: wire::capture_query::Query::default(),
            content_type: Some("application/json"),
            content_encoding: None,
            user_agent: None,
            ip: Some("203.0.113.1".into()),
            place: None,
            body: Bytes::from(body.to_string()),
            hold: ingest::Hold::default(),
        };
        self.door.accept(arrival).await
    }

    /// Sends one event of the project of a key.
    async fn event_of(&self, key: &str, uuid: u128) {
        let body = json!({
            "api_key": key, "event": "e", "distinct_id": "d", "uuid": uuid::Uuid::from_u128(uuid),
            "timestamp": "2026-01-01T11:00:00Z", "properties": {"$set": {"n": uuid.to_string()}},
        });
        self.send(Route::Events, &body).await.expect("accepted");
    }

    /// Sends one event.
    async fn event(&self, name: &str, id: &str, uuid: u128, properties: Value) {
        let body = json!({
            "api_key": KEY, "event": name, "distinct_id": id, "uuid": uuid::Uuid::from_u128(uuid),
            "timestamp": "2026-01-01T11:00:00Z", "properties": properties,
        });
        self.send(Route::Events, &body).await.expect("accepted");
    }

    /// Folds everything durable and commits it, as a stopping server does.
    async fn settle(&self) -> Result<(), ingest::Error> {
        let (_stop, stopping) = watch::channel(true);
        let pump =
            Pump::open(self.stores.clone(), self.directory.clone(), None, self.settings.clone()).await?;
        pump.run(stopping).await
    }

    /// Ends the process as far as files are concerned.
    async fn close(self) {
        self.stores.log.close().await.expect("closed");
    }

    /// The committed text of one column, sorted.
    async fn column(&self, table: &str, column: &str) -> Vec<String> {
        use arrow::array::{Array, AsArray};
        use futures::TryStreamExt;
        let view = self.stores.warehouse.view().expect("view");
        let table = view.own(table).expect("table").table.clone();
        let scan = table.scan().select([column]).build().expect("scan");
        let batches: Vec<_> = scan.to_arrow().await.expect("stream").try_collect().await.expect("rows");
        let mut found = Vec::new();
        for batch in batches {
            let cells = batch.column(0).as_string::<i32>();
            found.extend((0..cells.len()).map(|row| cells.value(row).to_owned()));
        }
        found.sort();
        found
    }

    async fn profile(&self, id: &str) -> Option<person::Profile> {
        let find = person::Find::DistinctId(id.to_owned());
        self.stores.metastore.person(event::ProjectId(1), find).await.expect("person")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_is_committed_once() {
    let dir = tempfile::tempdir().expect("dir");
    let world = World::open(dir.path()).await;
    world.event("a", "anon", 1, json!({"$set": {"plan": "pro"}})).await;
    world.event("a", "anon", 1, json!({"$set": {"plan": "pro"}})).await;
    world.event("$identify", "ann", 2, json!({"$anon_distinct_id": "anon"})).await;
    world.settle().await.expect("settled");
    world.close().await;

    let world = World::open(dir.path()).await;
    world.event("a", "anon", 1, json!({"$set": {"plan": "pro"}})).await;
    world.settle().await.expect("settled");
    assert_eq!(world.column("events", "event").await, ["$identify", "a"]);
    let profile = world.profile("ann").await.expect("ann");
    assert_eq!(profile.distinct_ids.len(), 2);
    assert_eq!(profile.person.properties.value("plan"), "pro");
}

/// A crash after the tables and before the metastore: the metastore is put back to where it was.
#[tokio::test(flavor = "multi_thread")]
async fn tables_ahead_of_the_metastore_get_nothing_twice() {
    let dir = tempfile::tempdir().expect("dir");
    let world = World::open(dir.path()).await;
    world.event("a", "anon", 1, json!({"$set": {"n": 1}})).await;
    world.settle().await.expect("settled");
    world.close().await;
    let kept = dir.path().join("kept");
    std::fs::create_dir(&kept).expect("dir");
    put(dir.path(), &kept);

    let world = World::open(dir.path()).await;
    world.event("b", "anon", 2, json!({"$set": {"n": 2}})).await;
    world.event("$identify", "ann", 3, json!({"$anon_distinct_id": "anon"})).await;
    world.settle().await.expect("settled");
    let before = world.profile("ann").await.expect("ann");
    let persons = world.column("persons", "id").await;
    world.close().await;
    put(&kept, dir.path());

    let world = World::open(dir.path()).await;
    assert_eq!(world.profile("ann").await, None, "the metastore is behind");
    world.settle().await.expect("settled");
    assert_eq!(world.profile("ann").await.expect("ann"), before);
    assert_eq!(world.column("events", "event").await, ["$identify", "a", "b"]);
    assert_eq!(world.column("persons", "id").await, persons);
    // And what was seen is still known.
    world.event("b", "anon", 2, json!({"$set": {"n": 2}})).await;
    world.settle().await.expect("settled");
    assert_eq!(world.column("events", "event").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_copy_replaces_a_fresh_one_and_another_day_is_another_event() {
    let dir = tempfile::tempdir().expect("dir");
    let world = World::open(dir.path()).await;
    world.event("a", "u", 1, json!({"k": "first"})).await;
    world.event("a", "u", 1, json!({"k": "second"})).await;
    let other_day = json!({
        "api_key": KEY, "event": "a", "distinct_id": "u", "uuid": uuid::Uuid::from_u128(1),
        "timestamp": "2025-12-31T11:00:00Z", "properties": {"k": "yesterday"},
    });
    world.send(Route::Events, &other_day).await.expect("accepted");
    world.settle().await.expect("settled");
    let properties = world.column("events", "properties").await.join("\n");
    assert!(properties.contains("second") && properties.contains("yesterday"), "{properties}");
    assert!(!properties.contains("first"), "{properties}");
}

/// More JSON than is folded as one piece: the last events belong to the first person, and one changes the first event.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_is_folded_in_pieces_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let world = World::open(dir.path()).await;
    let event = |uuid: u128, id: &str, k: &str| {
        json!({"event": "a", "distinct_id": id, "uuid": uuid::Uuid::from_u128(uuid), "timestamp": "2026-01-01T11:00:00Z",
            "properties": {"k": k, "blob": "x".repeat(20_000), "$set": {"last": k}}})
    };
    let mut batch: Vec<Value> =
        (1..=450).map(|n| event(n, &format!("u{}", n % 50), &format!("k{n}"))).collect();
    batch.push(event(1, "u1", "changed"));
    world.send(Route::Events, &json!({"api_key": KEY, "batch": batch})).await.expect("accepted");
    world.settle().await.expect("settled");
    assert_eq!(world.column("events", "uuid").await.len(), 450);
    let properties = world.column("events", "properties").await.join("\n");
    assert!(properties.contains("\"changed\"") && !properties.contains("\"k1\""));
    assert_eq!(world.profile("u1").await.expect("u1").person.properties.value("last"), "changed");
    assert_eq!(world.profile("u7").await.expect("u7").person.properties.value("last"), "k407");
}

#[tokio::test(flavor = "multi_thread")]
async fn replay_events_sent_again_beside_new_ones_are_stored_once() {
    let dir = tempfile::tempdir().expect("dir");
    let world = World::open(dir.path()).await;
    let item = |at: i64| json!({"type": 3, "timestamp": 1_767_268_800_000_i64 + at, "data": {"source": 1}});
    let snapshot = |uuid: u128, at: i64| {
        json!({
            "api_key": KEY, "event": "$snapshot", "distinct_id": "u", "uuid": uuid::Uuid::from_u128(uuid),
            "properties": {"$session_id": "s-1", "$window_id": "w", "$snapshot_data": [item(at)]},
        })
    };
    world.send(Route::Replay, &json!([snapshot(1, 0)])).await.expect("accepted");
    world.send(Route::Replay, &json!([snapshot(1, 0), snapshot(2, 10)])).await.expect("accepted");
    world.settle().await.expect("settled");
    let urls = world.column("session_replay_blocks", "block_url").await;
    assert_eq!(urls.len(), 2);
    let mut lines = Vec::new();
    for url in urls {
        let place = replay::Location::parse(&url).expect("location");
        let file = std::fs::read(place.object.strip_prefix("file://").expect("file")).expect("read");
        let bytes = &file[place.start as usize..(place.start + place.length) as usize];
        let text = replay::block::decode(bytes, 1 << 20).expect("block");
        lines.extend(text.lines().map(str::to_owned));
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_metastore_is_folded_again_from_the_log() {
    let dir = tempfile::tempdir().expect("dir");
    let world = World::open(dir.path()).await;
    for uuid in 0..3 {
        world.event("a", "u", uuid, json!({})).await;
    }
    world.settle().await.expect("settled");
    world.close().await;
    for name in ["tenrec.db", "tenrec.db-wal", "tenrec.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    // A new metastore folds from the start, which is fine while the log still has it: nothing is doubled.
    let world = World::open(dir.path()).await;
    world.settle().await.expect("folded again");
    assert_eq!(world.column("events", "uuid").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_none_stops_the_pump() {
    let dir = tempfile::tempdir().expect("dir");
    let world = World::open(dir.path()).await;
    world.stores.log.of(1).append(b"\x09nonsense".as_slice().into()).await.expect("appended");
    let error = world.settle().await.expect_err("damaged");
    assert_eq!(error.kind, Kind::Corrupt);
}

/// A log whose first releases fail, as when the disk will not delete a file.
struct Clinging {
    log: Arc<dyn EventLog>,
    /// Releases tried so far; the first two fail.
    tried: AtomicUsize,
}

#[async_trait::async_trait]
impl EventLog for Clinging {
    fn append(&self, payload: eventlog::Payload) -> eventlog::Append {
        self.log.append(payload)
    }

    async fn read(&self, from: Offset, max_bytes: usize) -> eventlog::Result<Vec<eventlog::Record>> {
        self.log.read(from, max_bytes).await
    }

    fn first(&self) -> Offset {
        self.log.first()
    }

    fn durable(&self) -> Offset {
        self.log.durable()
    }

    fn subscribe(&self) -> watch::Receiver<Offset> {
        self.log.subscribe()
    }

    async fn release(&self, before: Offset) -> eventlog::Result<()> {
        if self.tried.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(eventlog::Error::unavailable("the disk deletes nothing"));
        }
        self.log.release(before).await
    }

    fn stats(&self) -> eventlog::Stats {
        self.log.stats()
    }

    fn is_poisoned(&self) -> bool {
        self.log.is_poisoned()
    }

    async fn close(&self) -> eventlog::Result<()> {
        self.log.close().await
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each failed commit leaves a checkpoint that was stored; storing an older one again would contradict the newer.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_forget_is_no_reason_to_stop() {
    let dir = tempfile::tempdir().expect("dir");
    let mut world = World::open(dir.path()).await;
    let log = Arc::new(Clinging {
        log: world.stores.log.iter().next().expect("one").clone(),
        tried: AtomicUsize::new(0),
    });
    let clinging: Arc<dyn EventLog> = log.clone();
    world.stores.log = clinging.into();
    world.settings.every = Duration::from_millis(20);
    let pump = Pump::open(world.stores.clone(), world.directory.clone(), None, world.settings.clone()).await;
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(pump.expect("opened").run(stopping));
    for number in 0..3_usize {
        world.event("a", "u", number as u128, json!({})).await;
        until("a release", async || log.tried.load(Ordering::SeqCst) > number || running.is_finished()).await;
    }
    stop.send(true).expect("running");
    running.await.expect("no panic").expect("the third release worked");
    assert_eq!(world.column("events", "uuid").await.len(), 3);
    assert_eq!(world.stores.metastore.checkpoint().await.expect("read").map(|reach| reach.total()), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_memory_that_cannot_be_written_delays_the_commit() {
    let dir = tempfile::tempdir().expect("dir");
    let mut world = World::open(dir.path()).await;
    world.settings.every = Duration::from_millis(20);
    let metrics = telemetry::install();
    let pump = Pump::open(world.stores.clone(), world.directory.clone(), None, world.settings.clone()).await;
    let (stop, stopping) = watch::channel(false);
    let seen = dir.path().join("seen");
    std::fs::remove_dir(&seen).expect("empty");
    std::fs::write(&seen, "in the way").expect("written");
    let running = tokio::spawn(pump.expect("opened").run(stopping));
    world.event("a", "u", 1, json!({})).await;
    let stalled = || metrics.render().contains("tenrec_pump_stalls_total{part=\"ingest\"}");
    until("a stall", async || stalled() || running.is_finished()).await;
    assert!(!running.is_finished(), "the pump goes on");
    assert_eq!(world.stores.metastore.checkpoint().await.expect("read").map(|reach| reach.total()), None);
    std::fs::remove_file(&seen).expect("removed");
    std::fs::create_dir(&seen).expect("made");
    world.event("a", "u", 1, json!({})).await;
    until("a commit", async || {
        world.stores.metastore.checkpoint().await.expect("read").map(|reach| reach.total()) == Some(2)
    })
    .await;
    stop.send(true).expect("running");
    running.await.expect("no panic").expect("stopped well");
    assert_eq!(world.column("events", "uuid").await.len(), 1, "and repeats are still recognised");
}

/// Three projects in two partitions; then a crash after the tables and before the metastore, with one partition ahead.
#[tokio::test(flavor = "multi_thread")]
async fn every_partition_is_folded_once_from_its_own_offset() {
    let dir = tempfile::tempdir().expect("dir");
    let world = World::open_with(dir.path(), 2).await;
    let (mut keys, mut used) = (vec![KEY.to_owned()], [false, false]);
    used[world.stores.log.number_of(1)] = true;
    while used != [true, true] {
        let mut new = NewProject::generate("more", &mut rand::rng());
        new.key = NewKey::fixed(KeyKind::Project, &format!("phc_more_{}", keys.len())).expect("key");
        keys.push(new.key.value().to_owned());
        let made = world.stores.metastore.create_project(new, Timestamp::UNIX_EPOCH).await.expect("project");
        used[world.stores.log.number_of(u64::try_from(made.id.0).expect("positive"))] = true;
    }
    world.directory.refresh().await.expect("found");
    let mut sent = 0;
    let mut send = async |world: &World, round: u128| {
        for (number, key) in keys.iter().enumerate() {
            for again in 0..=number as u128 {
                world.event_of(key, 1000 * round + 10 * number as u128 + again).await;
                sent += 1;
            }
        }
        sent
    };
    send(&world, 0).await;
    world.settle().await.expect("settled");
    world.close().await;
    let kept = dir.path().join("kept");
    std::fs::create_dir(&kept).expect("dir");
    put(dir.path(), &kept);
    let world = World::open_with(dir.path(), 2).await;
    send(&world, 1).await;
    world.settle().await.expect("settled");
    let reach = world.stores.metastore.checkpoint().await.expect("read").expect("one");
    assert!(reach.of(0) > 0 && reach.of(1) > 0, "{reach}");
    world.close().await;
    put(&kept, dir.path());

    let world = World::open_with(dir.path(), 2).await;
    let behind = world.stores.metastore.checkpoint().await.expect("read").expect("one");
    assert!(reach.is_beyond(&behind) && world.stores.warehouse.committed("events") == reach);
    let all = send(&world, 2).await;
    world.settle().await.expect("settled");
    let events = world.column("events", "uuid").await;
    let distinct: std::collections::BTreeSet<_> = events.iter().collect();
    assert_eq!((events.len(), distinct.len()), (all, all));
    assert_eq!(world.profile("d").await.expect("a person").person.properties.value("n"), "2000");
    let table = world.stores.warehouse.view().expect("view").own("events").expect("table").table.clone();
    let summary = &table.metadata().current_snapshot().expect("one").summary().additional_properties;
    let reach = world.stores.metastore.checkpoint().await.expect("read").expect("one");
    assert_eq!(summary["tenrec.log-offset"], reach.of(0).to_string());
    assert_eq!(summary["tenrec.log-offset.1"], reach.of(1).to_string());
}

/// Puts the metastore of one folder into another.
fn put(from: &Path, to: &Path) {
    for name in ["tenrec.db", "tenrec.db-wal"] {
        let _ = std::fs::remove_file(to.join(name));
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).expect("copied");
        }
    }
    let _ = std::fs::remove_file(to.join("tenrec.db-shm"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_forgotten_between_two_events() {
    let dir = tempfile::tempdir().expect("dir");
    let world = World::open(dir.path()).await;
    let (stop, stopping) = watch::channel(false);
    let pump = Pump::open(world.stores.clone(), world.directory.clone(), None, world.settings.clone());
    let pump = pump.await.expect("opened");
    let orders = pump.orders();
    let running = tokio::spawn(pump.run(stopping));
    world.event("a", "anon", 1, json!({"$set": {"plan": "pro"}})).await;
    world.event("$identify", "ann", 2, json!({"$anon_distinct_id": "anon"})).await;
    world.event("a", "bob", 3, json!({"$set": {"plan": "free"}})).await;
    let now = "2026-01-01T12:00:00Z".parse().expect("time");
    let asked =
        world.stores.metastore.ask_erasure(ProjectId(1), &["ann".to_owned()].into(), &[].into(), now).await;
    // What was acked before is committed and what the store knows is deleted when the answer comes.
    let forgotten = orders.forget(asked.expect("asked").id).await.expect("forgotten");
    assert_eq!(forgotten.distinct_ids, ["ann", "anon"].map(str::to_owned).into());
    assert_eq!(world.column("events", "distinct_id").await, ["ann", "anon", "bob"]);
    assert!(world.profile("ann").await.is_none() && world.profile("anon").await.is_none());
    assert!(world.profile("bob").await.is_some());
    world.event("a", "ann", 4, json!({"$set": {"color": "red"}})).await;
    stop.send(true).expect("running");
    running.await.expect("no panic").expect("stopped");
    let back = world.profile("ann").await.expect("a new person").person;
    let properties = back.properties.to_json();
    assert!(properties.contains("red") && !properties.contains("pro"), "{properties}");
    let marks: std::collections::BTreeMap<String, i64> =
        serde_json::from_str(&forgotten.marks).expect("marks");
    assert!(marks["events"] >= 1);
}
