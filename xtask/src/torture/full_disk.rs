//! R4: the disk is full, then it is not.
//!
//! Events are refused within a second and told when to come again; SQL answers; commits wait; when there is room again
//! everything goes on by itself and nothing acked is missing. With the right to mount the disk is a small one of its
//! own; without it, the log's own bound stands for the disk, and the commits are not held up.

use super::exchange::{Line, request};
use super::load::{self, Load, Tally};
use super::stage::Stage;
use super::{Plan, batch};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::server::PROJECT_KEY;

/// Events of a request.
const EVENTS: u64 = 20;
const SETTINGS: &[(&str, &str)] = &[
    ("TENREC__LOG__SEGMENT_BYTES", "4194304"),
    ("TENREC__LOG__MIN_FREE_BYTES", "8388608"),
    ("TENREC__INGEST__COMMIT_SECONDS", "1"),
];
/// The log alone is bounded where nothing can be mounted: less than a second of load.
const WITHOUT_MOUNT: &[(&str, &str)] = &[
    ("TENREC__LOG__SEGMENT_BYTES", "1048576"),
    ("TENREC__LOG__MAX_BYTES", "2200000"),
    ("TENREC__CAPTURE__MAX_BODY_BYTES", "1000000"),
    ("TENREC__CAPTURE__MAX_REPLAY_BODY_BYTES", "1000000"),
    ("TENREC__CAPTURE__MAX_V1_BODY_BYTES", "1000000"),
    ("TENREC__CAPTURE__MAX_DECOMPRESSED_BYTES", "1000000"),
    ("TENREC__INGEST__COMMIT_SECONDS", "5"),
];

/// A disk of its own, unmounted when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(at)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=160m", "tmpfs"]).arg(at);
        crate::run::quiet(&mut mount)?;
        Ok(Self(at.to_owned()))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server may still be ending.
        let _ = crate::run::quiet(Command::new("umount").arg("-l").arg(&self.0));
    }
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let folder = testkit::scratch("full")?;
    // What the server says goes to the full disk, too: that must not be its end.
    let at = folder.path().join("disk");
    match Disk::mount(&at) {
        Ok(disk) => on_a_disk(plan, &disk, folder),
        Err(fault) => {
            println!("nothing can be mounted ({fault:#}): the log's own bound stands for the disk");
            on_a_bound(plan)
        }
    }
}

fn on_a_disk(plan: &Plan, disk: &Disk, folder: tempfile::TempDir) -> anyhow::Result<Value> {
    let mut stage = Stage::open_at(plan, disk.0.join("data"), folder, SETTINGS)?;
    let requests = batch::page_views(PROJECT_KEY, "load", plan.seed, EVENTS);
    let load = |span: u64, rate: f64| Load {
        address: stage.address(),
        requests: requests.clone(),
        clients: 8,
        span: Duration::from_secs(span),
        rate: Some(rate),
        fresh: false,
        gives_up: None,
    };
    let mut sum = Sum::default();
    sum.add(&load::send(&load(2, 20.0))?)?;
    for _ in 0..plan.amount(3, 20) {
        let ballast = disk.0.join("ballast");
        let full = fill(&ballast)?;
        sum.refused_after = sum.refused_after.max(refused(&stage)?);
        let stuck = load(4, 20.0);
        let clients = std::thread::spawn(move || load::send(&stuck));
        while !clients.is_finished() {
            // Questions are answered all the time.
            let asked = Instant::now();
            stage.server().api().count("select count(*) from events").context("SQL on a full disk")?;
            sum.slowest_sql = sum.slowest_sql.max(asked.elapsed());
            std::thread::sleep(Duration::from_millis(100));
        }
        let tally = clients.join().map_err(|_| anyhow::anyhow!("the clients panicked"))??;
        anyhow::ensure!(tally.acked == 0, "acked {} requests on a full disk", tally.acked);
        sum.add(&tally)?;
        drop(full);
        std::fs::remove_file(&ballast)?;
        sum.resumed_after = sum.resumed_after.max(resumed(&stage, &mut sum)?);
        sum.add(&load::send(&load(2, 20.0))?)?;
    }
    // Whatever waits is committed by the stop; a start finds all of it.
    stage.restart(Duration::from_secs(10))?;
    let figures = sum.judge(&stage)?;
    stage.close()?;
    Ok(figures)
}

