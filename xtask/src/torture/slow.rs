//! R7: thousands of clients that send a byte now and then, in heads and in bodies, and thousands that send nothing more.
//!
//! Bodies are answered 408 and heads are closed; those who mean it are served as before; memory grows little.

use super::exchange::measure;
use super::load::{self, Load, Tally};
use super::stage::Stage;
use super::{Plan, batch};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use testkit::server::PROJECT_KEY;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How much memory may grow, in MB; tasks of a build without optimisation are half as large again.
const GROWTH: f64 = 64.0;
const GROWTH_DEBUG: f64 = 96.0;
/// Descriptors that the client keeps for itself.
const OURS: u64 = 400;

/// What a client does that is no client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Manner {
    Head,
    Body,
    Idle,
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let all = super::raise_descriptors().saturating_sub(OURS).min(10_000);
    let span = Duration::from_secs(plan.amount(18, 600));
    let stage = Stage::open(plan, &[])?;
    let honest = Load {
        address: stage.address(),
        requests: batch::singles(PROJECT_KEY, "honest", plan.seed),
        clients: 16,
        span: Duration::from_secs(5),
        rate: Some(100.0),
        fresh: false,
        gives_up: None,
    };
    load::send(&honest)?;
    let before = load::send(&honest)?;
    let memory = stage.memory()?;
    let (address, requests) = (stage.address(), honest.clone());
    let crowd = std::thread::spawn(move || attack(&address, all, span));
    let kept = std::thread::spawn(move || load::send(&Load { span, ..requests }));
    let fresh = load::send(&Load { span, fresh: true, rate: Some(50.0), ..honest })?;
    let kept = kept.join().map_err(|_| anyhow::anyhow!("the honest clients panicked"))??;
    let ends = crowd.join().map_err(|_| anyhow::anyhow!("the crowd panicked"))??;
    let growth = stage.peak()? - memory;
    let figures = json!({
        "sockets": all, "before": before.figures(), "kept": kept.figures(), "fresh": fresh.figures(),
        "ends": ends, "rss_growth_mb": growth.round(),
    });
    judge(plan, &before, [&kept, &fresh], growth).map_err(|fault| anyhow::anyhow!("{fault}: {figures}"))?;
    let told = |manner: &str, end: &str| ends.get(&format!("{manner} {end}")).copied().unwrap_or(0);
    anyhow::ensure!(told("Body", "408") > 0, "no slow body was answered 408: {figures}");
    anyhow::ensure!(told("Head", "open") == 0, "slow heads were not closed: {figures}");
    stage.close()?;
    Ok(figures)
}

fn judge(plan: &Plan, before: &Tally, during: [&Tally; 2], growth: f64) -> anyhow::Result<()> {
    let most = if plan.profile == testkit::Profile::Release { GROWTH } else { GROWTH_DEBUG };
    anyhow::ensure!(growth <= most, "memory grew by {growth:.0} MB");
    for tally in during {
        anyhow::ensure!(tally.odd.is_empty() && tally.refused == 0, "honest requests were refused");
        anyhow::ensure!(tally.broken * 200 <= tally.acked, "honest requests were cut off");
        let (was, is) = (before.latency.at(0.99), tally.latency.at(0.99));
        if plan.profile == testkit::Profile::Release {
            anyhow::ensure!(is <= (was * 2.0).max(20.0), "honest p99 went from {was} to {is} ms");
        }
    }
    Ok(())
}

/// Opens `all` connections, half of them idle, a quarter with slow heads, a quarter with slow bodies; gives how they ended.
fn attack(address: &str, all: u64, span: Duration) -> anyhow::Result<BTreeMap<String, u64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = Vec::new();
        for number in 0..all {
            let manner = [Manner::Idle, Manner::Head, Manner::Idle, Manner::Body][number as usize % 4];
            let address = address.to_owned();
            tasks.push(tokio::spawn(async move { (manner, linger(&address, manner, span).await) }));
            if number % 20 == 19 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        let mut ends = BTreeMap::new();
        for task in tasks {
            let (manner, end) = task.await?;
            *ends.entry(format!("{manner:?} {end}")).or_default() += 1;
        }
        Ok(ends)
    })
}

/// Keeps a connection busy with as little as possible until it is ended; says how.
async fn linger(address: &str, manner: Manner, span: Duration) -> String {
    let mut answer = Vec::new();
    let lasting = hold_on(address, manner, &mut answer);
    let end = match tokio::time::timeout(span, lasting).await {
        Err(_) => "open".to_owned(),
        Ok(Err(fault)) => format!("{:?}", fault.kind()),
        Ok(Ok(())) => "closed".to_owned(),
    };
    match measure(&answer) {
        Some((status, ..)) if manner != Manner::Idle => status.to_string(),
        _ => end,
    }
}

async fn hold_on(address: &str, manner: Manner, answer: &mut Vec<u8>) -> std::io::Result<()> {
    const HEAD: &str = "POST /i/v0/e/ HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\n";
    let mut stream = TcpStream::connect(address).await?;
    let first = match manner {
        Manner::Head => HEAD[..30].to_owned(),
        Manner::Body => format!("{HEAD}Content-Length: 1000\r\n\r\n{{"),
        Manner::Idle => "GET /_liveness HTTP/1.1\r\nHost: slow\r\n\r\n".to_owned(),
    };
    stream.write_all(first.as_bytes()).await?;
    loop {
        match tokio::time::timeout(Duration::from_secs(9), stream.read_buf(answer)).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(fault)) => return Err(fault),
            Err(_) if manner == Manner::Idle => {}
            Err(_) => stream.write_all(b" ").await?,
        }
    }
}
