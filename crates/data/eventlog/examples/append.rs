//! Measures the log: concurrent appenders, each waiting for its record to be durable.
//!
//! `append DIRECTORY [RECORD_BYTES] [APPENDERS] [SECONDS] [delayed]`; `delayed` adds 5 ms to every
//! flush, like a slow disk. Prints one line: records/s, process CPU per record, latencies, records
//! per flush.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eventlog::disk::{Disk, File, Local};
use eventlog::{EventLog, Offset, Payload, Segments, Settings};
use hdrhistogram::Histogram;

/// A disk whose flushes take 5 ms longer.
struct Slow(Local);

struct SlowFile(Box<dyn File>);

impl Disk for Slow {
    fn create(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(SlowFile(self.0.create(name)?)))
    }
    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        Ok(Box::new(SlowFile(self.0.open(name)?)))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.0.sync_dir()
    }
    fn free_space(&self) -> io::Result<u64> {
        self.0.free_space()
    }
    fn salt(&self) -> u64 {
        self.0.salt()
    }
}

impl File for SlowFile {
    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        self.0.preallocate(bytes)
    }
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_at(bytes, position)
    }
    fn sync_data(&self) -> io::Result<()> {
        std::thread::sleep(Duration::from_millis(5));
        self.0.sync_data()
    }
    fn read_at(&self, into: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(into, position)
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
}

/// CPU time of this process so far.
fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

async fn appender(log: Arc<Segments>, record: Payload, until: Instant) -> Histogram<u64> {
    let mut latencies = Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are allowed");
    while Instant::now() < until {
        let started = Instant::now();
        log.append(record.clone()).await.expect("the log takes records");
        latencies.saturating_record(started.elapsed().as_micros() as u64);
    }
    latencies
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("the first argument is a directory"));
    let mut number = |default: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (bytes, appenders, seconds) = (number(2300), number(64), number(3));
    let settings = Settings { max_bytes: 64 << 30, ..Settings::default() };
    let disk = Local::open(&directory).expect("the directory opens");
    let disk: Arc<dyn Disk> = if arguments.next().is_some() { Arc::new(Slow(disk)) } else { Arc::new(disk) };
    let opening = Instant::now();
    let log = Arc::new(Segments::open_on(disk, settings, Offset::ZERO).expect("the log opens"));
    let opened = opening.elapsed();
    let before = log.stats();

    let body: Vec<u8> = (0..bytes).map(|n| (n * 31 % 251) as u8).collect();
    let record =
        Payload::new(body[..bytes as usize / 8].to_vec().into(), body[bytes as usize / 8..].to_vec().into());
    let (started, cpu_before) = (Instant::now(), cpu());
    let until = started + Duration::from_secs(seconds);
    let tasks: Vec<_> =
        (0..appenders).map(|_| tokio::spawn(appender(Arc::clone(&log), record.clone(), until))).collect();
    let mut latencies = Histogram::<u64>::new(3).expect("three digits are allowed");
    for task in tasks {
        latencies.add(task.await.expect("an appender ends")).expect("histograms fit each other");
    }
    let (took, used) = (started.elapsed(), cpu() - cpu_before);
    let after = log.stats();
    let records = after.durable.0 - before.durable.0;
    println!(
        "{bytes} B x {appenders}: {:.0} records/s, {:.2} us CPU/record, \
         p50 {} us, p99 {} us, p99.9 {} us, {:.0} B disk/record, opened {} MB in {:.0} ms",
        records as f64 / took.as_secs_f64(),
        used.as_secs_f64() * 1e6 / records as f64,
        latencies.value_at_quantile(0.5),
        latencies.value_at_quantile(0.99),
        latencies.value_at_quantile(0.999),
        (after.used_bytes - before.used_bytes) as f64 / records as f64,
        before.used_bytes >> 20,
        opened.as_secs_f64() * 1e3,
    );
    let reading = Instant::now();
    let (mut next, mut read, mut reads) = (before.durable, 0u64, 0u64);
    while next < after.durable {
        for record in log.read(next, 1 << 20).await.expect("the log reads") {
            next = record.offset.next();
            read += record.bytes.len() as u64;
        }
        reads += 1;
    }
    let took = reading.elapsed().as_secs_f64();
    println!("  read back {} MB in {reads} reads, {:.0} MB/s", read >> 20, read as f64 / 1e6 / took);
    log.close().await.expect("the log closes");
}
