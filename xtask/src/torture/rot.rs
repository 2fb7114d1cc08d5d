//! R14: one flipped bit in a file of a data folder at rest. Whoever opens it is told, or gets the answers as they were.
//!
//! Every flip is done to the real files and undone again. The real binary answers in between: all rows of the table that
//! the file belongs to, and for the metastore the projects and the keys. The log and the repeat memory are flipped bit by bit by tests of their own
//! crates, in memory.

use super::Plan;
use crate::crash::{self, Trial};
use crate::run;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use testkit::{Numbers, Server};

/// Folders flipped at the same time would need copies, whose tables would name the files of the first. So there is one.
const WRITERS: u64 = 6;

/// What a file is, and how many of a hundred flips it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    DataFile,
    Manifest,
    Metadata,
    Catalog,
    Metastore,
}

const SHARES: &[(Class, u64)] = &[
    (Class::DataFile, 40),
    (Class::Manifest, 20),
    (Class::Metadata, 15),
    (Class::Catalog, 10),
    (Class::Metastore, 15),
];

/// How flips of one class ended.
#[derive(Default)]
struct Tally {
    found: u64,
    harmless: u64,
    silent: Vec<String>,
}

/// See the module.
pub fn run(plan: &Plan) -> anyhow::Result<Value> {
    in_memory(plan)?;
    let trial = Trial::new("rot", plan.binary()?, plan.seed, crash::SETTINGS)?;
    let server = Server::start(&trial.setup)?;
    let crew = trial.crew(server.url(), WRITERS);
    std::thread::sleep(Duration::from_secs(4));
    let sent = crew.end()?;
    server.stop(Duration::from_secs(60))?;
    let folder = Folder { binary: trial.setup.binary.clone(), data: trial.setup.data.clone() };
    let files = folder.files()?;
    let mut numbers = Numbers::of(plan.seed, 0x0072_6f74);
    let mut tallies: BTreeMap<Class, Tally> = BTreeMap::new();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    // Every flip starts the program again: about a second each without optimisation.
    for _ in 0..plan.amount(60, 2_000) {
        let class = pick(&mut numbers);
        let (path, table) = numbers.pick(files.get(&class).context("every class has files")?).clone();
        let asked = format!("{table} {class:?}");
        if !known.contains_key(&asked) {
            known.insert(asked.clone(), folder.answers(&table, class).context("before any flip")?);
        }
        let whole = std::fs::read(&path)?;
        let bit = numbers.below(whole.len() as u64 * 8);
        let mut rotten = whole.clone();
        rotten[(bit / 8) as usize] ^= 1 << (bit % 8);
        overwrite(&path, &rotten)?;
        let answered = folder.answers(&table, class);
        overwrite(&path, &whole)?;
        let tally = tallies.entry(class).or_default();
        match answered {
            Err(_) => tally.found += 1,
            Ok(text) if text == known[&asked] => tally.harmless += 1,
            Ok(_) => tally.silent.push(format!("{} bit {bit} of {}", path.display(), whole.len() * 8)),
        }
    }
    let figures =
        json!(tallies.iter().map(|(class, tally)| {
        let counts = json!({"found": tally.found, "harmless": tally.harmless, "silent": tally.silent.len()});
        (format!("{class:?}"), counts)
    }).collect::<BTreeMap<_, _>>());
    let silent: Vec<&String> = tallies.values().flat_map(|tally| &tally.silent).collect();
    silent.iter().take(20).for_each(|flip| println!("a wrong answer, silently: {flip}"));
    let running = while_running(plan, &trial, &mut numbers)?;
    // The flips are undone: everything must be as it was sent.
    let server = Server::start(&trial.setup)?;
    let judged = trial.judge(plan.root, server, &sent, plan.keep)?;
    anyhow::ensure!(silent.is_empty(), "{} wrong answers: {figures}", silent.len());
    Ok(json!({"flips": figures, "while_running": running, "judged": judged}))
}

/// The flips that need no process: segments of the log, and the repeat memory.
fn in_memory(plan: &Plan) -> anyhow::Result<()> {
    let mut command = run::cargo();
    command.args(["test", "--quiet", "-p", "eventlog", "--lib", "tests::damage"]).current_dir(plan.root);
    anyhow::ensure!(run::echoed(&mut command)?.ok, "a flipped bit in the log did harm");
    Ok(())
}

