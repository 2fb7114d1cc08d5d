//! Many clients at once, in one thread: each request is due at its time, whether others were answered or not, and its
//! latency counts from then.

use super::exchange::{header, measure};
use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};

/// What to send.
#[derive(Clone)]
pub struct Load {
    /// `ADDRESS:PORT`.
    pub address: String,
    /// Whole requests, sent in turn.
    pub requests: Arc<Vec<Vec<u8>>>,
    /// Clients at once.
    pub clients: usize,
    /// For how long.
    pub span: Duration,
    /// Requests a second; as many as are answered when absent.
    pub rate: Option<f64>,
    /// A new connection for each request, instead of one per client.
    pub fresh: bool,
    /// After this a request that no client was free for is not sent any more: its sender has gone.
    pub gives_up: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answered 200.
    pub acked: u64,
    /// Answered 429 or 503, with whole seconds after which to come again.
    pub refused: u64,
    /// Everything else that was answered, by status; 429 and 503 that do not say when are here.
    pub odd: BTreeMap<u16, u64>,
    /// Never sent, because all clients waited for answers.
    pub unsent: u64,
    /// Not answered: whether it was stored is unknown.
    pub broken: u64,
    /// Microseconds of what was acked.
    pub latency: Times,
    /// Seconds from the first request to the last answer.
    pub seconds: f64,
}

/// Times in microseconds.
#[derive(Debug)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, 120_000_000, 3).expect("the bounds are in order"))
    }
}

impl Times {
    /// Notes the time since `due`.
    pub fn note(&mut self, due: Instant) {
        self.0.saturating_record(u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX));
    }

    /// A quantile in milliseconds.
    pub fn at(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }
}

impl Tally {
    /// Acked requests a second.
    pub fn rate(&self) -> f64 {
        self.acked as f64 / self.seconds.max(0.001)
    }

    /// The figures, for the report.
    pub fn figures(&self) -> Value {
        json!({
            "acked": self.acked, "acked_per_s": self.rate().round(), "refused": self.refused, "odd": self.odd,
            "broken": self.broken, "unsent": self.unsent, "p50_ms": self.latency.at(0.5), "p99_ms": self.latency.at(0.99),
        })
    }

    /// Takes in what others sent.
    pub fn add(&mut self, other: &Self) -> anyhow::Result<()> {
        self.acked += other.acked;
        self.refused += other.refused;
        self.broken += other.broken;
        self.unsent += other.unsent;
        for (status, count) in &other.odd {
            *self.odd.entry(*status).or_default() += count;
        }
        self.latency.0.add(&other.latency.0).context("histograms of one shape")
    }

    fn note(&mut self, answer: std::io::Result<(u16, bool)>, due: Instant) -> bool {
        let is_whole = answer.is_ok();
        match answer {
            Ok((200, _)) => {
                self.acked += 1;
                self.latency.note(due);
            }
            Ok((429 | 503, true)) => self.refused += 1,
            Ok((status, _)) => *self.odd.entry(status).or_default() += 1,
            Err(_) => self.broken += 1,
        }
        is_whole
    }
}

/// Sends it all; returns when the last answer is there. Runs a runtime of its own.
pub fn send(load: &Load) -> anyhow::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let start = Instant::now();
    let clock = load.rate.map(|rate| {
        let span = load.span;
        std::thread::spawn(move || tick(rate, span, &sender))
    });
    let mut sum = runtime.block_on(async {
        let tickets = clock.is_some().then_some(receiver);
        let clients = (0..load.clients).map(|first| client(load.clone(), first, start, tickets.clone()));
        let tasks: Vec<_> = clients.map(|task| tokio::task::spawn(task)).collect();
        let mut sum = Tally::default();
        for task in tasks {
            sum.add(&task.await?)?;
        }
        anyhow::Ok(sum)
    })?;
    sum.seconds = start.elapsed().as_secs_f64();
    if let Some(clock) = clock {
        clock.join().map_err(|_| anyhow::anyhow!("the clock panicked"))?;
    }
    Ok(sum)
}

/// Hands out each number when it is due and never before.
fn tick(rate: f64, span: Duration, tickets: &mpsc::UnboundedSender<(usize, Instant)>) {
    let start = Instant::now();
    for number in 0_usize.. {
        let due = start + Duration::from_secs_f64(number as f64 / rate);
        if due > start + span {
            return;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if tickets.send((number, due)).is_err() {
            return;
        }
    }
}

type Tickets = Arc<Mutex<mpsc::UnboundedReceiver<(usize, Instant)>>>;

async fn client(load: Load, first: usize, start: Instant, tickets: Option<Tickets>) -> Tally {
    let mut tally = Tally::default();
    let mut stream = None;
    let mut number = first;
    loop {
        let due = match &tickets {
            Some(tickets) => {
                let ticket = tickets.lock().await.recv().await;
                let Some((next, due)) = ticket else { return tally };
                if load.gives_up.is_some_and(|patience| due.elapsed() > patience) {
                    tally.unsent += 1;
                    continue;
                }
                number = next;
                due
            }
            None if start.elapsed() >= load.span => return tally,
            None => {
                number += load.clients;
                Instant::now()
            }
        };
        if load.fresh {
            stream = None;
        }
        let request = &load.requests[number % load.requests.len()];
        let answer = exchange(&load.address, &mut stream, request).await;
        if !tally.note(answer, due) {
            stream = None;
            // The server is gone, or does not want us: a client waits, too.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Sends one request; gives the status and whether the answer says when to come again.
async fn exchange(
    address: &str,
    stream: &mut Option<TcpStream>,
    request: &[u8],
) -> std::io::Result<(u16, bool)> {
    if stream.is_none() {
        let connected = TcpStream::connect(address).await?;
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
        if let Some((status, length, head)) = measure(&answer)
            && answer.len() >= length
        {
            let when = header(head, "retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok());
            return Ok((status, when));
        }
    }
}
