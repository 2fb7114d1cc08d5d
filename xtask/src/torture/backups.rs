//! R16: a backup under load, the death of its source, a restore elsewhere. Every event acked before the backup began is
//! there once, other engines read the tables, the server goes on; and a flipped bit in the backup is found.

use super::load::{self, Load, Tally};
use super::{Plan, batch};
use crate::crash::{self, Trial};
use crate::run;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use testkit::api::Body;
use testkit::server::{PERSONAL_KEY, PROJECT_KEY};
use testkit::{Api, Numbers, Server};

const WRITERS: u64 = 6;
/// How long clients send at most.
const LONGEST: Duration = Duration::from_secs(180);
/// Events of a request of the load.
const EVENTS: u64 = 5;

/// The program on the command line.
struct Program(PathBuf);

impl Program {
    fn run(&self, words: &[&str]) -> anyhow::Result<String> {
        run::quiet(Command::new(&self.0).args(words))
    }

    /// Runs what must fail and gives what it says.
    fn fails(&self, words: &[&str]) -> anyhow::Result<String> {
        match self.run(words) {
            Ok(text) => anyhow::bail!("`{}` went well: {text}", words.join(" ")),
            Err(fault) => Ok(format!("{fault:#}")),
        }
    }
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let mut trial = Trial::new("backup", plan.binary()?, plan.seed, crash::SETTINGS)?;
    let program = Program(trial.setup.binary.clone());
    let target = text(&trial.beside("backups"))?;
    let server = Server::start(&trial.setup)?;
    let crew = trial.crew(server.url(), WRITERS);
    std::thread::sleep(Duration::from_secs(plan.amount(4, 60)));
    let sent = crew.end()?;
    let begun = under_load(plan, server, &program, &trial.setup.data, &target)?;
    let said = program.run(&["backup", "verify", &target])?;
    anyhow::ensure!(said.contains("all as written"), "verify says {said}");
    flip(plan, &program, &target)?;

    let (restored, moved) = (trial.beside("elsewhere/data"), trial.beside("moved"));
    let started = Instant::now();
    program.run(&["restore", &target, "--to", &text(&restored)?])?;
    let restore = started.elapsed();
    let refused = program.fails(&["restore", &target, "--to", &text(&restored)?])?;
    anyhow::ensure!(refused.contains("is not empty"), "a second restore into the folder says {refused}");
    trial.setup.data = restored.clone();
    let server = Server::start(&trial.setup)?;
    let visible = once(&server.api(), begun.visible)?;
    let refused = program.fails(&["restore", &text(&restored)?, "--to", &text(&moved)?])?;
    anyhow::ensure!(refused.contains("a server is using"), "moving a folder in use says {refused}");
    let status = server.stop(Duration::from_secs(60))?;
    anyhow::ensure!(status.success(), "the restored server ended with {status}");

    program.run(&["restore", &text(&restored)?, "--to", &text(&moved)?])?;
    std::fs::remove_dir_all(&restored)?;
    program.run(&["backup", "prune", &target, "--keep", "1"])?;
    program.run(&["backup", "verify", &target])?;
    trial.setup.data = moved;
    let server = Server::start(&trial.setup)?;
    blocks_are_there(&server.api(), &trial.setup.data)?;
    let again = once(&server.api(), visible)?;
    anyhow::ensure!(again == visible, "the moved folder has {again} events, the restored one had {visible}");
    let mut figures = trial.judge(plan.root, server, &sent, plan.keep)?;
    figures["load"] = json!({"visible_before": begun.visible, "restored": visible, "acked": begun.acked});
    figures["copied_bytes"] = json!({"first": begun.first, "second": begun.second});
    figures["restore_ms"] = u64::try_from(restore.as_millis())?.into();
    Ok(figures)
}

/// What was there when the last backup began.
struct Begun {
    visible: u64,
    acked: u64,
    first: u64,
    second: u64,
}

