//! A server of its own for a test: data folder, runtime, address, and SQL to look inside.

use crate::client::{Answer, Connection, Request};
use event::{ProjectId, Resource};
use metastore::key::{Grant, Kind};
use metastore::{Metastore, NewKey, NewProject, Sqlite, project};
use serde_json::{Value, json};
use server::Settings;
use server::clock::Clock;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const NOW: &str = "2026-11-20T12:00:00Z";
/// Key of project 1; compressed bodies of the fixtures contain it.
pub const TOKEN: &str = "phc_fixture";
pub const PERSONAL: &str = "phx_fixture";
/// Key of project 2, whose events only tell how far the pump is.
const FENCE: &str = "phc_the_fence";
const FENCE_PROJECT: i64 = 2;

/// The settings of tests: defaults, a frozen clock, a free port, no commits unless asked for.
pub fn settings() -> Settings {
    let mut settings: Settings = toml::from_str(include_str!("../../../../../config/default.toml"))
        .expect("the defaults are settings");
    settings.server.listen = "127.0.0.1:0".parse().expect("an address");
    settings.clock.fixed = NOW.to_owned();
    settings.bootstrap.project_key = TOKEN.to_owned();
    settings.bootstrap.personal_key = PERSONAL.to_owned();
    settings.log.segment_bytes = 8 << 20;
    settings.ingest.commit_seconds = 3600;
    settings.query.concurrency = 8;
    settings
}

/// A project beside the first.
#[derive(Clone, Default)]
pub struct Extra {
    pub key: String,
    pub exhausted: Vec<Resource>,
    pub settings: project::Settings,
    pub restrictions: Vec<project::Restriction>,
}

impl Extra {
    pub fn of(key: impl Into<String>) -> Self {
        Self { key: key.into(), ..Self::default() }
    }
}

/// A data folder before its server starts.
pub struct Folder {
    pub dir: TempDir,
    /// Numbers of the extra projects, in order.
    pub projects: Vec<i64>,
}

impl Folder {
    /// Makes project 1, the fence, and `extra` projects.
    pub fn with(settings: &Settings, extra: &[Extra]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let projects = block_on(async {
            let store = Self::metastore_at(dir.path());
            let clock = Clock::from_setting(&settings.clock.fixed);
            server::bootstrap::run(&store, &settings.bootstrap, clock).await.expect("bootstrap");
            let mut numbers = Vec::new();
            for wanted in [Extra::of(FENCE)].iter().chain(extra) {
                let mut new = NewProject::generate("extra", &mut rand::rng());
                new.key = NewKey::fixed(Kind::Project, &wanted.key).expect("a key");
                let made = project::Store::create_project(&store, new, clock.now()).await.expect("project");
                let update = project::Update {
                    exhausted: Some(wanted.exhausted.clone()),
                    settings: Some(wanted.settings.clone()),
                    restrictions: Some(wanted.restrictions.clone()),
                    ..project::Update::default()
                };
                project::Store::update_project(&store, made.id, update).await.expect("update");
                numbers.push(made.id.0);
            }
            numbers
        });
        assert_eq!(projects[0], FENCE_PROJECT);
        Self { dir, projects: projects[1..].to_vec() }
    }

    /// The metastore of a folder that no server has open.
    pub fn metastore(&self) -> Sqlite {
        Self::metastore_at(self.dir.path())
    }

    fn metastore_at(dir: &Path) -> Sqlite {
        Sqlite::open(server::metastore_path(dir)).expect("the metastore opens")
    }

    /// Stores one more secret key.
    pub fn add_key(&self, kind: Kind, value: &str, scope: &str, projects: Option<Vec<i64>>) {
        let store: &dyn Metastore = &self.metastore();
        let grant = Grant {
            label: "test".to_owned(),
            scopes: vec![scope.to_owned()],
            projects: projects.map(|list| list.into_iter().map(ProjectId).collect()),
        };
        let key = NewKey::fixed(kind, value).expect("a key");
        block_on(store.create_key(key, grant, NOW.parse().expect("a time"))).expect("stored");
    }

    pub fn start(self, settings: Settings) -> World {
        World::start(settings, self)
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// Runs a future of the metastore outside any server.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// A running server.
pub struct World {
    pub address: SocketAddr,
    pub folder: Folder,
    secret: String,
    fences: AtomicU64,
    serving: Option<Serving>,
}

/// The running part of a world.
struct Serving {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<Result<(), String>>,
    runtime: Runtime,
}

impl Serving {
    fn stop(self) -> Result<(), String> {
        let _ = self.stop.send(());
        self.runtime.block_on(self.ended).map_err(|panic| panic.to_string())?
    }
}

/// The pump's thread must not outlive its runtime.
impl Drop for World {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            let ended = serving.stop();
            assert!(std::thread::panicking() || ended.is_ok(), "{ended:?}");
        }
    }
}

