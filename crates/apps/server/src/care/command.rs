//! Care by command: what may be asked, and the lines that tell how it goes.

use super::{Failure, Hands};
use crate::settings;
use event::ProjectId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};
use table::care::{Compaction, Expiry, Progress, Retention};
use table::schema::TABLES;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Progress is told this often at most.
const TELL: Duration = Duration::from_millis(100);

/// What may be asked. Without a table it is done for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Counts files, rows, bytes.
    Stats {
        /// Only this table.
        #[serde(default)]
        table: Option<String>,
    },
    /// Merges small files.
    Compact {
        /// Only this table.
        #[serde(default)]
        table: Option<String>,
        /// Everything that is small.
        #[serde(default)]
        all: bool,
    },
    /// Lets old snapshots go.
    Expire {
        /// Only this table.
        #[serde(default)]
        table: Option<String>,
        /// Snapshots to keep; the setting if not given.
        #[serde(default)]
        keep: Option<usize>,
        /// Seconds a snapshot stays after another took its place; the setting if not given.
        #[serde(default)]
        grace_seconds: Option<u64>,
    },
    /// Removes files that nothing refers to.
    Orphans {
        /// Only this table.
        #[serde(default)]
        table: Option<String>,
        /// Only older files; the setting if not given.
        #[serde(default)]
        hours: Option<u64>,
        /// Only counts.
        #[serde(default)]
        dry_run: bool,
    },
    /// Drops old days.
    Retain {
        /// The table.
        table: String,
        /// Days to keep, today included.
        days: u32,
        /// Only this project.
        #[serde(default)]
        project: Option<i64>,
    },
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum Line {
    /// How far it has come.
    Progress {
        /// Table.
        table: String,
        /// Pieces done.
        done: usize,
        /// Pieces in all, as known now.
        total: usize,
        /// Rows read.
        rows: u64,
    },
    /// What was done to one table.
    Table {
        /// Table.
        table: String,
        /// Numbers by name.
        figures: Map<String, Value>,
    },
    /// Something to know.
    Note {
        /// For people.
        text: String,
    },
    /// The state of an erasure.
    Erasure {
        /// See [`super::erase::state`].
        state: Value,
    },
    /// It is done; the last line.
    Done,
    /// It was not done, or not all of it; the last line.
    Failed {
        /// For people.
        detail: String,
    },
}

/// Takes lines.
pub type Tell<'a> = &'a mut (dyn FnMut(Line) + Send);

impl Line {
    /// What was done to a table.
    pub(super) fn figures(table: &str, figures: Value) -> Self {
        let figures = match figures {
            Value::Object(figures) => figures,
            _ => Map::new(),
        };
        Self::Table { table: table.to_owned(), figures }
    }
}

/// Tells progress now and then, and always the end.
pub(super) fn watch<'a>(tell: Tell<'a>) -> impl FnMut(Progress) + Send + 'a {
    let mut told: Option<Instant> = None;
    move |progress: Progress| {
        let Progress { table, done, total, rows } = progress;
        if total > 0 && (done >= total || told.is_none_or(|at| at.elapsed() >= TELL)) {
            told = Some(Instant::now());
            tell(Line::Progress { table: table.to_owned(), done, total, rows });
        }
    }
}

/// How to compact, by the settings.
pub(super) fn compaction(care: &settings::Care) -> Compaction {
    let quiet = Duration::from_secs(care.quiet_seconds);
    Compaction {
        min_files: care.min_files,
        target_bytes: care.target_bytes,
        group_rows: care.group_rows,
        quiet,
    }
}

/// What to expire, by the settings.
pub(super) fn expiry(care: &settings::Care) -> Expiry {
    Expiry { keep: care.keep_snapshots, grace: Duration::from_secs(care.grace_seconds) }
}

/// The first day that stays when so many are kept, today included; `None` keeps all, and so does 0.
pub(super) fn first_day(days: u32, now: Timestamp) -> Option<i32> {
    let today = now.as_second().div_euclid(DAY);
    (days > 0).then(|| i32::try_from(today - i64::from(days) + 1).unwrap_or(i32::MIN))
}

/// The table asked for, or all.
fn chosen(table: Option<&String>) -> Vec<String> {
    table.map_or_else(|| TABLES.iter().map(|def| def.name.to_owned()).collect(), |name| vec![name.clone()])
}

/// Does what a command says.
///
/// # Errors
/// The first table's failure: what was done before stays done.
pub async fn run(hands: &Hands, command: &Command, tell: Tell<'_>) -> Result<(), Failure> {
    match command {
        Command::Stats { table } => stats(hands, table.as_ref(), tell).await,
        Command::Compact { table, all } => {
            let mut policy = compaction(&hands.settings);
            if *all {
                policy.quiet = Duration::ZERO;
            }
            compact(hands, table.as_ref(), &policy, tell).await
        }
        Command::Expire { table, keep, grace_seconds } => {
            let mut policy = expiry(&hands.settings);
            policy.keep = keep.unwrap_or(policy.keep);
            policy.grace = grace_seconds.map_or(policy.grace, Duration::from_secs);
            expire(hands, table.as_ref(), &policy, tell).await
        }
        Command::Orphans { table, hours, dry_run } => {
            let hours = hours.unwrap_or(hands.settings.orphan_hours);
            let age = Duration::from_secs(hours.saturating_mul(3600));
            for name in chosen(table.as_ref()) {
                let found = hands.warehouse.remove_orphans(&name, age, *dry_run).await?;
                let what = if *dry_run { "would remove" } else { "removed" };
                let figures = json!({what: found.files, "bytes": found.bytes, "too young": found.young});
                tell(Line::figures(&name, figures));
            }
            Ok(())
        }
        Command::Retain { table, days, project } => {
            let Some(first) = first_day(*days, hands.clock.now()) else {
                let said = "say how many days to keep, at least 1".to_owned();
                return Err(Failure { said, is_open: true });
            };
            let policy = Retention::from_day(first, project.map(ProjectId));
            retain(hands, table, &policy, tell).await
        }
    }
}

