//! Measures table care: `care <folder> <commits> <rows per commit>` commits, compacts and expires page views.

#[path = "sample/page_view.rs"]
mod page_view;

use event::ProjectId;
use jiff::Timestamp;
use page_view::page_view;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::care::{Compaction, Expiry};
use table::{Rows, Settings, Warehouse};

/// Processor seconds of this process, user and system.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    format!("{}, {}", line("VmRSS"), line("VmHWM"))
}

/// Begins to measure the peak anew.
fn forget_peak() {
    if let Err(error) = std::fs::write("/proc/self/clear_refs", "5") {
        eprintln!("the peak includes what came before: {error}");
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> table::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "tables".to_owned());
    let mut number = |default| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (commits, each) = (number(1500_u64), number(1000_u64));
    let warehouse = Arc::new(Warehouse::open(Settings::at(dir)).await?);
    let start = Timestamp::from_second(1_763_600_000).unwrap_or_default();
    let (began, mut times) = (Instant::now(), Vec::new());
    for offset in 0..commits {
        let mut rows = Rows::new(ProjectId(1), start);
        rows.events = (offset * each..(offset + 1) * each).map(|n| page_view(n, start)).collect();
        warehouse.append(offset, &rows)?;
        let began = Instant::now();
        warehouse.commit(offset + 1).await?;
        times.push(began.elapsed());
    }
    let tenth = (times.len() / 10).max(1);
    let mean = |part: &[Duration]| part.iter().sum::<Duration>() / part.len().max(1) as u32;
    println!(
        "{commits} commits in {:?}: first {:?} each, last {:?}",
        began.elapsed(),
        mean(&times[..tenth]),
        mean(&times[times.len() - tenth..])
    );
    let policy = Compaction { quiet: Duration::ZERO, ..Compaction::default() };
    println!("before: {:?} ({})", warehouse.care_stats("events", &policy).await?, peak_memory());
    forget_peak();
    let (began, used) = (Instant::now(), processor());
    let beside = warehouse.clone();
    let commits_beside = tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        for offset in commits..commits + 200 {
            let mut rows = Rows::new(ProjectId(2), start);
            rows.events = (0..10).map(|n| page_view(offset * each + n, start)).collect();
            let appended = beside.append(offset, &rows);
            let began = Instant::now();
            appended?;
            beside.commit(offset + 1).await?;
            slowest = slowest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, table::Error>(slowest)
    });
    let compacted = warehouse.compact("events", &policy, &mut |_| {}).await?;
    let (took, cpu) = (began.elapsed(), processor() - used);
    println!(
        "compact: {took:?}, {cpu:.1} CPU s, {:.1} us a row, {compacted:?}",
        cpu * 1e6 / compacted.rows.max(1) as f64
    );
    if let Ok(slowest) = commits_beside.await {
        println!("slowest of 200 commits beside it: {:?} ({})", slowest?, peak_memory());
    }
    let (began, expiry) = (Instant::now(), Expiry { keep: 1, grace: Duration::ZERO });
    println!("expire: {:?} in {:?}", warehouse.expire("events", &expiry).await?, began.elapsed());
    println!("after: {:?}", warehouse.care_stats("events", &policy).await?);
    Ok(())
}