/// Two backups while clients send, and the end of the server.
fn under_load(
    plan: &Plan,
    server: Server,
    program: &Program,
    data: &Path,
    target: &str,
) -> anyhow::Result<Begun> {
    let address = server.url().trim_start_matches("http://").to_owned();
    let load = Load {
        address,
        requests: batch::page_views(PROJECT_KEY, "load", plan.seed, EVENTS),
        clients: 8,
        span: Duration::from_secs(1),
        rate: Some(200.0),
        fresh: false,
        gives_up: None,
    };
    // However long the backups take: the clients go on until the server is gone, and notice that.
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    let clients = std::thread::spawn(move || {
        let mut sum = Tally::default();
        let began = Instant::now();
        while !ended.load(Ordering::Acquire) && began.elapsed() < LONGEST {
            sum.add(&load::send(&load)?)?;
        }
        anyhow::Ok(sum)
    });
    std::thread::sleep(Duration::from_millis(1500));
    let data = text(data)?;
    let first = copied(&program.run(&["backup", target, "--data", &data])?)?;
    std::thread::sleep(Duration::from_millis(1500));
    let visible = server.api().count("select count(*) from events where event = 'load'")?;
    // The second one through the server, as from another machine.
    let asked = ["backup", target, "--url", server.url(), "--key", PERSONAL_KEY];
    let second = copied(&program.run(&asked)?)?;
    server.kill()?;
    std::thread::sleep(Duration::from_millis(100));
    over.store(true, Ordering::Release);
    let tally = clients.join().map_err(|_| anyhow::anyhow!("the clients panicked"))??;
    anyhow::ensure!(visible > 0 && tally.broken > 0, "the backup was not taken under load: {visible} events");
    anyhow::ensure!(second.copied < second.all, "the second backup copied everything again");
    let held = Path::new(&data).join("backup");
    let left = std::fs::read_dir(held)?.filter_map(Result::ok).filter(|entry| entry.path().is_dir()).count();
    anyhow::ensure!(left == 0, "{left} moments are still held");
    Ok(Begun { visible, acked: tally.acked * EVENTS, first: first.copied, second: second.copied })
}

/// What a backup says it did.
struct Copied {
    all: u64,
    copied: u64,
}

/// `backup ID: N file(s), BYTES bytes; copied N file(s), BYTES bytes`.
fn copied(said: &str) -> anyhow::Result<Copied> {
    let numbers: Vec<u64> = said
        .split_once(": ")
        .with_context(|| format!("a backup says {said}"))?
        .1
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    anyhow::ensure!(numbers.len() == 4, "a backup says {said}");
    Ok(Copied { all: numbers[1], copied: numbers[3] })
}

/// How many events of the load there are once the log is folded: all that were visible when the backup began, each once.
fn once(api: &Api, least: u64) -> anyhow::Result<u64> {
    // The log is folded in order: when an event that is sent now can be seen, so can all before it.
    let fence = format!("fence-{:?}", Instant::now());
    let event = json!({"api_key": PROJECT_KEY, "event": "fence", "distinct_id": fence});
    let (status, said) =
        api.send(&Body { path: "/capture/", bytes: event.to_string().into_bytes(), gzip: false })?;
    anyhow::ensure!(status == 200, "the fence: {status} {said}");
    let start = Instant::now();
    while api.count(&format!("select count(*) from events where distinct_id = '{fence}'"))? == 0 {
        anyhow::ensure!(start.elapsed() < Duration::from_secs(30), "the log is not folded after 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
    let rows = api.query("select count(*), count(distinct uuid) from events where event = 'load'")?;
    let cell = |at: usize| rows[0][at].as_u64().with_context(|| format!("{rows:?} are no counts"));
    let (all, different) = (cell(0)?, cell(1)?);
    anyhow::ensure!(all == different, "{all} events were restored, {different} different ones");
    anyhow::ensure!(all >= least, "{least} events were visible when the backup began, {all} were restored");
    Ok(all)
}

/// Every row of a recording names bytes of a file in the folder.
fn blocks_are_there(api: &Api, data: &Path) -> anyhow::Result<()> {
    let rows =
        api.query("select block_url from session_replay_blocks where block_url is not null limit 50000")?;
    anyhow::ensure!(!rows.is_empty(), "there are no recordings");
    let root = format!("file://{}/", text(&data.canonicalize()?)?);
    for row in rows {
        let url = row[0].as_str().unwrap_or_default();
        let (path, range) =
            url.split_once("?range=bytes=").with_context(|| format!("{url} is no address"))?;
        anyhow::ensure!(path.starts_with(&root), "{url} is not below {root}");
        let last: u64 = range.rsplit('-').next().unwrap_or_default().parse()?;
        let length =
            std::fs::metadata(path.trim_start_matches("file://")).with_context(|| url.to_owned())?.len();
        anyhow::ensure!(last < length, "{url} ends after its file");
    }
    Ok(())
}

/// Flips one bit of one file of the backup, looks whether it is found, and flips it back.
fn flip(plan: &Plan, program: &Program, target: &str) -> anyhow::Result<()> {
    let mut chance = Numbers::of(plan.seed, 0x666c_6970);
    let mut files = Vec::new();
    let mut pending = vec![Path::new(target).join("content"), Path::new(target).join("backups")];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { pending.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    for _ in 0..plan.amount(2, 40) {
        let path = chance.pick(&files);
        let file = File::options().read(true).write(true).open(path)?;
        let at = chance.below(file.metadata()?.len().max(1));
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        file.write_all_at(&[byte[0] ^ (1 << chance.below(8))], at)?;
        let said = program.fails(&["backup", "verify", target])?;
        let found = said.contains("damaged") || said.contains("has format");
        anyhow::ensure!(found, "byte {at} of {} was flipped: {said}", path.display());
        file.write_all_at(&byte, at)?;
    }
    Ok(())
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(str::to_owned).context("a path that is not UTF-8")
}