async fn stats(hands: &Hands, table: Option<&String>, tell: Tell<'_>) -> Result<(), Failure> {
    for name in chosen(table) {
        let stats = hands.warehouse.care_stats(&name, &compaction(&hands.settings)).await?;
        let figures = json!({
            "files": stats.files, "small files": stats.small_files, "partitions": stats.partitions,
            "rows": stats.rows, "bytes": stats.bytes, "snapshots": stats.snapshots,
            "metadata bytes": stats.metadata_bytes,
        });
        tell(Line::figures(&name, figures));
    }
    Ok(())
}

async fn compact(
    hands: &Hands,
    table: Option<&String>,
    policy: &Compaction,
    tell: Tell<'_>,
) -> Result<(), Failure> {
    for name in chosen(table) {
        let began = Instant::now();
        let done = hands.warehouse.compact(&name, policy, &mut watch(tell)).await?;
        note(&name, "compact", 0, began);
        let figures = json!({
            "files merged": done.files_before, "into": done.files_after, "rows": done.rows,
            "bytes before": done.bytes_before, "after": done.bytes_after,
        });
        tell(Line::figures(&name, figures));
    }
    Ok(())
}

async fn expire(
    hands: &Hands,
    table: Option<&String>,
    policy: &Expiry,
    tell: Tell<'_>,
) -> Result<(), Failure> {
    for name in chosen(table) {
        let began = Instant::now();
        let done = hands.warehouse.expire(&name, policy).await?;
        note(&name, "expire", done.bytes, began);
        let figures = json!({
            "snapshots": done.snapshots, "data files": done.data_files, "metadata files": done.metadata_files,
            "bytes freed": done.bytes,
        });
        tell(Line::figures(&name, figures));
        if done.held > 0 {
            let text = format!(
                "{name}: {} snapshot(s) with rows that were dropped or erased stay, because branches or tags of \
                 another program name them",
                done.held
            );
            tell(Line::Note { text });
        }
    }
    Ok(())
}

async fn retain(hands: &Hands, table: &str, policy: &Retention, tell: Tell<'_>) -> Result<(), Failure> {
    let began = Instant::now();
    let done = hands.warehouse.retain(table, policy, &mut watch(tell)).await?;
    note(table, "retain", done.block_bytes, began);
    let figures = json!({
        "rows dropped": done.rows, "files": done.files, "bytes": done.bytes,
        "recording bytes freed": done.block_bytes,
    });
    tell(Line::figures(table, figures));
    // What can be freed now is freed now: rows that an earlier run dropped.
    let freed = hands.warehouse.expire(table, &expiry(&hands.settings)).await?;
    note(table, "expire", freed.bytes, began);
    let grace = hands.settings.grace_seconds;
    let mut text = format!("{} bytes of files were freed", freed.bytes);
    if done.bytes > 0 {
        text = format!(
            "{text}; the {} bytes dropped now are freed {grace} seconds from now by the server, or by `tenrec table expire \
             {table} --grace-seconds 0` when nobody reads the table",
            done.bytes
        );
    }
    tell(Line::Note { text });
    Ok(())
}

/// Counts work that was asked for like that of a round.
pub(super) fn note(table: &str, work: &'static str, freed: u64, began: Instant) {
    if let Some(def) = table::schema::table(table) {
        telemetry::table::maintained(def.name, work, freed, began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_written_and_nothing_else() {
        let compact = Command::Compact { table: Some("events".into()), all: true };
        let json = serde_json::to_value(&compact).expect("JSON");
        assert_eq!(json, json!({"action": "compact", "table": "events", "all": true}));
        assert_eq!(serde_json::from_value::<Command>(json).expect("a command"), compact);
        let short = serde_json::from_str::<Command>(r#"{"action":"expire"}"#).expect("a command");
        assert_eq!(short, Command::Expire { table: None, keep: None, grace_seconds: None });
        for wrong in [r#"{"action":"drop"}"#, r#"{"action":"stats","tabel":"x"}"#, r#"{"action":"retain"}"#] {
            assert!(serde_json::from_str::<Command>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn days_are_counted_with_today() {
        let noon = "2026-01-10T12:00:00Z".parse().expect("time");
        let today = 20_463;
        assert_eq!(first_day(0, noon), None);
        assert_eq!(first_day(1, noon), Some(today));
        assert_eq!(first_day(3, noon), Some(today - 2));
    }
}
