//! The load: keep-alive HTTP/1.1 connections that send prepared requests.
//!
//! Closed loop (each connection sends when it was answered) finds the most a server can do. Open loop (a
//! request is due at a time, answered or not) finds the latency that users see: it is counted from the time
//! at which a request was due, so a stall counts for every request that had to wait for it.

use hdrhistogram::Histogram;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use testkit::Numbers;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

/// Requests to send in turn, over and over.
#[derive(Clone)]
pub struct Load {
    /// `ADDRESS:PORT`.
    pub address: String,
    /// Whole requests, head and body.
    pub requests: Arc<Vec<Prepared>>,
    /// Connections at once.
    pub connections: usize,
    /// How long to send.
    pub span: Duration,
    /// Requests to send at most, in a closed loop.
    pub most: u64,
}

/// One request as bytes.
#[derive(Clone)]
pub struct Prepared {
    bytes: Vec<u8>,
    /// Where the uuids stand that are replaced before each send, so that no event is sent twice.
    uuids: Vec<usize>,
}

/// What came of a load.
pub struct Outcome {
    /// Answered 200.
    pub acked: u64,
    /// Anything else, broken connections included.
    pub failed: u64,
    /// From first to last answer.
    pub wall: Duration,
    /// Microseconds.
    pub latency: Histogram<u64>,
}

impl Prepared {
    /// A request with this body. Uuids can be replaced in plain bodies only.
    pub fn new(path: &str, body: &[u8], gzip: bool) -> Self {
        let encoding = if gzip { "Content-Encoding: gzip\r\n" } else { "" };
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n{encoding}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let marker = b"\"uuid\":\"";
        let found = body.windows(marker.len()).enumerate().filter(|(_, window)| *window == marker);
        let uuids =
            if gzip { Vec::new() } else { found.map(|(at, _)| head.len() + at + marker.len()).collect() };
        Self { bytes: [head.as_bytes(), body].concat(), uuids }
    }

    fn refresh(&mut self, number: u64) {
        for (at, place) in (0_u64..).zip(&self.uuids) {
            let uuid = Numbers::of(number, at).uuid();
            self.bytes[*place..*place + uuid.len()].copy_from_slice(uuid.as_bytes());
        }
    }
}

/// Sends as fast as answers come.
pub fn closed(load: &Load) -> anyhow::Result<Outcome> {
    let next = Arc::new(AtomicU64::new(0));
    drive(load, move |load, start| {
        let next = Arc::clone(&next);
        async move {
            let mut tally = Tally::new();
            let mut stream = None;
            while start.elapsed() < load.span {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= load.most {
                    break;
                }
                tally.send(&load, &mut stream, number, Instant::now()).await;
            }
            tally
        }
    })
}

/// Sends `rate` requests per second, each due at its own time.
pub fn open(load: &Load, rate: f64) -> anyhow::Result<Outcome> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let span = load.span;
    let clock = std::thread::spawn(move || tick(rate, span, &sender));
    let outcome = drive(load, move |load, _| {
        let receiver = Arc::clone(&receiver);
        async move {
            let mut tally = Tally::new();
            let mut stream = None;
            loop {
                let ticket = receiver.lock().await.recv().await;
                let Some((number, due)) = ticket else { return tally };
                tally.send(&load, &mut stream, number, due).await;
            }
        }
    });
    let _ = clock.join();
    outcome
}

/// Hands out each number when it is due and never before: a request sent early would look faster than it was.
fn tick(rate: f64, span: Duration, tickets: &mpsc::UnboundedSender<(u64, Instant)>) {
    let start = Instant::now();
    for number in 0_u64.. {
        let due = start + Duration::from_secs_f64(number as f64 / rate);
        if due > start + span {
            return;
        }
        // A thread's sleep is exact to some 60 us; the runtime's timer only to a millisecond.
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if tickets.send((number, due)).is_err() {
            return;
        }
    }
}

