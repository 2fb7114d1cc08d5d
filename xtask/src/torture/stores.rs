//! R5: an object store and a catalog that fail: requests refused, stalled, cut off, refused as conflicts, and done
//! without an answer. Nothing acked is lost or doubled, and what the failures left is swept away.
//!
//! The store is moto's S3, the catalog another Tenrec that keeps its files there. The server under test reaches both
//! through proxies that fail; its catalog does not.

use super::Plan;
use super::failing::{Failing, Kind};
use crate::{install, run};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::api::Body;
use testkit::server::{PERSONAL_KEY, PROJECT_KEY, Setup};
use testkit::{Numbers, Server, free_port};

/// Requests that fail, in percent.
const FAILING: u64 = 30;
/// Longest time for everything to be committed once nothing fails any more.
const SETTLE: Duration = Duration::from_secs(60);
const BUCKET: &str = "lake";

/// A process that ends with this.
struct Store(Child);

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let wanted = plan.amount(200, 5_000);
    let python = install::python_only(plan.root)?;
    let folder = testkit::scratch("stores")?;
    let port = free_port()?;
    let _store = store(&install::store(plan.root)?, port)?;
    let address = format!("http://127.0.0.1:{port}");
    let setup = |name: &str, settings: Vec<(&str, String)>| -> anyhow::Result<Setup> {
        let environment = settings.into_iter().map(|(key, value)| (format!("TENREC__{key}"), value));
        Ok(Setup {
            binary: plan.binary()?,
            data: folder.path().join(name),
            port: Some(free_port()?),
            environment: environment.collect(),
        })
    };
    let mut common = keys(&address);
    common.push(("TABLE__LOCATION", format!("s3://{BUCKET}/keeper")));
    common.push(("CARE__EVERY_SECONDS", "0".to_owned()));
    let keeper = setup("keeper", common)?;
    let keeping = Server::start(&keeper)?;
    let objects = Failing::start(port, Kind::Store, plan.seed)?;
    let catalog = Failing::start(keeper.port.context("a port")?, Kind::Catalog, plan.seed)?;
    let mut settings = keys(&objects.url);
    settings.extend([
        ("TABLE__LOCATION", String::new()),
        ("CATALOG__KIND", "rest".to_owned()),
        ("CATALOG__URI", format!("{}/iceberg", catalog.url)),
        ("CATALOG__TOKEN", PERSONAL_KEY.to_owned()),
        ("CATALOG__NAMESPACE", "lake".to_owned()),
        ("CATALOG__TIMEOUT_MS", "1500".to_owned()),
        ("CATALOG__RETRY_MS", "8000".to_owned()),
        ("INGEST__COMMIT_SECONDS", "1".to_owned()),
        ("INGEST__COMMIT_BYTES", "65536".to_owned()),
        ("CARE__EVERY_SECONDS", "5".to_owned()),
        ("CARE__MIN_FILES", "4".to_owned()),
        ("CARE__GRACE_SECONDS", "5".to_owned()),
        ("CARE__KEEP_SNAPSHOTS", "5".to_owned()),
    ]);
    let served = setup("data", settings)?;
    let server = Server::start(&served)?;
    for proxy in [&objects, &catalog] {
        proxy.fail(FAILING);
    }
    let (sent, commits, server) = load(plan, server, &served, wanted)?;
    for proxy in [&objects, &catalog] {
        proxy.fail(0);
    }
    let figures = judge(&server, sent)?;
    let status = server.stop(Duration::from_secs(60))?;
    anyhow::ensure!(status.success(), "the server ended with {status} after SIGTERM");
    let sweep = orphans(&served, false)?;
    anyhow::ensure!(orphans(&served, true)? == 0, "there are orphans after a sweep");
    let read = lake(plan.root, &python, keeping.url())?;
    anyhow::ensure!(
        read["rows"] == sent && read["uuids"] == sent,
        "pyiceberg reads {read}, {sent} were acked"
    );
    anyhow::ensure!(read["unreferenced"] == 0, "files that nothing refers to: {read}");
    let mut faults: BTreeMap<String, u64> = objects.counts();
    for (name, count) in catalog.counts() {
        *faults.entry(name).or_default() += count;
    }
    for needed in ["refused", "stalled", "reset", "truncated", "unanswered", "conflict"] {
        anyhow::ensure!(faults.contains_key(needed), "no request was {needed}: {faults:?}");
    }
    Ok(json!({"events": sent, "table_commits": commits, "faults": faults, "swept": sweep, "seen": figures}))
}

