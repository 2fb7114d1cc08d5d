//! R1b: SIGKILL exactly at each named point of the write path, under load, at the start and at the very first start.
//!
//! First a census: servers that live through a first start, a start after a kill, load and table care note each point they
//! pass. The code's list of points must be exactly what was passed: a point that nothing passes proves nothing. Then
//! the server is started again and again, each time told where to kill itself, on folders that live on. In the end each
//! folder is judged as after random kills.

use super::{Plan, armed};
use crate::crash::{self, Trial};
use crate::tidy;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use testkit::{Numbers, Server};

/// Folders that are tortured at the same time: a server mostly waits for the disk.
const LANES: u64 = 4;
const WRITERS: u64 = 3;
/// How long a point may stay unpassed before the server is killed anyway: a rare one that was to be let pass some times,
/// and any.
const SOON: Duration = Duration::from_secs(4);
const AT_ALL: Duration = Duration::from_secs(30);

/// Beside small limits: segments that fill at once, and table care every second, which gives files no rest.
const CARE: &[(&str, &str)] = &[
    ("TENREC__LOG__SEGMENT_BYTES", "65536"),
    ("TENREC__CARE__EVERY_SECONDS", "1"),
    ("TENREC__CARE__MIN_FILES", "2"),
    ("TENREC__CARE__QUIET_SECONDS", "1"),
    ("TENREC__CARE__GROUP_ROWS", "100"),
    ("TENREC__CARE__KEEP_SNAPSHOTS", "1"),
    ("TENREC__CARE__GRACE_SECONDS", "2"),
    ("TENREC__QUERY__TIMEOUT_SECONDS", "1"),
];

/// When a point is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// At the first start, in an empty folder.
    First,
    /// At the start after a kill, before the server is ready.
    Start,
    /// At the start after a kill or under load, whenever it is passed.
    Load,
}

/// One strike to come.
#[derive(Clone, Debug)]
struct Strike {
    point: String,
    when: When,
    /// Passes that are let go by.
    skip: u64,
}

/// The points that were passed, by when.
#[derive(Default)]
struct Census {
    first: BTreeSet<String>,
    start: BTreeSet<String>,
    load: BTreeSet<String>,
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let binary = armed::build(plan)?;
    let points = tidy::fail_points(plan.root)?;
    let census = Census::take(&binary, plan.seed, &points)?;
    let strikes = census.strikes(plan);
    println!("{} points in the code, all passed; {} strikes", points.len(), strikes.len());
    let start = Instant::now();
    let lanes = std::thread::scope(|scope| {
        let lane = |lane: u64| {
            let mine: Vec<Strike> =
                (lane..).step_by(LANES as usize).map_while(|at| strikes.get(at as usize).cloned()).collect();
            let binary = binary.clone();
            scope.spawn(move || strike_all(plan, binary, lane, &mine))
        };
        let lanes: Vec<_> = (0..LANES).map(lane).collect();
        lanes
            .into_iter()
            .map(|lane| lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))?)
            .collect::<anyhow::Result<Vec<Value>>>()
    })?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({"points": points.len(), "strikes": strikes.len(), "strike_seconds": seconds, "lanes": lanes}))
}

