//! PostgreSQL as a sink: one JSONB row per transaction, flushed before its answer.

use super::{Work, cpu_of};
use anyhow::Context as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Makes a cluster, waits for a line, loads it for so many seconds, waits for another line, ends it. PostgreSQL refuses
/// to run as root, so all of it runs as somebody else.
const SCRIPT: &str = r#"
home=$1; bin=$2; port=$3; seconds=$4
cd "$home" || exit 1
"$bin/initdb" -D data -U tenrec -A trust -E UTF8 --no-locale >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
"$bin/pg_ctl" -D data -w -l server.log -o "-p $port -c listen_addresses=localhost -c unix_socket_directories=$home" \
    start >/dev/null || { cat server.log >&2; exit 1; }
trap '"$bin/pg_ctl" -D data -m immediate stop >/dev/null 2>&1' EXIT
run() { "$bin/psql" -q -h "$home" -p "$port" -U tenrec postgres "$@"; }
run -c 'create table sample (p jsonb); create table events (id bigserial primary key, p jsonb)' || exit 1
run -c "\copy sample from sample.json csv quote e'\x01' delimiter e'\x02'" || exit 1
echo 'insert into events (p) select p from sample;' >insert.sql
head -1 data/postmaster.pid
read -r _
"$bin/pgbench" -h "$home" -p "$port" -U tenrec -n -c 32 -j 1 -T "$seconds" -f insert.sql postgres >bench.log 2>&1 || {
    cat bench.log >&2; exit 1; }
run -A -t -c 'select count(*) from events'
read -r _
"#;

/// Inserted events per second of server CPU.
///
/// # Errors
/// When it is not installed, or fails.
pub fn per_core(work: &Work<'_>) -> anyhow::Result<f64> {
    let bin = programs().context("not installed")?;
    // Not below the checkout's build folder, which others may not enter.
    let home = tempfile::Builder::new().prefix("tenrec-bench-postgres").tempdir()?;
    std::fs::write(home.path().join("sample.json"), &work.payload)?;
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "sh"]).args([home.path(), &bin]);
    shell.args([testkit::free_port()?.to_string(), work.span.as_secs().max(1).to_string()]);
    if let Some((uid, gid)) = somebody_else()? {
        for path in [home.path().to_owned(), home.path().join("sample.json")] {
            chown(path, Some(uid), Some(gid))?;
        }
        shell.uid(uid).gid(gid);
    }
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/").spawn()?;
    let mut input = child.stdin.take().context("piped")?;
    let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
    let mut line = || lines.next().context("PostgreSQL ended early")?.context("unreadable");
    let pid: u32 = line()?.trim().parse().context("the number of a process")?;
    let before = cpu_of(pid)?;
    input.write_all(b"go\n")?;
    let rows: f64 = line()?.trim().parse().context("a count of rows")?;
    let used = cpu_of(pid)? - before;
    input.write_all(b"end\n")?;
    child.wait()?;
    Ok(rows / used)
}

fn programs() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all: Vec<PathBuf> = debian.chain(std::env::split_paths(&path)).collect();
    let whole =
        |bin: &&PathBuf| ["initdb", "pg_ctl", "psql", "pgbench"].iter().all(|name| bin.join(name).exists());
    all.iter().find(whole).cloned()
}

/// Somebody without rights, when we are root.
fn somebody_else() -> anyhow::Result<Option<(u32, u32)>> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let said = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(said.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return Ok(None);
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| id(&["-u", name]).zip(id(&["-g", name])));
    Ok(Some(user.context("no user to run PostgreSQL as")?))
}