fn keys(endpoint: &str) -> Vec<(&'static str, String)> {
    vec![
        ("S3__ENDPOINT", endpoint.to_owned()),
        ("S3__REGION", "us-east-1".to_owned()),
        ("S3__ACCESS_KEY_ID", "testing".to_owned()),
        ("S3__SECRET_ACCESS_KEY", "testing".to_owned()),
        ("S3__ALLOW_HTTP", "true".to_owned()),
        ("S3__TIMEOUT_MS", "1500".to_owned()),
        ("S3__RETRY_MS", "8000".to_owned()),
    ]
}

fn store(python: &Path, port: u16) -> anyhow::Result<Store> {
    let mut command = Command::new(python);
    command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
    let store = Store(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().into();
    let start = Instant::now();
    // A bucket is made by a request that nobody has to sign here.
    while agent.put(format!("http://127.0.0.1:{port}/{BUCKET}")).send_empty().is_err() {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(60), "moto does not make a bucket");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(store)
}

/// Sends events until there were enough table commits, with kills in between; gives how many were acked.
fn load(plan: &Plan, mut server: Server, setup: &Setup, wanted: u64) -> anyhow::Result<(u64, u64, Server)> {
    let mut numbers = Numbers::of(plan.seed, 5);
    let (mut sent, mut commits, mut kills, mut told) = (0, 0, 0, 0);
    let start = Instant::now();
    loop {
        let events: Vec<Value> = (0..20)
            .map(|_| {
                let uuid = numbers.uuid();
                let pad = numbers.hex(200);
                json!({"event": "stored", "uuid": uuid, "distinct_id": format!("user {}", numbers.below(50)),
                       "properties": {"pad": pad, "$set": {"n": sent}}})
            })
            .collect();
        let body = json!({"api_key": PROJECT_KEY, "batch": events}).to_string();
        let (status, text) =
            server.api().send(&Body { path: "/batch/", bytes: body.into_bytes(), gzip: false })?;
        anyhow::ensure!(status == 200, "events are answered {status}: {text}");
        sent += 20;
        std::thread::sleep(Duration::from_millis(50));
        let done = commits + table_commits(&server.api())?;
        // A kill at a third and at two thirds.
        if kills < 2 && done >= wanted * (kills + 1) / 3 {
            commits = done;
            kills += 1;
            server.kill()?;
            server = Server::start(setup)?;
            continue;
        }
        if done >= wanted {
            return Ok((sent, done, server));
        }
        if start.elapsed().as_secs() / 10 > told {
            told += 1;
            println!("{sent} events, {done} table commits");
        }
    }
}

/// Snapshots made since the server's start, of all tables.
fn table_commits(api: &testkit::Api) -> anyhow::Result<u64> {
    let mut done = 0;
    for table in ["events", "persons", "person_distinct_ids"] {
        done += api.metric(&format!("tenrec_table_commits_total{{table=\"{table}\",result=\"ok\"}}"))? as u64;
    }
    Ok(done)
}

/// What SQL sees once nothing fails any more and everything is committed.
fn judge(server: &Server, sent: u64) -> anyhow::Result<Value> {
    let api = server.api();
    let start = Instant::now();
    loop {
        let rows = api.count("select count(*) from events where event = 'stored'")?;
        let uuids = api.count("select count(distinct uuid) from events where event = 'stored'")?;
        let waiting = api.metric("tenrec_table_tail_rows")?;
        anyhow::ensure!(rows <= sent, "{rows} rows are visible, {sent} were acked");
        if (rows, uuids) == (sent, sent) && waiting == 0.0 {
            return Ok(json!({"rows": rows, "settled_ms": start.elapsed().as_millis() as u64}));
        }
        anyhow::ensure!(
            start.elapsed() < SETTLE,
            "{rows} rows with {uuids} uuids of {sent} are visible, {waiting} wait to be committed"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Sweeps, or only counts; gives how many files.
fn orphans(setup: &Setup, dry: bool) -> anyhow::Result<u64> {
    let mut command = Command::new(&setup.binary);
    command.args(["table", "orphans", "--hours", "0", "--data"]).arg(&setup.data);
    command.envs(setup.environment.iter().cloned());
    if dry {
        command.arg("--dry-run");
    }
    let said = run::quiet(&mut command)?;
    let counts = said.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    Ok(counts.sum())
}

/// What another engine reads, and what lies in the bucket that no table of the catalog refers to.
fn lake(root: &Path, python: &Path, keeper: &str) -> anyhow::Result<Value> {
    let mut command = Command::new(python);
    command.arg(root.join("e2e/read_lake.py")).args([keeper, PERSONAL_KEY, BUCKET]);
    Ok(serde_json::from_str(&run::quiet(&mut command)?)?)
}
