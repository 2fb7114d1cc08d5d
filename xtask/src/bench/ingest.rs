//! The ingest measures: what goes in, on how many connections, and what is noted.

use super::Options;
use super::client::{self, Load, Prepared};
use super::process::{Binaries, Running, Which};
use super::report::{self, Note, Sizes};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use testkit::server::{PERSONAL_KEY, PROJECT_KEY};
use testkit::workload::{Kind, Workload, gzip};
use testkit::{Api, Profile, build, build_floor, scratch};

/// One kind of request.
pub struct Measure {
    /// Name in the output.
    pub name: &'static str,
    kind: Kind,
    /// Events per request.
    pub batch: u64,
    gzip: bool,
    connections: usize,
    /// Acked durable events per second and core, where there is a goal.
    pub goal: Option<f64>,
}

/// The workloads of the performance page, with its connection counts.
pub const MEASURES: &[Measure] = &[
    Measure {
        name: "pv_single",
        kind: Kind::PageView,
        batch: 1,
        gzip: false,
        connections: 256,
        goal: Some(26_000.0),
    },
    Measure { name: "sv_single", kind: Kind::Server, batch: 1, gzip: false, connections: 256, goal: None },
    Measure {
        name: "sv_batch",
        kind: Kind::Server,
        batch: 100,
        gzip: false,
        connections: 32,
        goal: Some(400_000.0),
    },
    Measure {
        name: "pv_batch",
        kind: Kind::PageView,
        batch: 100,
        gzip: false,
        connections: 16,
        goal: Some(85_000.0),
    },
    Measure {
        name: "pv_batch_gzip",
        kind: Kind::PageView,
        batch: 100,
        gzip: true,
        connections: 16,
        goal: Some(100_000.0),
    },
    Measure {
        name: "pv_single_gzip",
        kind: Kind::PageView,
        batch: 1,
        gzip: true,
        connections: 32,
        goal: None,
    },
];

/// How long after the load everything must be visible.
const DRAIN: Duration = Duration::from_secs(120);
const PROBES: u64 = 100;

/// Runs all rounds and prints lines and table.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let binaries = Binaries { ours: build(root, Profile::Release)?, floor: build_floor(root)? };
    let folder = scratch("bench")?;
    let chosen: Vec<&Measure> =
        MEASURES.iter().filter(|one| options.only.as_ref().is_none_or(|name| name == one.name)).collect();
    anyhow::ensure!(!chosen.is_empty(), "no measure of that name");
    let span = Duration::from_secs(options.seconds);
    let mut notes = Vec::new();
    for round in 1..=options.rounds {
        for measure in &chosen {
            let requests = Arc::new(measure.requests(u64::from(round)));
            for which in [Which::Floor, Which::Ours] {
                let running = Running::start(which, &binaries, folder.path())?;
                let note = throughput(measure, &running, &requests, span)?;
                println!("{}", note.line(round));
                notes.push(note);
            }
        }
    }
    let rate = report::median_rate(&notes, "pv_single") / 2.0;
    if rate > 0.0 {
        for which in [Which::Floor, Which::Ours, Which::Floor, Which::Ours] {
            let running = Running::start(which, &binaries, folder.path())?;
            latency(&MEASURES[0], &running, rate, span)?;
        }
    }
    let running = Running::start(Which::Ours, &binaries, folder.path())?;
    visibility(&running)?;
    drop(running);
    report::table(&notes);
    Ok(())
}

impl Measure {
    /// Enough different requests that compressed ones, whose uuids stay, rarely repeat.
    fn requests(&self, seed: u64) -> Vec<Prepared> {
        let workload = Workload { kind: self.kind, seed, start: now() };
        let count = match (self.gzip, self.batch) {
            (true, 1) => 40_000,
            (true, _) => 1_500,
            (false, 1) => 4_000,
            (false, _) => 100,
        };
        let path = if self.batch == 1 { "/i/v0/e/" } else { "/batch/" };
        (0..count)
            .map(|number| {
                let body = match self.batch {
                    1 => workload.single(PROJECT_KEY, number),
                    many => workload.batch(PROJECT_KEY, number * many, many),
                };
                let body = if self.gzip { gzip(&body) } else { body };
                Prepared::new(path, &body, self.gzip)
            })
            .collect()
    }

    fn load(&self, running: &Running, requests: Arc<Vec<Prepared>>, span: Duration) -> Load {
        Load { address: running.address().to_owned(), requests, connections: self.connections, span }
    }
}

