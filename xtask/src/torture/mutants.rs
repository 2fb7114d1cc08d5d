//! R9: the recorded requests of real SDKs, damaged in a hundred ways each: never a panic, never a fault of ours.

use super::Plan;
use super::exchange::{Line, request};
use super::stage::Stage;
use anyhow::Context as _;
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use testkit::Numbers;
use testkit::server::{PERSONAL_KEY, PROJECT_KEY};

/// A recorded request.
struct Recorded {
    id: String,
    method: String,
    path: String,
    headers: String,
    body: Vec<u8>,
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    let recorded = read(plan.root)?;
    let stage = Stage::open(plan, &[("TENREC__INGEST__COMMIT_SECONDS", "1")])?;
    let mut line = None;
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    let mut closed = 0_u64;
    let each = plan.amount(6_000, 200_000) / recorded.len() as u64 + 1;
    for (place, one) in (0_u64..).zip(&recorded) {
        for number in 0..each {
            let mut numbers = Numbers::of(plan.seed, place << 32 | number);
            // Half of them stay JSON, so that they come further.
            let body = match numbers.below(2) {
                0 => twisted(&one.body, &mut numbers),
                _ => damaged(&one.body, &mut numbers),
            };
            let headers = if numbers.below(8) == 0 { swapped(&mut numbers) } else { one.headers.clone() };
            let bytes = request(&one.method, &one.path, &headers, &body);
            let open = match line.take() {
                Some(open) => open,
                None => Line::open(&stage.address())?,
            };
            let mut open = open;
            let Ok(answer) = open.send(&bytes) else {
                // A head that cannot be read ends a connection; a server that is gone ends the run at the next one.
                closed += 1;
                continue;
            };
            *statuses.entry(answer.status).or_default() += 1;
            let name = format!("{} mutant {number}", one.id);
            anyhow::ensure!(answer.status < 500, "{name}: {} {}", answer.status, answer.text());
            line = (answer.header("connection") != Some("close")).then_some(open);
        }
    }
    let questions = questions(plan, &stage)?;
    // What was taken must also be folded and committed.
    let after = json!({"api_key": PROJECT_KEY, "event": "after", "distinct_id": "d"}).to_string();
    let bytes = request("POST", "/i/v0/e/", "Content-Type: application/json\r\n", after.as_bytes());
    anyhow::ensure!(Line::open(&stage.address())?.send(&bytes)?.status == 200, "no event after the mutants");
    anyhow::ensure!(stage.visible("after", 1)? == 1, "the event after the mutants is not visible");
    let panicked = stage.server().api().metric("tenrec_task_panics_total")?;
    anyhow::ensure!(panicked == 0.0, "{panicked} tasks panicked");
    let figures = json!({"requests": recorded.len(), "mutants_each": each, "statuses": statuses, "closed": closed,
        "questions": questions});
    anyhow::ensure!(closed * 20 <= each * recorded.len() as u64, "too many connections closed: {figures}");
    stage.close()?;
    Ok(figures)
}

/// Statements that look for trouble, damaged, to the query endpoint; gives how many of each answer.
fn questions(plan: &Plan, stage: &Stage) -> anyhow::Result<BTreeMap<u16, u64>> {
    let mut statuses = BTreeMap::new();
    let mut line = Line::open(&stage.address())?;
    let headers = format!("Content-Type: application/json\r\nAuthorization: Bearer {PERSONAL_KEY}\r\n");
    let texts = ["refused.txt", "other-project.txt"].map(|name| plan.root.join("fixtures/query").join(name));
    let texts: Vec<String> = texts.iter().map(std::fs::read_to_string).collect::<Result<_, _>>()?;
    for (place, sql) in (0_u64..).zip(texts.iter().flat_map(|text| text.lines())) {
        for number in 0..plan.amount(2, 200) {
            let mut numbers = Numbers::of(plan.seed ^ 0x0073_716c, place << 32 | number);
            let sql = damaged(sql.as_bytes(), &mut numbers);
            let sql = String::from_utf8_lossy(&sql);
            let body = json!({"query": {"kind": "HogQLQuery", "query": sql}}).to_string();
            let answer = line.send(&request("POST", "/api/projects/1/query/", &headers, body.as_bytes()))?;
            anyhow::ensure!(answer.status < 500, "{sql}: {} {}", answer.status, answer.text());
            *statuses.entry(answer.status).or_default() += 1;
        }
    }
    Ok(statuses)
}