impl World {
    /// A server with default settings and only project 1.
    pub fn plain() -> Self {
        Self::tuned(|_| {})
    }

    /// The same with some settings changed.
    pub fn tuned(tune: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        tune(&mut settings);
        Folder::with(&settings, &[]).start(settings)
    }

    fn start(settings: Settings, folder: Folder) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().expect("a runtime");
        let secret = settings.server.signing_secret.clone();
        let running =
            runtime.block_on(server::start(settings, folder.dir.path())).expect("the server starts");
        let address = running.address;
        let (stop, stopped) = oneshot::channel();
        let ended = runtime.spawn(async move {
            let signal = async { drop(stopped.await) };
            running.until(signal).await.map_err(|failure| failure.to_string())
        });
        let serving = Some(Serving { stop, ended, runtime });
        let world = Self { address, folder, secret, fences: AtomicU64::new(0), serving };
        // Fences of an earlier start are still there.
        world.fences.store(world.fences_seen(), Ordering::Relaxed);
        world
    }

    /// Stops in order and gives the folder back.
    pub fn stop(mut self) -> Folder {
        self.serving.take().expect("it runs").stop().expect("an orderly stop");
        self.take_folder()
    }

    /// Asks for a stop without waiting for it; the function given back waits.
    pub fn stop_soon(mut self) -> impl FnOnce() -> Folder {
        let Serving { stop, ended, runtime } = self.serving.take().expect("it runs");
        stop.send(()).expect("the server runs");
        move || {
            runtime.block_on(ended).expect("no panic").expect("an orderly stop");
            self.take_folder()
        }
    }

    /// Ends the process without warning: the folder is as it was when this was called. Nothing may be going on.
    ///
    /// It stays where it was, because tables know their files by absolute paths.
    pub fn kill(self) -> Folder {
        let image = tempfile::tempdir().expect("a folder");
        copy(self.folder.dir.path(), image.path());
        let folder = self.stop();
        for entry in std::fs::read_dir(folder.dir.path()).expect("readable") {
            let path = entry.expect("an entry").path();
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
            removed.expect("removed");
        }
        copy(image.path(), folder.dir.path());
        folder
    }

    fn take_folder(&mut self) -> Folder {
        let dir = tempfile::tempdir().expect("a folder");
        std::mem::replace(&mut self.folder, Folder { dir, projects: Vec::new() })
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address).expect("the server accepts")
    }

    /// Sends a request on a connection of its own.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        let answer = self.connect().send(request);
        answer.unwrap_or_else(|error| panic!("{} {}: {error}", request.method, request.path))
    }

    /// Sends events to project 1; they must be taken.
    #[track_caller]
    pub fn batch(&self, events: &Value) {
        let body = json!({"api_key": TOKEN, "batch": events});
        let answer = self.send(&Request::json("/batch/", body));
        assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"status":"Ok"}"#));
    }

    /// Asks SQL of a project.
    #[track_caller]
    pub fn ask(&self, project: i64, sql: &str) -> Vec<Vec<Value>> {
        let body = json!({"query": {"kind": "HogQLQuery", "query": sql}});
        let request = Request::json(&format!("/api/projects/{project}/query/"), body)
            .with("authorization", format!("Bearer {PERSONAL}"));
        let answer = self.send(&request);
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        serde_json::from_value(answer.json()["results"].take()).expect("rows")
    }

    /// Asks for one number of project 1.
    #[track_caller]
    pub fn count(&self, sql: &str) -> u64 {
        let rows = self.ask(1, sql);
        rows[0][0].as_u64().unwrap_or_else(|| panic!("{sql}: {rows:?}"))
    }

    fn fences_seen(&self) -> u64 {
        self.ask(FENCE_PROJECT, "SELECT count(*) FROM events")[0][0].as_u64().expect("a number")
    }

    /// Waits until everything that was acknowledged before is visible: records become rows in order.
    #[track_caller]
    pub fn fence(&self) {
        let wanted = self.fences.fetch_add(1, Ordering::Relaxed) + 1;
        let properties = json!({"$process_person_profile": false});
        let body = json!({"api_key": FENCE, "event": "fence", "distinct_id": "f", "properties": properties});
        let mut request = Request::json("/e/", &body);
        if !self.secret.is_empty() {
            let signature = crate::signature::sha256(&self.secret, body.to_string().as_bytes());
            request = request.with("x-posthog-signature", signature);
        }
        assert_eq!(self.send(&request).status, 200);
        eventually("the pump is through", || self.fences_seen() >= wanted);
    }
}

/// Polls until `done`; 20 seconds are far more than anything here takes.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