/// Closed loop: how much is acked, at what cost of CPU; then how much more it costs until all is visible.
fn throughput(
    measure: &Measure,
    running: &Running,
    requests: &Arc<Vec<Prepared>>,
    span: Duration,
) -> anyhow::Result<Note> {
    std::thread::sleep(Duration::from_millis(300));
    let idle = running.memory("VmRSS")?;
    let before = running.cpu()?;
    let outcome = client::closed(&measure.load(running, Arc::clone(requests), span))?;
    let used = running.cpu()? - before;
    let events = outcome.acked * measure.batch;
    anyhow::ensure!(events > 0, "{}: nothing was acked, {} failed", measure.name, outcome.failed);
    let mut note = Note {
        name: measure.name,
        ours: matches!(running, Running::Ours(_)),
        goal: measure.goal,
        events,
        failed: outcome.failed,
        wall: outcome.wall.as_secs_f64(),
        ack_cpu_us: used.ack * 1e6 / events as f64,
        cpu_us: used.whole * 1e6 / events as f64,
        landed_cpu_us: None,
        drain: None,
        p50_ms: outcome.latency.value_at_quantile(0.5) as f64 / 1000.0,
        p99_ms: outcome.latency.value_at_quantile(0.99) as f64 / 1000.0,
        idle_mb: idle,
        peak_mb: 0.0,
        sizes: Sizes::default(),
    };
    if let Running::Ours(server) = running {
        note.sizes.start_ms = server.started_in().as_secs_f64() * 1e3;
        note.sizes.log_bytes = server.api().metric("tenrec_log_written_bytes_total")? / events as f64;
        let start = Instant::now();
        let repeats = measure.gzip && outcome.acked > requests.len() as u64;
        let wanted = if repeats { requests.len() as u64 * measure.batch } else { events };
        while server.api().count("select count(*) from events")? < wanted && start.elapsed() < DRAIN {
            // Rarely: what the query costs is counted with what it waits for.
            std::thread::sleep(Duration::from_millis(250));
        }
        note.drain = (start.elapsed() < DRAIN).then(|| start.elapsed().as_secs_f64());
        let committed =
            |what| server.api().metric(&format!("tenrec_table_committed_{what}_total{{table=\"events\""));
        let rows = committed("rows")?;
        note.sizes.table_bytes = (rows > 0.0).then_some(committed("bytes")? / rows);
        note.landed_cpu_us = Some((running.cpu()? - before).whole * 1e6 / events as f64);
    }
    note.peak_mb = running.memory("VmHWM")?;
    Ok(note)
}

/// Open loop at a fixed rate.
fn latency(measure: &Measure, running: &Running, rate: f64, span: Duration) -> anyhow::Result<()> {
    let requests = Arc::new(measure.requests(99));
    let outcome = client::open(&measure.load(running, requests, span * 2), rate)?;
    let at = |quantile: f64| outcome.latency.value_at_quantile(quantile) as f64 / 1000.0;
    let server = if matches!(running, Running::Ours(_)) { "ours" } else { "floor" };
    let line = json!({
        "measure": "ack_latency_open_loop", "server": server, "rate": rate.round(), "acked": outcome.acked,
        "failed": outcome.failed, "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "p999_ms": at(0.999),
        "max_ms": outcome.latency.max() as f64 / 1000.0, "goal_p50_ms": 1.5, "goal_p99_ms": 10.0,
    });
    println!("{line}");
    Ok(())
}

/// Single events on an otherwise idle server: from the ack until SQL shows it.
fn visibility(running: &Running) -> anyhow::Result<()> {
    let api = Api::new(&format!("http://{}", running.address()), PROJECT_KEY, PERSONAL_KEY);
    let mut times = client::microseconds();
    let workload = Workload { kind: Kind::PageView, seed: 77, start: now() };
    for number in 0..PROBES {
        let event = workload.event(number);
        let body =
            testkit::api::Body { path: "/i/v0/e/", bytes: workload.single(PROJECT_KEY, number), gzip: false };
        let (status, text) = api.send(&body)?;
        anyhow::ensure!(status == 200, "{status} {text}");
        let acked = Instant::now();
        let sql = format!(
            "select count(*) from events where uuid = '{}'",
            event["uuid"].as_str().unwrap_or_default()
        );
        while api.count(&sql)? == 0 {
            anyhow::ensure!(acked.elapsed() < Duration::from_secs(30), "not visible after 30 s: {event}");
        }
        times.saturating_record(u64::try_from(acked.elapsed().as_micros())?);
    }
    let at = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1000.0;
    let line = json!({
        "measure": "visible_in_sql", "server": "ours", "probes": PROBES, "p50_ms": at(0.5), "p99_ms": at(0.99),
        "max_ms": times.max() as f64 / 1000.0, "goal_p99_ms": 1000.0,
    });
    println!("{line}");
    Ok(())
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