fn read(root: &Path) -> anyhow::Result<Vec<Recorded>> {
    let path = root.join("fixtures/capture/cases.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let cases: Vec<Value> = serde_json::from_str(&text)?;
    let recorded: Vec<Recorded> = cases.iter().filter_map(Recorded::of).collect();
    anyhow::ensure!(recorded.len() >= 60, "only {} recorded bodies", recorded.len());
    Ok(recorded)
}

impl Recorded {
    /// A case with a body of ordinary size.
    fn of(case: &Value) -> Option<Self> {
        let asked = &case["request"];
        let text = |value: &Value| {
            Some(value.as_str()?.replace("$TOKEN", PROJECT_KEY).replace("$NOW", "2026-11-20T12:00:00Z"))
        };
        let body = match (&asked["body"]["text"], &asked["body"]["base64"]) {
            (body @ Value::String(_), _) => text(body)?.into_bytes(),
            (_, Value::String(body)) => base64::engine::general_purpose::STANDARD.decode(body).ok()?,
            _ => return None,
        };
        let headers = asked["headers"].as_object()?.iter();
        let headers = headers.filter_map(|(name, value)| Some(format!("{name}: {}\r\n", text(value)?)));
        Some(Self {
            id: text(&case["id"])?,
            method: text(&asked["method"])?,
            path: text(&asked["path"])?,
            headers: headers.collect(),
            body,
        })
    }
}

/// Pieces of JSON that are trouble in the wrong place.
const TROUBLE: &[&str] = &[
    "null",
    "{}",
    "[]",
    "\"\"",
    "-1",
    "1e999",
    "9223372036854775808",
    "\\ud800",
    "\\u0000",
    "\u{0}",
    "\u{feff}",
    "NaN",
    "[[[[",
    "{\"a\":",
    "\"$set\":1,",
    "\"properties\":[],",
    "\"timestamp\":\"+275760-09-13\",",
    "\"uuid\":5,",
    "\"distinct_id\":{},",
    "\"offset\":-9e18,",
    "%00",
    "&data=",
    "data=",
    "'",
    ",,",
];

/// Values that are trouble where another kind is expected.
const VALUES: &[&str] = &[
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "-1",
    "0",
    "1e300",
    "9223372036854775808",
    "\"\\u0000\"",
    "\"undefined\"",
    "[[[[1]]]]",
    "{\"$set\":{\"a\":[]}}",
    "\"2026-02-30T25:61:61Z\"",
    "\"+275760-09-13T00:00:00Z\"",
    "\"1\"",
    "1763640000.5",
    "\"00000000-0000-0000-0000-000000000000\"",
    "{\"0\":{\"\":null}}",
    "\"$identify\"",
    "\"$groupidentify\"",
    "\"$ai_generation\"",
];
/// Names that mean something to somebody.
const NAMES: &[&str] = &[
    "event",
    "distinct_id",
    "properties",
    "$set",
    "$set_once",
    "$unset",
    "timestamp",
    "uuid",
    "sent_at",
    "offset",
    "$groups",
    "$group_0",
    "$anon_distinct_id",
    "alias",
    "token",
    "$session_id",
    "$cookieless_mode",
    "$elements",
    "$ai_input_tokens",
    "$process_person_profile",
    "$heatmap_data",
    "historical_migration",
    "batch",
    "data",
];

/// A JSON body with one to four values exchanged or added; what is no JSON is damaged.
fn twisted(body: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let Ok(mut json) = serde_json::from_slice::<Value>(body) else { return damaged(body, numbers) };
    for _ in 0..=numbers.below(4) {
        twist(&mut json, numbers);
    }
    json.to_string().into_bytes()
}

/// Walks down at random and changes what it comes to.
fn twist(json: &mut Value, numbers: &mut Numbers) {
    let drawn = serde_json::from_str(numbers.pick::<&str>(VALUES)).unwrap_or(Value::Null);
    match json {
        Value::Object(fields) if numbers.below(6) == 0 => {
            fields.insert((*numbers.pick(NAMES)).to_owned(), drawn);
        }
        Value::Object(fields) if !fields.is_empty() => {
            let at = numbers.below(fields.len() as u64) as usize;
            if let Some(field) = fields.values_mut().nth(at) {
                twist(field, numbers);
            }
        }
        Value::Array(items) if !items.is_empty() && numbers.below(6) > 0 => {
            let at = numbers.below(items.len() as u64) as usize;
            twist(&mut items[at], numbers);
        }
        other => *other = drawn,
    }
}

/// One to four changes to a body.
fn damaged(body: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = body.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() as u64 + 1) as usize;
        let to = (at + numbers.below(40) as usize).min(bytes.len());
        match numbers.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..to)),
            2 => bytes.extend_from_within(at..to),
            3 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            4 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
            5 => drop(bytes.splice(at..at, numbers.pick(TROUBLE).bytes())),
            6 => drop(bytes.splice(at..to, numbers.pick(TROUBLE).bytes())),
            _ => {
                let copy = bytes[at..to].to_vec();
                drop(bytes.splice(at..at, copy));
            }
        }
    }
    bytes
}

/// Headers that say something else than the body is.
fn swapped(numbers: &mut Numbers) -> String {
    let kind = *numbers.pick(&[
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/x-protobuf",
        "",
        "\u{1}",
    ]);
    let encoding =
        *numbers.pick(&["gzip", "br", "zstd", "deflate", "gzip, gzip", "identity", "base64", "lz64"]);
    format!("Content-Type: {kind}\r\nContent-Encoding: {encoding}\r\n")
}
