//! R8: bodies that are small to send and large to hold or slow to read, each in several encodings and at several doors.
//!
//! None takes much memory or time, none is answered with a fault of ours, and the connection goes on.

use super::Plan;
use super::exchange::{Answer, Line, request};
use super::stage::Stage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::io::Write as _;
use testkit::server::PROJECT_KEY;

/// Memory that one body may take, in MB.
const GROWTH: f64 = 64.0;
/// CPU milliseconds that one body may take.
const WORK: f64 = 150.0;
const MIB: usize = 1 << 20;
/// Bodies up to this size are also sent in encodings that are slow to make.
const SLOW_TO_MAKE: usize = 300_000;

/// A kind of body: `before`, then `unit` so many times, then `after`.
struct Shape {
    name: &'static str,
    before: &'static str,
    unit: &'static str,
    times: usize,
    after: &'static str,
}

const fn shape(
    name: &'static str,
    (before, unit, after): (&'static str, &'static str, &'static str),
    times: usize,
) -> Shape {
    Shape { name, before, unit, times, after }
}

const BATCH: &str = r#"{"api_key":"KEY","created_at":"2026-01-01T00:00:00Z","batch":["#;
const ONE: &str = r#"{"api_key":"KEY","event":"e","distinct_id":"d","properties":{"a":"#;
const ROOT: &str = r#"{"api_key":"KEY","event":"e","distinct_id":"d""#;
const SNAPSHOT: &str = r#"[{"event":"$snapshot","properties":{"token":"KEY","distinct_id":"d","$session_id":"s","$snapshot_data":[0"#;

/// Every shape; `KEY` becomes the project's.
const SHAPES: &[Shape] = &[
    shape("empty objects", (BATCH, "{},", "{}]}"), 6_000_000),
    shape("nulls", (BATCH, "null,", "null]}"), 4_000_000),
    shape("numbers for events", (BATCH, "0,", "0]}"), 9_000_000),
    shape(
        "a million events",
        (BATCH, r#"{"event":"e","distinct_id":"d"},"#, r#"{"event":"e","distinct_id":"d"}]}"#),
        1_000_000,
    ),
    shape("many root fields", (ROOT, r#","k":1"#, "}"), 3_000_000),
    shape("events of root fields", (BATCH, r#"{"a":1,"b":1,"c":1},"#, "{}]}"), 900_000),
    shape("many properties", (ONE, r#"1,"b":"#, "1}}"), 3_000_000),
    shape("one long text", (ONE, "\"xxxxxxxx\",\"b\":", "1}}"), 1_200_000),
    shape("half surrogates", (ONE, r#""\ud800","b":"#, "1}}"), 1_100_000),
    shape("deep lists", (ONE, "[", ""), 100_000),
    shape("deep objects", (ONE, r#"{"a":"#, ""), 100_000),
    shape("a deep root", ("", "[", ""), 5_000_000),
    shape("deep wrappers", ("", r#"{"data":"#, ""), 1_000_000),
    shape("white space", ("", "        ", ""), 2_400_000),
    shape("commas", ("", ",", ""), 19_000_000),
    shape("digits", ("", "12345678", ""), 2_400_000),
    shape("snapshot items", (SNAPSHOT, ",0", "]}}]"), 9_000_000),
    shape(
        "many snapshots",
        ("[", r#"{"event":"$snapshot","properties":{"$snapshot_data":[]}},"#, "{}]"),
        340_000,
    ),
    shape("fifty MiB of white space", ("", "        ", "{}"), 6_500_000),
    shape("a GiB of nothing", ("", "        ", "{}"), 134_217_728),
];

/// Paths, and the bytes each takes.
const DOORS: &[(&str, usize)] =
    &[("/batch/", 20 * MIB), ("/s/", 25 * MIB), ("/i/v1/analytics/events", 10 * MIB)];

/// How a body is wrapped.
#[derive(Clone, Copy, Debug)]
enum Wrap {
    Plain,
    Gzip,
    Base64,
    GzipInBase64,
    GzipTwice,
    Lz,
}

const WRAPS: &[Wrap] =
    &[Wrap::Plain, Wrap::Gzip, Wrap::Base64, Wrap::GzipInBase64, Wrap::GzipTwice, Wrap::Lz];

/// The worst of what was seen.
#[derive(Default)]
struct Worst {
    sent: u64,
    left_out: u64,
    growth: (f64, String),
    work: (f64, String),
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let stage = Stage::open(plan, &[("TENREC__INGEST__COMMIT_SECONDS", "3600")])?;
    let mut worst = Worst::default();
    for (number, shape) in SHAPES.iter().enumerate() {
        for wrap in WRAPS {
            let Some(body) = shape.wrapped(*wrap) else {
                worst.left_out += 1;
                continue;
            };
            for (place, (door, limit)) in DOORS.iter().enumerate() {
                // A pull request sees each shape and each wrap at one door.
                if plan.amount(0, 1) == 0 && !(number + place + *wrap as usize).is_multiple_of(DOORS.len()) {
                    continue;
                }
                let name = format!("{} {wrap:?} at {door}", shape.name);
                drop_one(&stage, (&name, door, *limit), &body, &mut worst)
                    .map_err(|fault| fault.context(name.clone()))?;
            }
        }
    }
    let figures = json!({
        "bodies": worst.sent, "too_slow_to_make": worst.left_out,
        "most_mb": worst.growth.0.round(), "most_mb_of": worst.growth.1,
        "most_cpu_ms": worst.work.0, "most_cpu_ms_of": worst.work.1,
    });
    anyhow::ensure!(worst.growth.0 <= GROWTH, "a body took too much memory: {figures}");
    let judged = plan.profile == testkit::Profile::Release;
    anyhow::ensure!(!judged || worst.work.0 <= WORK, "a body took too much time: {figures}");
    stage.close()?;
    Ok(figures)
}

/// Sends one body, and a good event after it on the same connection.
fn drop_one(
    stage: &Stage,
    (name, door, limit): (&str, &str, usize),
    body: &[u8],
    worst: &mut Worst,
) -> anyhow::Result<()> {
    let headers = "Content-Type: application/json\r\n";
    let v1 = "Authorization: Bearer KEY\r\nUser-Agent: bomb\r\nPostHog-Sdk-Info: bomb/1\r\nPostHog-Attempt: 1\r\n\
              PostHog-Request-Id: 0199f2a1-7a54-7b3c-9d2e-000000000001\r\nPostHog-Request-Timestamp: 2026-01-01T00:00:00Z\r\n";
    let headers = if door.starts_with("/i/v1") { format!("{headers}{v1}") } else { headers.to_owned() };
    let gzip = if door.starts_with("/i/v1") && body.starts_with(&[0x1f, 0x8b]) {
        "Content-Encoding: gzip\r\n"
    } else {
        ""
    };
    let headers = headers.replace("KEY", PROJECT_KEY) + gzip;
    let quiet = settled(stage)?;
    let mut line = Line::open(&stage.address())?;
    stage.forget_peak()?;
    let cpu = stage.cpu()?;
    let answer = line.send(&request("POST", door, &headers, body));
    let (growth, work) = (stage.peak()? - quiet, stage.cpu()? - cpu);
    worst.sent += 1;
    let status = answer.as_ref().map_or_else(|_| "cut off".to_owned(), |answer| answer.status.to_string());
    if growth > worst.growth.0 {
        worst.growth = (growth, format!("{name}: {status}"));
    }
    if work > worst.work.0 {
        worst.work = (work, format!("{name}: {status}"));
    }
    // The wire limit leaves the connection usable up to one and a half times of it; beyond, it may be cut.
    if body.len() > limit + limit / 2 {
        line = Line::open(&stage.address())?;
    } else {
        judge(&answer?)?;
    }
    let good = json!({"api_key": PROJECT_KEY, "event": "good", "distinct_id": "d"}).to_string();
    let next = request("POST", "/i/v0/e/", "Content-Type: application/json\r\n", good.as_bytes());
    anyhow::ensure!(line.send(&next)?.status == 200, "the next request was not answered 200");
    Ok(())
}

fn judge(answer: &Answer) -> anyhow::Result<()> {
    let text = answer.text();
    let refused = matches!(answer.status, 400 | 401 | 413);
    anyhow::ensure!(refused || answer.status == 200, "answered {} {text}", answer.status);
    anyhow::ensure!(!text.is_empty(), "a refusal without a word");
    Ok(())
}

/// Waits until nothing is going on (the pump may still fold what was taken) and gives the memory then.
fn settled(stage: &Stage) -> anyhow::Result<f64> {
    let mut last = stage.cpu()?;
    for _ in 0..200 {
        std::thread::sleep(std::time::Duration::from_millis(30));
        let now = stage.cpu()?;
        if now - last < 10.0 {
            break;
        }
        last = now;
    }
    stage.memory()
}

impl Shape {
    fn bytes(&self) -> usize {
        self.unit.len() * self.times
    }

    fn pieces(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let block = 4096_usize.min(self.times);
        let whole = self.unit.repeat(block).into_bytes();
        let keyed = |text: &str| text.replace("KEY", PROJECT_KEY).into_bytes();
        let rest = self.unit.repeat(self.times % block.max(1)).into_bytes();
        std::iter::once(keyed(self.before))
            .chain(std::iter::repeat_n(whole, self.times / block.max(1)))
            .chain([rest, keyed(self.after)])
    }

    /// The body in this wrapping; `None` when making it takes too long, or it is larger than anybody would send.
    fn wrapped(&self, wrap: Wrap) -> Option<Vec<u8>> {
        let plain = || self.pieces().flatten().collect::<Vec<u8>>();
        match wrap {
            Wrap::Plain if self.bytes() > 60 * MIB => None,
            Wrap::Plain => Some(plain()),
            Wrap::Gzip => self.gzip(),
            Wrap::Base64 if self.bytes() > 15 * MIB => None,
            Wrap::Base64 => Some(STANDARD.encode(plain()).into_bytes()),
            Wrap::GzipInBase64 => Some(STANDARD.encode(self.gzip()?).into_bytes()),
            Wrap::GzipTwice => squeeze(std::iter::once(self.gzip()?)),
            Wrap::Lz if self.bytes() > SLOW_TO_MAKE => None,
            Wrap::Lz => Some(lz_str::compress_to_base64(&String::from_utf8(plain()).ok()?).into_bytes()),
        }
    }

    fn gzip(&self) -> Option<Vec<u8>> {
        squeeze(self.pieces())
    }
}

fn squeeze(pieces: impl Iterator<Item = Vec<u8>>) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for piece in pieces {
        encoder.write_all(&piece).ok()?;
    }
    encoder.finish().ok()
}