impl Census {
    /// Lets two servers pass every point, and compares with the list.
    fn take(binary: &Path, seed: u64, points: &BTreeSet<String>) -> anyhow::Result<Self> {
        let trial = trial("census", binary.to_owned(), seed)?;
        let noted = |name: &str| -> anyhow::Result<(Server, PathBuf)> {
            let path = trial.beside(name);
            let server = Server::start(&trial.with(&[("TENREC_FAULT_LOG", path.display().to_string())]))?;
            Ok((server, path))
        };
        let mut census = Self::default();
        let (server, path) = noted("first")?;
        census.first = passed(&path);
        let crew = trial.crew(server.url(), WRITERS);
        std::thread::sleep(Duration::from_secs(1));
        server.kill()?;
        let (server, path) = noted("second")?;
        census.start = passed(&path);
        let began = Instant::now();
        let mut grew = began;
        loop {
            let now = passed(&path);
            if now != census.load {
                (census.load, grew) = (now, Instant::now());
            }
            let seen: BTreeSet<String> = census.first.union(&census.load).cloned().collect();
            if seen.is_superset(points) && grew.elapsed() > SOON {
                let unknown: Vec<&String> = seen.difference(points).collect();
                anyhow::ensure!(unknown.is_empty(), "the search of the code does not find {unknown:?}");
                break;
            }
            let never: Vec<&String> = points.difference(&seen).collect();
            anyhow::ensure!(began.elapsed() < AT_ALL, "points in the code that nothing passes: {never:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        crew.end()?;
        server.kill()?;
        Ok(census)
    }

    /// Every point as often as the size says, in an order that follows from the seed.
    fn strikes(&self, plan: &Plan) -> Vec<Strike> {
        let mut numbers = Numbers::of(plan.seed ^ 0x7374_7269, 0);
        let mut strikes = Vec::new();
        for (points, when, times) in [
            (&self.first, When::First, plan.amount(1, 5)),
            (&self.start, When::Start, plan.amount(1, 20)),
            (&self.load, When::Load, plan.amount(2, 100)),
        ] {
            for point in points {
                for time in 0..times {
                    let skip = if time == 0 { 0 } else { numbers.below(5) };
                    strikes.push(Strike { point: point.clone(), when, skip });
                }
            }
        }
        for at in (1..strikes.len()).rev() {
            strikes.swap(at, numbers.below(at as u64 + 1) as usize);
        }
        strikes
    }
}

fn trial(name: &str, binary: PathBuf, seed: u64) -> anyhow::Result<Trial> {
    Trial::new(name, binary, seed, &[crash::SETTINGS, CARE].concat())
}

/// The points in a file of notes, without the one that was struck.
fn passed(notes: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(notes).unwrap_or_default();
    text.lines().filter(|line| !line.starts_with("struck ")).map(str::to_owned).collect()
}

/// Does the strikes of one lane, then judges its folder.
fn strike_all(plan: &Plan, binary: PathBuf, lane: u64, strikes: &[Strike]) -> anyhow::Result<Value> {
    let trial = trial("points", binary.clone(), plan.seed.wrapping_add(lane))?;
    let server = Server::start(&trial.setup)?;
    let crew = trial.crew(server.url(), WRITERS);
    server.kill()?;
    let mut passed_by = 0;
    for (number, strike) in strikes.iter().enumerate() {
        let name = format!("notes-{number}");
        let struck = match strike.when {
            When::First => first_start(&binary, plan.seed, strike)?,
            When::Start | When::Load => {
                let limit = if strike.skip > 0 { SOON } else { AT_ALL };
                live(&trial, strike, &name, limit)? || {
                    anyhow::ensure!(strike.skip > 0, "{} was not passed within {limit:?}", strike.point);
                    passed_by += 1;
                    live(&trial, &Strike { skip: 0, ..strike.clone() }, &format!("{name}-again"), AT_ALL)?
                }
            }
        };
        anyhow::ensure!(struck, "{} was not struck at {:?}", strike.point, strike.when);
    }
    let calm = trial.with(&[
        ("TENREC__QUERY__TIMEOUT_SECONDS", "60".to_owned()),
        ("TENREC__CARE__GRACE_SECONDS", "61".to_owned()),
    ]);
    let server = Server::start(&calm).context("the last start")?;
    let sent = crew.end()?;
    let mut figures = trial.judge(plan.root, server, &sent, plan.keep)?;
    figures["strikes"] = strikes.len().into();
    figures["let_pass_too_often"] = passed_by.into();
    Ok(figures)
}

/// One life that is to end at a point; false when it had to be ended otherwise.
fn live(trial: &Trial, strike: &Strike, notes: &str, limit: Duration) -> anyhow::Result<bool> {
    let path = trial.beside(notes);
    let setup = trial.with(&[
        ("TENREC_FAULT", format!("{}+{}", strike.point, strike.skip)),
        ("TENREC_FAULT_LOG", path.display().to_string()),
    ]);
    let struck =
        || std::fs::read_to_string(&path).unwrap_or_default().lines().any(|line| line.starts_with("struck "));
    let mut server = match Server::start(&setup) {
        Ok(server) => server,
        Err(_) if struck() => return Ok(true),
        Err(fault) => return Err(fault.context(format!("with {} armed", strike.point))),
    };
    let ended = server.ended(limit)?;
    anyhow::ensure!(ended.is_none() || struck(), "ended with {ended:?} and not at {}", strike.point);
    server.kill()?;
    Ok(struck())
}

/// A first start that is killed, and a second one that must make a whole server of what it finds.
fn first_start(binary: &Path, seed: u64, strike: &Strike) -> anyhow::Result<bool> {
    let trial = trial("first", binary.to_owned(), seed)?;
    let setup = trial.with(&[
        ("TENREC_FAULT", format!("{}+{}", strike.point, strike.skip)),
        ("TENREC_FAULT_LOG", trial.beside("notes").display().to_string()),
    ]);
    let struck = || std::fs::read_to_string(trial.beside("notes")).unwrap_or_default().contains("struck ");
    if let Ok(mut server) = Server::start(&setup) {
        // Bootstrapping may end after the port opened.
        server.ended(Duration::from_millis(500))?;
        server.kill()?;
    }
    let server = Server::start(&trial.setup).with_context(|| format!("the start after {}", strike.point))?;
    let crew = trial.crew(server.url(), 1);
    let sent = crew.end()?;
    let found = server.api().query("select event from events limit 1");
    anyhow::ensure!(
        found.is_ok() && sent.iter().all(|one| one.refused.is_empty()),
        "{}: {found:?}, {sent:?}",
        strike.point
    );
    server.stop(Duration::from_secs(60))?;
    Ok(struck() || strike.skip > 0)
}
