//! Measures commits of page views, one after the other: `publish <folder> <commits> <rows per commit>`.

#[path = "sample/page_view.rs"]
mod page_view;

use event::ProjectId;
use jiff::Timestamp;
use page_view::page_view;
use std::sync::Arc;
use std::time::Instant;
use table::{Rows, Settings, Warehouse};

#[tokio::main]
async fn main() -> table::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "tables".to_owned());
    let mut number = |default| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (commits, each) = (number(300_u64), number(1_000_u64));
    let warehouse = Arc::new(Warehouse::open(Settings::at(dir)).await?);
    let start = Timestamp::from_second(1_763_600_000).unwrap_or_default();
    let mut times = Vec::new();
    for offset in 0..commits {
        let mut rows = Rows::new(ProjectId(1), start);
        rows.events = (offset * each..(offset + 1) * each).map(|number| page_view(number, start)).collect();
        warehouse.append(offset, &rows)?;
        let began = Instant::now();
        warehouse.commit(offset + 1).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
    println!("{{\"commits\":{commits},\"p50_ms\":{:.3},\"p99_ms\":{:.3}}}", at(0.5), at(0.99));
    Ok(())
}