fn on_a_bound(plan: &Plan) -> anyhow::Result<Value> {
    let stage = Stage::open(plan, WITHOUT_MOUNT)?;
    let load = Load {
        address: stage.address(),
        requests: batch::page_views(PROJECT_KEY, "load", plan.seed, EVENTS),
        clients: 8,
        span: Duration::from_secs(plan.amount(12, 60)),
        rate: Some(200.0),
        fresh: false,
        gives_up: None,
    };
    let mut sum = Sum::default();
    let tally = load::send(&load)?;
    anyhow::ensure!(tally.refused > 0, "the log never was full: {}", tally.figures());
    sum.add(&tally)?;
    sum.resumed_after = resumed(&stage, &mut sum)?;
    let figures = sum.judge(&stage)?;
    stage.close()?;
    Ok(figures)
}

/// What happened in all rounds.
#[derive(Default)]
struct Sum {
    acked: u64,
    refused: u64,
    refused_after: Duration,
    resumed_after: Duration,
    slowest_sql: Duration,
}

impl Sum {
    fn add(&mut self, tally: &Tally) -> anyhow::Result<()> {
        anyhow::ensure!(tally.odd.is_empty() && tally.broken == 0, "odd answers: {}", tally.figures());
        self.acked += tally.acked * EVENTS;
        self.refused += tally.refused;
        Ok(())
    }

    fn judge(&self, stage: &Stage) -> anyhow::Result<Value> {
        let seen = stage.visible("load", self.acked)?;
        let figures = json!({
            "acked": self.acked, "visible": seen, "refused": self.refused,
            "refused_after_ms": self.refused_after.as_millis(), "resumed_after_ms": self.resumed_after.as_millis(),
            "slowest_sql_ms": self.slowest_sql.as_millis(),
        });
        anyhow::ensure!(seen == self.acked, "visible is not what was acked: {figures}");
        Ok(figures)
    }
}

/// Takes every byte that is left.
fn fill(ballast: &Path) -> anyhow::Result<File> {
    let mut file = File::create(ballast)?;
    for size in [1 << 20, 64 << 10, 4 << 10] {
        let piece = vec![0x55; size];
        while file.write_all(&piece).is_ok() {}
    }
    Ok(file)
}

/// How long events are still taken; then they are refused as they should.
fn refused(stage: &Stage) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let mut line = Line::open(&stage.address())?;
    loop {
        let answer = line.send(&probe("probe"))?;
        if answer.status == 503 {
            anyhow::ensure!(answer.says_when(), "503 without Retry-After: {}", answer.head);
            return Ok(start.elapsed());
        }
        anyhow::ensure!(
            start.elapsed() < Duration::from_millis(1500),
            "still {} on a full disk",
            answer.status
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How long it takes until events are taken again and commits are made.
fn resumed(stage: &Stage, sum: &mut Sum) -> anyhow::Result<Duration> {
    let address = stage.address();
    let took = stage.wait("events are taken again", Duration::from_secs(10), || {
        Ok(Line::open(&address)?.send(&probe("probe"))?.status == 200)
    })?;
    let api = stage.server().api();
    let committed = || api.metric("tenrec_table_committed_rows_total");
    let before = committed()?;
    stage.wait("a commit is made", Duration::from_secs(20), || {
        let answer = Line::open(&address)?.send(&probe("load"))?;
        sum.acked += u64::from(answer.status == 200);
        Ok(committed()? > before)
    })?;
    Ok(took)
}

fn probe(name: &str) -> Vec<u8> {
    let body = json!({"api_key": PROJECT_KEY, "event": name, "distinct_id": "probe"}).to_string();
    request("POST", "/i/v0/e/", "Content-Type: application/json\r\n", body.as_bytes())
}
