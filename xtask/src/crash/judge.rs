//! Compares what is visible with what was sent.

use super::oracle::{Oracle, subject, visitor, writer_of};
use super::writer::Sent;
use crate::run;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use testkit::Api;

/// What is wrong, counted, with examples. All zero is a pass.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    seen: u64,
    lost: u64,
    doubled: u64,
    changed: u64,
    unsent: u64,
    split_persons: u64,
    replay_lost: u64,
    replay_doubled: u64,
    unreadable: u64,
    /// Sentences about single faults.
    pub examples: Vec<String>,
}

/// An event as a reader saw it.
struct Seen {
    uuid: String,
    distinct_id: String,
    person: String,
    id: Option<u64>,
    payload: String,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults() == 0
    }

    /// The verdict on tables that could not be read at all.
    pub fn unreadable(fault: &anyhow::Error) -> Self {
        Self { unreadable: 1, examples: vec![format!("{fault:#}")], ..Self::default() }
    }

    /// The counts, for the report.
    pub fn line(&self) -> Value {
        json!({
            "visible": self.seen, "lost": self.lost, "doubled": self.doubled, "changed": self.changed,
            "unsent": self.unsent, "split_persons": self.split_persons,
            "replay_lost": self.replay_lost, "replay_doubled": self.replay_doubled,
            "unreadable": self.unreadable,
        })
    }

    fn faults(&self) -> u64 {
        let events = self.lost + self.doubled + self.changed + self.unsent + self.split_persons;
        events + self.replay_lost + self.replay_doubled + self.unreadable
    }

    fn note(&mut self, example: impl FnOnce() -> String) {
        if self.examples.len() < 100 {
            self.examples.push(example());
        }
    }
}

/// Asks the running server, with merges applied.
pub fn through_sql(api: &Api, oracle: &Oracle, sent: &[Sent]) -> anyhow::Result<Verdict> {
    let total: u64 = sent.iter().map(|one| one.events).sum();
    let counted = "select count(*) from events where distinct_id like 'writer-%'";
    let start = Instant::now();
    // What was acked last may still be on its way to the tail.
    while api.count(counted)? < total && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut seen = Vec::new();
    for (writer, one) in sent.iter().enumerate() {
        for part in parts(one.events) {
            let sql = format!(
                "select uuid, distinct_id, person_id, properties from events_resolved \
                 where distinct_id like 'writer-{writer}-%' and cast(uuid as varchar) like '{part}%' limit 50000"
            );
            for row in api.query(&sql)? {
                let properties = match &row[3] {
                    Value::String(text) => serde_json::from_str(text)?,
                    other => other.clone(),
                };
                seen.push(Seen {
                    uuid: text(&row[0]),
                    distinct_id: text(&row[1]),
                    person: text(&row[2]),
                    id: properties["oracle"].as_u64(),
                    payload: text(&properties["payload"]),
                });
            }
        }
    }
    let mut verdict = judge(oracle, sent, &seen);
    one_person_each(&seen, &mut verdict);
    replay(api, sent, &mut verdict)?;
    Ok(verdict)
}

/// Reads the tables of a stopped server. Persons are as they were at the time of writing, so they are not compared.
pub fn through_pyiceberg(
    script: &Path,
    python: &Path,
    data: &Path,
    oracle: &Oracle,
    sent: &[Sent],
) -> anyhow::Result<Verdict> {
    let told = run::quiet(Command::new(python).arg(script).arg(data))?;
    let mut seen = Vec::new();
    for line in told.lines() {
        let row: [Value; 4] = serde_json::from_str(line)?;
        seen.push(Seen {
            uuid: text(&row[0]),
            distinct_id: text(&row[1]),
            person: String::new(),
            id: row[2].as_u64(),
            payload: text(&row[3]),
        });
    }
    Ok(judge(oracle, sent, &seen))
}

fn judge(oracle: &Oracle, sent: &[Sent], seen: &[Seen]) -> Verdict {
    let mut verdict = Verdict { seen: seen.len() as u64, ..Verdict::default() };
    let mut times: HashMap<u64, u64> = HashMap::new();
    for row in seen {
        let Some(id) = row.id.filter(|id| is_sent(sent, *id)) else {
            verdict.unsent += 1;
            verdict.note(|| format!("never sent: {} of {}", row.uuid, row.distinct_id));
            continue;
        };
        *times.entry(id).or_default() += 1;
        let whose = row.distinct_id == subject(id) || row.distinct_id == visitor(id);
        if row.uuid != oracle.uuid(id) || row.payload != oracle.payload(id) || !whose {
            verdict.changed += 1;
            verdict.note(|| format!("changed: id {id}, uuid {} of {}", row.uuid, row.distinct_id));
        }
    }
    for (writer, one) in (0_u64..).zip(sent) {
        for id in (writer << 40)..(writer << 40 | one.events) {
            match times.get(&id) {
                None => {
                    verdict.lost += 1;
                    verdict.note(|| format!("lost: id {id}, uuid {} of {}", oracle.uuid(id), subject(id)));
                }
                Some(1) => {}
                Some(count) => {
                    verdict.doubled += 1;
                    verdict.note(|| format!("visible {count} times: id {id}, uuid {}", oracle.uuid(id)));
                }
            }
        }
    }
    verdict
}

