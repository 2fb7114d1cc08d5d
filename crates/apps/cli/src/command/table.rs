//! `tenrec table`: looking after the tables of a folder that no server has open.

use super::{paper, wait_for};
use crate::settings;
use crate::words::{Shared, Table};
use ::table::Warehouse;
use ::table::care::{Compaction, Erasure, Expiry, Progress, Retention};
use ::table::schema::TABLES;
use anyhow::Context;
use event::ProjectId;
use server::settings::Care;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Runs the command.
pub fn run(shared: &Shared, command: Table) -> anyhow::Result<()> {
    anyhow::ensure!(
        server::metastore_path(&shared.data).exists(),
        "there is no Tenrec data in {}: run `tenrec serve` first, or point --data at it",
        shared.data.display()
    );
    let settings = settings::resolve(shared.config.as_deref(), &[])?.settings;
    wait_for(async {
        let opened = server::start::tables_at_rest(&settings, &shared.data).await;
        let resting = opened.map_err(|error| {
            anyhow::Error::from_boxed(error).context(
                "cannot open the data folder; a running server holds it and cares for its tables by itself: stop it first",
            )
        })?;
        let tables = &resting.warehouse;
        match command {
            Table::Stats { table } => stats(tables, &settings.care, table).await,
            Table::Compact { table, all } => compact(tables, &settings.care, table, all).await,
            Table::Expire { table, keep, grace_seconds } => {
                let policy = Expiry {
                    keep: keep.unwrap_or(settings.care.keep_snapshots),
                    grace: Duration::from_secs(grace_seconds.unwrap_or(settings.care.grace_seconds)),
                };
                expire(tables, &policy, table).await
            }
            Table::Orphans { table, hours, dry_run } => {
                let hours = hours.unwrap_or(settings.care.orphan_hours);
                orphans(tables, Duration::from_secs(hours.saturating_mul(3600)), table, dry_run).await
            }
            Table::Retain { table, days, project } => {
                let now = server::clock::Clock::from_setting(&settings.clock.fixed).now();
                let today = now.as_second().div_euclid(DAY);
                let first_day = i32::try_from(today - i64::from(days.max(1)) + 1)?;
                retain(tables, &table, Retention { first_day, project: project.map(ProjectId) }).await
            }
            Table::Erase { project, distinct_id, person_id } => {
                let person_ids =
                    person_id.iter().map(|id| id.parse().with_context(|| format!("{id} is no UUID")));
                let whose = Erasure {
                    project: ProjectId(project),
                    distinct_ids: distinct_id.into_iter().collect(),
                    person_ids: person_ids.collect::<anyhow::Result<_>>()?,
                };
                erase(tables, &whose).await
            }
        }
    })
}

/// One line on standard error that is written over, when a person is looking.
fn line(progress: Progress) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let end = if progress.done >= progress.total { "\n" } else { "" };
        let Progress { table, done, total, rows } = progress;
        let _ = write!(err, "\r\x1b[K{table}: {done} of {total}, {rows} rows{end}");
        let _ = err.flush();
    }
}

/// The table asked for, or all.
fn chosen(table: Option<String>) -> Vec<String> {
    table.map_or_else(|| TABLES.iter().map(|def| def.name.to_owned()).collect(), |name| vec![name])
}

fn compaction(care: &Care) -> Compaction {
    let quiet = Duration::from_secs(care.quiet_seconds);
    Compaction { min_files: care.min_files, target_bytes: care.target_bytes, quiet }
}

async fn stats(tables: &Warehouse, care: &Care, table: Option<String>) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for name in chosen(table) {
        let stats = tables.care_stats(&name, &compaction(care)).await?;
        let numbers = [
            stats.files.to_string(),
            stats.small_files.to_string(),
            stats.partitions.to_string(),
            stats.rows.to_string(),
            stats.bytes.to_string(),
            stats.snapshots.to_string(),
            stats.metadata_bytes.to_string(),
        ];
        rows.push([name].into_iter().chain(numbers).collect());
    }
    let names =
        ["table", "files", "small files", "partitions", "rows", "bytes", "snapshots", "metadata bytes"];
    paper::print(&names, &rows);
    Ok(())
}

async fn compact(tables: &Warehouse, care: &Care, table: Option<String>, all: bool) -> anyhow::Result<()> {
    let mut policy = compaction(care);
    if all {
        policy.quiet = Duration::ZERO;
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for name in chosen(table) {
        let done = tables.compact(&name, &policy, &mut line).await?;
        let numbers = [
            done.files_before as u64,
            done.files_after as u64,
            done.rows,
            done.bytes_before,
            done.bytes_after,
        ];
        rows.push([name].into_iter().chain(numbers.map(|number| number.to_string())).collect());
    }
    paper::print(&["table", "files merged", "into", "rows", "bytes before", "after"], &rows);
    Ok(())
}

async fn expire(tables: &Warehouse, policy: &Expiry, table: Option<String>) -> anyhow::Result<()> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for name in chosen(table) {
        let done = tables.expire(&name, policy).await?;
        let numbers = [done.snapshots as u64, done.data_files as u64, done.metadata_files as u64, done.bytes];
        rows.push([name].into_iter().chain(numbers.map(|number| number.to_string())).collect());
    }
    paper::print(&["table", "snapshots", "data files", "metadata files", "bytes freed"], &rows);
    Ok(())
}

async fn orphans(tables: &Warehouse, age: Duration, table: Option<String>, dry: bool) -> anyhow::Result<()> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for name in chosen(table) {
        let found = tables.remove_orphans(&name, age, dry).await?;
        let numbers = [found.files as u64, found.bytes, found.young as u64];
        rows.push([name].into_iter().chain(numbers.map(|number| number.to_string())).collect());
    }
    let what = if dry { "would remove" } else { "removed" };
    paper::print(&["table", what, "bytes", "too young"], &rows);
    Ok(())
}

async fn retain(tables: &Warehouse, table: &str, policy: Retention) -> anyhow::Result<()> {
    let done = tables.retain(table, &policy, &mut line).await?;
    println!("dropped {} row(s) in {} file(s) of {table}, {} bytes", done.rows, done.files, done.bytes);
    if done.files > 0 {
        println!("`tenrec table expire {table} --keep 1` frees the bytes");
    }
    Ok(())
}

async fn erase(tables: &Warehouse, whose: &Erasure) -> anyhow::Result<()> {
    anyhow::ensure!(
        !whose.distinct_ids.is_empty() || !whose.person_ids.is_empty(),
        "say whose rows: --distinct-id or --person-id"
    );
    let mut rows: Vec<Vec<String>> = Vec::new();
    for def in TABLES {
        let done = tables.erase(def.name, whose, &mut line).await?;
        rows.push(vec![def.name.to_owned(), done.rows.to_string(), done.files.to_string()]);
    }
    paper::print(&["table", "rows erased", "files rewritten"], &rows);
    println!("`tenrec table expire --keep 1` removes the old files");
    Ok(())
}
