//! Fills a log with requests that were never folded, to measure a start with: `fill <log folder> <bytes>`.
//!
//! The requests are batches of a hundred page views as the door would write them. They repeat: what is measured is how
//! fast the log is read and checked, not what it says.

use event::Received;
use eventlog::{EventLog, Offset, Segments, Settings};
use ingest::{bodies, record};
use jiff::Timestamp;
use std::error::Error;
use testkit::workload::{Kind, Workload};

/// Requests made; they are appended in turn.
const REQUESTS: u64 = 200;
/// Appends that wait for the disk together.
const TOGETHER: usize = 32;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = || "usage: fill LOG_FOLDER BYTES";
    let folder = arguments.next().ok_or_else(usage)?;
    let bytes: u64 = arguments.next().ok_or_else(usage)?.parse()?;
    let settings = Settings { max_bytes: bytes * 2, ..Settings::default() };
    let log = Segments::open_at(folder.as_ref(), settings, Offset(0))?;
    let requests = (0..REQUESTS).map(request).collect::<Result<Vec<_>, _>>()?;
    let (mut written, mut appended) = (0, 0_u64);
    let mut turn = requests.iter().cycle();
    while written < bytes {
        let mut waiting = Vec::new();
        for request in turn.by_ref().take(TOGETHER) {
            written += request.len() as u64;
            waiting.push(log.append(request.clone().into()));
        }
        for append in waiting {
            append.await?;
            appended += 1;
        }
    }
    log.close().await?;
    println!("{appended} requests, {} MB", written >> 20);
    Ok(())
}

/// The log record of one batch.
fn request(number: u64) -> Result<Vec<u8>, Box<dyn Error>> {
    let start = "2026-11-20T12:00:00Z".parse::<Timestamp>()?;
    let body = Workload { kind: Kind::PageView, seed: 9, start }.batch("phc_example", number * 100, 100);
    let received: Received = serde_json::from_str(
        r#"{"route":"events","project":1,"token":"phc_example","at":"2026-11-20T13:00:00Z","seed":7,"ip":"203.0.113.9"}"#,
    )?;
    let (codec, packed) = bodies::pack(&body);
    let mut record = record::head(&received, codec)?;
    record.extend_from_slice(&packed);
    Ok(record)
}