fn is_sent(sent: &[Sent], id: u64) -> bool {
    let writer = usize::try_from(writer_of(id)).unwrap_or(usize::MAX);
    sent.get(writer).is_some_and(|one| id & 0xff_ffff_ffff < one.events)
}

/// A distinct id has one person; a visitor has the person of the subject it was merged into.
fn one_person_each(seen: &[Seen], verdict: &mut Verdict) {
    let mut persons: HashMap<&str, &str> = HashMap::new();
    for row in seen {
        let known = persons.entry(&row.distinct_id).or_insert(&row.person);
        if *known != row.person {
            verdict.split_persons += 1;
            verdict.note(|| format!("two persons for {}: {known} and {}", row.distinct_id, row.person));
        }
    }
    for row in seen.iter().filter(|row| row.distinct_id.contains("visitor")) {
        let Some(id) = row.id else { continue };
        let user = subject(id + 1);
        if persons.get(user.as_str()).is_some_and(|person| *person != row.person) {
            verdict.split_persons += 1;
            verdict.note(|| format!("{} was merged into {user} and is another person", row.distinct_id));
        }
    }
}

fn replay(api: &Api, sent: &[Sent], verdict: &mut Verdict) -> anyhow::Result<()> {
    let mut items: HashMap<String, u64> = HashMap::new();
    for part in parts(sent.iter().map(|one| one.chunks.len() as u64).sum()) {
        let sql = format!(
            "select session_id, sum(event_count) from session_replay_blocks \
             where session_id like '{part}%' group by session_id limit 50000"
        );
        for row in api.query(&sql)? {
            items.insert(text(&row[0]), text(&row[1]).parse().unwrap_or(0));
        }
    }
    for (session, count) in sent.iter().flat_map(|one| &one.chunks) {
        match items.get(session).copied().unwrap_or(0) {
            found if found < *count => {
                verdict.replay_lost += 1;
                verdict.note(|| format!("replay session {session}: {found} of {count} items"));
            }
            found if found > *count => {
                verdict.replay_doubled += 1;
                verdict.note(|| format!("replay session {session}: {found} items instead of {count}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Beginnings of uuids that divide `rows` rows so that an answer stays below the server's limit of rows, even when
/// each is there twice.
fn parts(rows: u64) -> &'static [&'static str] {
    const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"];
    if rows < 20_000 { &[""] } else { DIGITS }
}

fn text(cell: &Value) -> String {
    cell.as_str().map_or_else(|| cell.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(oracle: &Oracle, id: u64) -> Seen {
        Seen {
            uuid: oracle.uuid(id),
            distinct_id: subject(id),
            person: "p".to_owned(),
            id: Some(id),
            payload: oracle.payload(id),
        }
    }

    #[test]
    fn every_kind_of_fault_is_found() {
        let oracle = Oracle::new(1, "phc_x").unwrap();
        let sent = [Sent { events: 4, ..Sent::default() }];
        let clean: Vec<Seen> = (0..4).map(|id| row(&oracle, id)).collect();
        assert!(judge(&oracle, &sent, &clean).is_clean());
        let mut changed = row(&oracle, 2);
        changed.payload.push('!');
        let faulty = vec![row(&oracle, 0), row(&oracle, 0), changed, row(&oracle, 3), row(&oracle, 9)];
        let verdict = judge(&oracle, &sent, &faulty);
        assert_eq!((verdict.lost, verdict.doubled, verdict.changed, verdict.unsent), (1, 1, 1, 1));
    }

    #[test]
    fn a_split_person_is_found() {
        let oracle = Oracle::new(1, "phc_x").unwrap();
        let mut visit = row(&oracle, 0);
        visit.distinct_id = visitor(0);
        let user = row(&oracle, 1);
        let mut verdict = Verdict::default();
        visit.person = "other".to_owned();
        one_person_each(&[visit, user], &mut verdict);
        assert_eq!(verdict.split_persons, 1);
    }
}
