//! R15: readers beside compaction, retention, erasure and expiry: a count never dips, what was erased stays erased.
//!
//! Writers of the common oracle send all the time and are judged in the end. Meanwhile readers ask SQL: every answer is
//! at least what any earlier question was told, a person is there whole or not at all, and gone for good once the answer
//! to its erasure has come.

use super::Plan;
use super::tend::{self, Tender};
use crate::crash::Trial;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use testkit::{Api, Numbers, Server};

const WRITERS: u64 = 2;
const READERS: u64 = 4;
/// Events of a person who will be erased, and of old days that will be dropped.
const EVENTS: u64 = 5;

/// What readers know of each other's answers.
#[derive(Default)]
struct Known {
    steady: AtomicU64,
    asked: AtomicU64,
    /// The lowest count of old events that was told: it only falls.
    old: Mutex<u64>,
    /// Persons sent so far, and those of them that are erased.
    sent: AtomicU64,
    erased: Mutex<Vec<u64>>,
    over: AtomicBool,
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let wanted = plan.amount(2_000, 200_000);
    let trial = Trial::new("readers", plan.binary()?, plan.seed, tend::SETTINGS)?;
    let server = Server::start(&trial.setup)?;
    let tender = Tender::of(&trial.setup.binary, server.url());
    let api = server.api();
    tend::send(&api, "old", "old", EVENTS, 40)?;
    let known = Known { old: Mutex::new(EVENTS), ..Known::default() };
    while api.count("select count(*) from events where event = 'old'")? < EVENTS {
        std::thread::sleep(Duration::from_millis(20));
    }
    let crew = trial.crew(server.url(), WRITERS);
    let (figures, done) = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|number| {
                let (known, api) = (&known, server.api());
                let chance = Numbers::of(plan.seed, number);
                scope.spawn(move || {
                    let read = read(&api, known, chance, wanted);
                    known.over.store(true, Ordering::Release);
                    read
                })
            })
            .collect();
        let tended = tend_on(&tender, &api, &known);
        known.over.store(true, Ordering::Release);
        let read = readers.into_iter().map(|reader| {
            reader.join().map_err(|_| anyhow::anyhow!("a reader panicked")).and_then(|read| read)
        });
        (tended, read.collect::<anyhow::Result<Vec<()>>>())
    });
    let sent = crew.end()?;
    done?;
    let mut figures = figures?;
    for victim in known.erased.lock().map_err(|_| anyhow::anyhow!("a reader panicked"))?.iter() {
        let left =
            api.count(&format!("select count(*) from events where distinct_id = 'victim-{victim}'"))?;
        anyhow::ensure!(left == 0, "victim-{victim} has {left} events again");
    }
    figures["queries"] = known.asked.load(Ordering::Acquire).into();
    figures["judged"] = trial.judge(plan.root, server, &sent, plan.keep)?;
    Ok(figures)
}

/// Looks after the tables in every way until the readers have asked enough.
fn tend_on(tender: &Tender, api: &Api, known: &Known) -> anyhow::Result<Value> {
    let (mut rounds, mut erased) = (0_u64, 0_u64);
    while !known.over.load(Ordering::Acquire) || erased < 2 {
        let victim = rounds;
        let name = format!("victim-{victim}");
        tend::send(api, "victim", &name, EVENTS, 0)?;
        known.sent.store(victim + 1, Ordering::Release);
        tender.run(&["compact", "--all"])?;
        if rounds == 2 {
            tender.run(&["retain", "events", "--days", "30"])?;
        }
        if rounds % 2 == 1 {
            let told = tender.run(&["erase", "--project", "1", "--distinct-id", &name])?;
            anyhow::ensure!(told.contains("no current table has the person"), "{told}");
            known.erased.lock().map_err(|_| anyhow::anyhow!("a reader panicked"))?.push(victim);
            erased += 1;
        }
        tender.run(&["expire", "--keep", "1"])?;
        rounds += 1;
    }
    tender.run(&["retain", "events", "--days", "30"])?;
    let old = api.count("select count(*) from events where event = 'old'")?;
    anyhow::ensure!(old == 0, "{old} old events are left");
    let merged = api.metric("tenrec_table_maintenance_seconds_count{table=\"events\",work=\"compact\"")?;
    Ok(json!({"rounds": rounds, "erased": erased, "compactions": merged}))
}

/// Asks until all readers together have asked enough.
fn read(api: &Api, known: &Known, mut chance: Numbers, wanted: u64) -> anyhow::Result<()> {
    while known.asked.fetch_add(1, Ordering::AcqRel) < wanted {
        match chance.below(4) {
            0 | 1 => steady(api, known)?,
            2 => old(api, known)?,
            _ => victim(api, known, &mut chance)?,
        }
    }
    Ok(())
}

fn steady(api: &Api, known: &Known) -> anyhow::Result<()> {
    let before = known.steady.load(Ordering::Acquire);
    let count = api.count("select count(*) from events where distinct_id like 'writer-%'")?;
    anyhow::ensure!(count >= before, "{count} events where {before} were seen before");
    known.steady.fetch_max(count, Ordering::AcqRel);
    Ok(())
}

fn old(api: &Api, known: &Known) -> anyhow::Result<()> {
    let lowest = || known.old.lock().map_err(|_| anyhow::anyhow!("a reader panicked"));
    let before = *lowest()?;
    let count = api.count("select count(*) from events where event = 'old'")?;
    anyhow::ensure!(count <= before, "{count} old events where {before} were left before");
    let mut lowest = lowest()?;
    *lowest = count.min(*lowest);
    Ok(())
}

fn victim(api: &Api, known: &Known, chance: &mut Numbers) -> anyhow::Result<()> {
    let sent = known.sent.load(Ordering::Acquire);
    if sent == 0 {
        return Ok(());
    }
    let victim = chance.below(sent);
    let is_gone = known.erased.lock().map_err(|_| anyhow::anyhow!("a reader panicked"))?.contains(&victim);
    let count = api
        .count(&format!("select count(*) from events where distinct_id = 'victim-{victim}'"))
        .context("asking for a person")?;
    anyhow::ensure!(count == 0 || count == EVENTS, "victim-{victim} is there in part: {count} events");
    anyhow::ensure!(!is_gone || count == 0, "victim-{victim} was erased and has {count} events");
    Ok(())
}
