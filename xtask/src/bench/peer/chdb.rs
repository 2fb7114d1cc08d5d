//! ClickHouse's engine inside Python: inserts of 10 000 rows of JSON lines, no HTTP and no flush.

use crate::run;
use anyhow::Context as _;
use std::process::Command;
use testkit::workload::{Kind, Workload};

/// Rows of an insert, and inserts.
const ROWS: u64 = 10_000;
const INSERTS: u64 = 10;

const SCRIPT: &str = "
import resource, sys, tempfile
from chdb import session
path, inserts = sys.argv[1], int(sys.argv[2])
chdb = session.Session(tempfile.mkdtemp())
chdb.query('create database bench')
chdb.query('create table bench.events (uuid String, event String, distinct_id String, timestamp String, properties '
           'String) engine = MergeTree order by (event, timestamp)')
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before = used()
for _ in range(inserts):
    chdb.query(f\"insert into bench.events select * from file('{path}', JSONEachRow, 'uuid String, event String, \"
               \"distinct_id String, timestamp String, properties String') \")
rows = int(str(chdb.query('select count() from bench.events')).strip())
print(rows / (used() - before))
";

/// Inserted events per second of CPU.
///
/// # Errors
/// When it is not installed (`pip install chdb`), or fails.
pub fn per_core(kind: Kind) -> anyhow::Result<f64> {
    let python = ["python3", "python"].into_iter().find(|python| {
        Command::new(python).args(["-c", "import chdb"]).output().is_ok_and(|output| output.status.success())
    });
    let python = python.context("not installed")?;
    let folder = testkit::scratch("chdb")?;
    let path = folder.path().join("rows.jsonl");
    let workload = Workload { kind, seed: 3, start: jiff::Timestamp::now() };
    let line = |id: u64| {
        let mut event = workload.event(id);
        event["properties"] = event["properties"].to_string().into();
        event["distinct_id"] = format!("visitor-{id}").into();
        event.to_string()
    };
    std::fs::write(&path, (0..ROWS).map(line).collect::<Vec<_>>().join("\n"))?;
    let said = run::quiet(Command::new(python).args(["-c", SCRIPT]).arg(&path).arg(INSERTS.to_string()))?;
    said.trim().parse().with_context(|| format!("chdb said {said}"))
}