/// Counts microseconds up to two minutes. A histogram that grows by itself would cut off what is recorded saturating.
pub fn microseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 120_000_000, 3).expect("the bounds are in order")
}

fn drive<F>(load: &Load, task: impl Fn(Load, Instant) -> F) -> anyhow::Result<Outcome>
where
    F: Future<Output = Tally> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let start = Instant::now();
    let tallies = local.block_on(&runtime, async {
        let tasks: Vec<_> =
            (0..load.connections).map(|_| tokio::task::spawn_local(task(load.clone(), start))).collect();
        let mut tallies = Vec::new();
        for task in tasks {
            tallies.push(task.await?);
        }
        anyhow::Ok(tallies)
    })?;
    let mut sum = Tally::new();
    for tally in &tallies {
        sum.acked += tally.acked;
        sum.failed += tally.failed;
        sum.latency.add(&tally.latency)?;
    }
    Ok(Outcome { acked: sum.acked, failed: sum.failed, wall: start.elapsed(), latency: sum.latency })
}

struct Tally {
    acked: u64,
    failed: u64,
    latency: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        Self { acked: 0, failed: 0, latency: microseconds() }
    }

    async fn send(&mut self, load: &Load, stream: &mut Option<TcpStream>, number: u64, due: Instant) {
        let count = load.requests.len() as u64;
        let mut request = load.requests[(number % count) as usize].clone();
        request.refresh(number);
        match exchange(load, stream, &request.bytes).await {
            Ok(200) => {
                self.acked += 1;
                self.latency.saturating_record(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            Ok(_) => self.failed += 1,
            Err(_) => {
                self.failed += 1;
                *stream = None;
            }
        }
    }
}

/// Sends one request and reads its answer; returns the status.
async fn exchange(load: &Load, stream: &mut Option<TcpStream>, request: &[u8]) -> std::io::Result<u16> {
    if stream.is_none() {
        let connected = TcpStream::connect(&load.address).await?;
        connected.set_nodelay(true)?;
        *stream = Some(connected);
    }
    let Some(stream) = stream else { return Err(std::io::ErrorKind::NotConnected.into()) };
    stream.write_all(request).await?;
    let mut answer = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((status, length)) = head(&answer)
            && answer.len() >= length
        {
            return Ok(status);
        }
    }
}

/// Status and whole length of an answer whose head is complete.
fn head(answer: &[u8]) -> Option<(u16, usize)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..end]).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let named = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    Some((status, end + text.lines().find_map(named).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured() {
        let text = b"HTTP/1.1 503 Busy\r\ncontent-LENGTH: 2\r\n\r\nok";
        assert_eq!(head(text), Some((503, text.len())));
        assert_eq!(head(&text[..20]), None);
    }

    #[test]
    fn nothing_is_handed_out_before_it_is_due() {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let clock = std::thread::spawn(move || tick(500.0, Duration::from_millis(100), &sender));
        let mut tickets = 0;
        while let Some((number, due)) = receiver.blocking_recv() {
            assert!(Instant::now() >= due, "ticket {number} came early");
            tickets += 1;
        }
        clock.join().unwrap();
        assert_eq!(tickets, 51);
    }

    #[test]
    fn a_second_is_recorded_as_a_second() {
        let mut times = microseconds();
        times.saturating_record(1_000_000);
        assert!(times.max().abs_diff(1_000_000) < 1_000, "{}", times.max());
    }

    #[test]
    fn every_send_has_uuids_of_its_own() {
        let body = br#"[{"uuid":"00000000-0000-4000-8000-000000000000"},{"uuid":"00000000-0000-4000-8000-000000000000"}]"#;
        let mut request = Prepared::new("/e/", body, false);
        request.refresh(1);
        let first = request.bytes.clone();
        request.refresh(2);
        assert_eq!(request.uuids.len(), 2);
        assert_eq!(request.bytes.len(), first.len());
        assert_ne!(request.bytes, first);
    }
}
