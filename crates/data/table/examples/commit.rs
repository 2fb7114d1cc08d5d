//! Measures append and commit of page views: `commit <folder> <rows> [rows per record]`.

#[path = "sample/page_view.rs"]
mod page_view;

use event::ProjectId;
use jiff::Timestamp;
use page_view::page_view;
use std::time::Instant;
use table::{Rows, Settings, Warehouse};

#[tokio::main]
async fn main() -> table::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "tables".to_owned());
    let mut number = |default| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (count, per_record) = (number(200_000_u64), number(50_u64).max(1));
    let warehouse = std::sync::Arc::new(Warehouse::open(Settings::at(dir)).await?);
    let first = warehouse.committed("events").total();
    let start = Timestamp::from_second(1_763_600_000).unwrap_or_default();
    let (mut appending, mut offset) = (std::time::Duration::ZERO, first);
    for from in (0..count).step_by(per_record as usize) {
        let mut rows = Rows::new(ProjectId(1), start);
        rows.events =
            (from..(from + per_record).min(count)).map(|n| page_view(offset * 1000 + n, start)).collect();
        let began = Instant::now();
        warehouse.append(offset, &rows)?;
        appending += began.elapsed();
        offset += 1;
    }
    let began = Instant::now();
    let view = warehouse.view()?;
    let batches = view.own("events").map_or(0, |events| events.tail.len());
    println!(
        "append: {:.0} rows/s, {} MB in {batches} batches, view {:?}",
        count as f64 / appending.as_secs_f64(),
        warehouse.tail_bytes() >> 20,
        began.elapsed()
    );
    drop(view);
    let began = Instant::now();
    let summary = warehouse.commit(offset).await?;
    let took = began.elapsed();
    println!("commit: {:.0} rows/s, {took:?}, {:?}", count as f64 / took.as_secs_f64(), summary.tables);
    Ok(())
}
