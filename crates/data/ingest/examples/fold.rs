//! Measures what the pump does to an event between the log and Parquet: unpack, parse, fold, append to the tail.
//!
//! `cargo run --release -p ingest --example fold` prints microseconds of CPU per event for page views of persons,
//! page views without persons and server events. With one of `person`, `personless` and `server` and a number of
//! events it runs just that, for instruction counts: `valgrind --tool=callgrind fold person 2000`. A third argument is
//! the number of events per record: `fold person 10000 10000` folds one request of 20 MB and tells what memory that
//! took at most.

use event::{ProjectId, Received};
use ingest::bodies::{Codec, pack};
use ingest::landing;
use ingest::seen::{self, Seen, Verdict, Window};
use ingest::working::Working;
use ingest::{outcome, record};
use jiff::Timestamp;
use metastore::Sqlite;
use std::error::Error;
use std::fmt::Write;
use table::{Rows, Settings, Warehouse};
use testkit::workload::{Kind, Workload};

/// As the pump does it.
const PIECE_BYTES: usize = 4 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let only = arguments.next();
    let events = arguments.next().map_or(Ok(20_000), |count| count.parse())?;
    let per_record = arguments.next().map_or(Ok(100), |count| count.parse())?;
    for name in ["person", "personless", "server"] {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let rounds = if only.is_some() { 1 } else { 3 };
        let mut best = f64::INFINITY;
        for _ in 0..rounds {
            best = best.min(measure(name, events, per_record).await?);
        }
        println!("{name:<12} {best:7.2} us/event");
    }
    Ok(())
}

async fn measure(name: &str, events: u64, per_record: u64) -> Result<f64, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let metastore = Sqlite::open(dir.path().join("metastore.db"))?;
    let warehouse = Warehouse::open(Settings::at(dir.path().to_owned())).await?;
    let mut seen = Seen::open(&dir.path().join("seen"), Window::default(), 0)?;
    let mut working = Working::open(ProjectId(1), &metastore).await?;
    let numbers = 0..events / per_record;
    let records = numbers.map(|number| record(name, number, per_record)).collect::<Result<Vec<_>, _>>()?;
    let rules = identity::Rules::default();
    // The peak from here on; where that cannot be asked for, it is not told.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = peak_memory();
    let start = micros();
    for (offset, bytes) in (0..).zip(&records) {
        let opened = landing::open(bytes)?;
        let mut reading = landing::read(&opened)?;
        loop {
            let events = reading.piece(PIECE_BYTES)?;
            if events.is_empty() {
                break;
            }
            working.load(&metastore, events.iter()).await?;
            let mut rows = Rows::new(opened.received.project, opened.received.at);
            for event in events {
                let key = seen::key(ProjectId(1), &event);
                if seen.note(key, &event)? != Verdict::New {
                    return Err("every event is another one".into());
                }
                outcome::add(working.fold(event, &rules), &mut rows);
            }
            warehouse.append(offset, &rows)?;
        }
    }
    let took = (micros() - start) / events as f64;
    if let (true, Some(before), Some(after)) = (per_record > 1000, before, peak_memory()) {
        let (peak, tail) = ((after - before) >> 10, warehouse.tail_bytes() >> 20);
        println!("{peak} MB at most, of which {tail} MB are rows that wait to be committed");
    }
    Ok(took)
}

/// The most memory this process had, in KB.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}

/// A record of the log with a batch as an SDK sends it.
fn record(name: &str, number: u64, count: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    let kind = if name == "server" { Kind::Server } else { Kind::PageView };
    let start = "2026-11-20T12:00:00Z".parse::<Timestamp>()?;
    let workload = Workload { kind, seed: 7, start };
    let mut body = String::from(r#"{"api_key":"phc_example","batch":["#);
    for id in number * count..(number + 1) * count {
        let mut event = workload.event(id);
        if kind == Kind::PageView {
            event["properties"]["$process_person_profile"] = (name == "person").into();
            // Visitors that come back: each one views some pages.
            event["properties"]["distinct_id"] = format!("visitor-{:06}", id % 1000).into();
        }
        write!(body, "{event},")?;
    }
    body.truncate(body.len() - 1);
    body.push_str("]}");
    let received: Received = serde_json::from_str(
        r#"{"route":"events","project":1,"token":"phc_example","at":"2026-11-20T13:00:00Z","seed":7,"ip":"203.0.113.9"}"#,
    )?;
    let (codec, packed) = pack(body.as_bytes());
    assert_ne!(codec, Codec::Gzip, "made here");
    let mut record = record::head(&received, codec)?;
    record.extend_from_slice(&packed);
    Ok(record)
}

/// CPU time of this thread, where the system tells it; otherwise the time of day.
fn micros() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match schedule.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()) {
        Some(nanos) => nanos / 1e3,
        None => std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64() * 1e6),
    }
}