fn pick(numbers: &mut Numbers) -> Class {
    let mut left = numbers.below(100);
    for (class, share) in SHARES {
        if left < *share {
            return *class;
        }
        left -= share;
    }
    Class::DataFile
}

/// In place: what the file system knows of the file beside its content stays.
fn overwrite(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::os::unix::fs::FileExt as _;
    Ok(std::fs::OpenOptions::new().write(true).open(path)?.write_all_at(bytes, 0)?)
}

/// A data folder at rest, and the program that answers from it.
struct Folder {
    binary: PathBuf,
    data: PathBuf,
}

impl Folder {
    /// The files to flip, each with the table whose rows it decides.
    fn files(&self) -> anyhow::Result<BTreeMap<Class, Vec<(PathBuf, String)>>> {
        let mut files: BTreeMap<Class, Vec<(PathBuf, String)>> = BTreeMap::new();
        for table in ["events", "persons", "person_distinct_ids", "session_replay_blocks"] {
            let home = self.data.join("warehouse/tenrec").join(table);
            for path in all_below(&home)? {
                let class = match path.extension().and_then(|extension| extension.to_str()) {
                    Some("parquet") => Class::DataFile,
                    Some("avro") => Class::Manifest,
                    Some("json") => Class::Metadata,
                    _ => continue,
                };
                files.entry(class).or_default().push((path, table.to_owned()));
            }
        }
        files.insert(Class::Catalog, vec![(self.data.join("catalog.db"), "events".to_owned())]);
        files.insert(Class::Metastore, vec![(self.data.join("tenrec.db"), "events".to_owned())]);
        Ok(files)
    }

    /// All rows of a table in one order; beside the metastore the projects and the keys too.
    ///
    /// # Errors
    /// When the program refuses, which is what it shall do with damage.
    fn answers(&self, table: &str, class: Class) -> anyhow::Result<String> {
        let rows =
            self.ask(&["query", "--format", "csv", "--limit", "50000", &format!("select * from {table}")])?;
        let mut rows: Vec<&str> = rows.lines().collect();
        rows.sort_unstable();
        if class != Class::Metastore {
            return Ok(rows.join("\n"));
        }
        let projects = self.ask(&["projects", "list"])?;
        let keys = self.ask(&["keys", "list"])?;
        Ok(format!("{}\n{projects}\n{keys}", rows.join("\n")))
    }

    fn ask(&self, words: &[&str]) -> anyhow::Result<String> {
        run::quiet(Command::new(&self.binary).args(words).arg("--data").arg(&self.data))
    }
}

fn all_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(all_below(&path)?),
            false => found.push(path),
        }
    }
    found.sort();
    Ok(found)
}

/// Flips a bit of a data file beneath a server that has not read it yet: it answers with an error, counts it and says
/// which file. Other tables still answer.
fn while_running(plan: &Plan, trial: &Trial, numbers: &mut Numbers) -> anyhow::Result<Value> {
    let folder = Folder { binary: trial.setup.binary.clone(), data: trial.setup.data.clone() };
    let files = folder.files()?;
    let events: Vec<&(PathBuf, String)> =
        files[&Class::DataFile].iter().filter(|(_, table)| table == "events").collect();
    let (path, _) = numbers.pick(&events);
    let server = Server::start(&trial.setup)?;
    let whole = std::fs::read(path)?;
    let mut rotten = whole.clone();
    let at = numbers.below(whole.len() as u64) as usize;
    rotten[at] ^= 1 << numbers.below(8);
    overwrite(path, &rotten)?;
    let said = server.api().query("select max(properties), max(distinct_id) from events");
    let others = server.api().query("select count(*) from persons");
    let counted = server.api().metric("tenrec_table_damaged_files_total")?;
    overwrite(path, &whole)?;
    let healed = server.api().query("select count(*) from events");
    server.stop(Duration::from_secs(60))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    anyhow::ensure!(
        said.is_err(),
        "seed {}: byte {at} of {name} is flipped, and the server answers",
        plan.seed
    );
    anyhow::ensure!(others.is_ok() && healed.is_ok(), "{others:?} {healed:?}");
    anyhow::ensure!(counted >= 1.0, "the damage is not counted");
    anyhow::ensure!(trial.log().lines().any(|line| line.contains(&name)), "no line of the log names {name}");
    Ok(json!({"answered_with_an_error": true, "damage_counted": counted}))
}
