//! A round of table care: old days go, small files are merged, old snapshots expire, orphans go.

use super::command::{compaction, expiry, first_day};
use super::{Failure, Hands};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use table::care::Retention;
use table::schema::TABLES;
use table::{Error, Warehouse};

/// How often orphans are looked for: every file of every table is listed.
const SWEEP: Duration = Duration::from_secs(86_400);

/// What rounds remember of each other.
#[derive(Default)]
pub(super) struct Rounds {
    swept: Option<Instant>,
}

impl Rounds {
    /// One round over all tables. A table that fails does not hold up the others.
    pub(super) async fn run(&mut self, hands: &Hands) {
        let sweep = self.swept.is_none_or(|at| at.elapsed() >= SWEEP);
        for def in TABLES {
            let done = match retain(hands, def.name).await {
                Ok(()) => round(hands, def.name, sweep).await.map_err(Failure::from),
                failed => failed,
            };
            if let Err(error) = done {
                tracing::warn!(%error, table = def.name, "table care failed; trying again with the next round");
            }
        }
        if sweep {
            self.swept = Some(Instant::now());
        }
    }
}

/// Drops the days that server and projects do not keep.
async fn retain(hands: &Hands, name: &'static str) -> Result<(), Failure> {
    let now = hands.clock.now();
    let first = |days| first_day(days, now);
    let mut policy =
        Retention { first_day: first(hands.settings.retention_days(name)), projects: BTreeMap::new() };
    for project in hands.metastore.projects().await? {
        if let Some(days) = project.settings.retention_days(name) {
            policy.projects.insert(project.id, first(days));
        }
    }
    if policy.keeps_all() {
        return Ok(());
    }
    let began = Instant::now();
    let done = hands.warehouse.retain(name, &policy, &mut |_| {}).await?;
    if done.files > 0 {
        tracing::info!(
            table = name,
            rows = done.rows,
            files = done.files,
            bytes = done.bytes,
            recording_bytes = done.block_bytes,
            "old days dropped; files are freed when their snapshots expire"
        );
        telemetry::table::maintained(name, "retain", done.block_bytes, began.elapsed());
    }
    Ok(())
}

async fn round(hands: &Hands, name: &'static str, sweep: bool) -> Result<(), Error> {
    let Hands { warehouse, settings, .. } = hands;
    let began = Instant::now();
    let compacted = warehouse.compact(name, &compaction(settings), &mut |_| {}).await?;
    if compacted.files_before > 0 {
        tracing::info!(table = name, ?compacted, took = ?began.elapsed(), "small files merged");
        let freed = compacted.bytes_before.saturating_sub(compacted.bytes_after);
        telemetry::table::maintained(name, "compact", freed, began.elapsed());
    }
    let began = Instant::now();
    let expired = warehouse.expire(name, &expiry(settings)).await?;
    if expired.snapshots > 0 {
        telemetry::table::maintained(name, "expire", expired.bytes, began.elapsed());
    }
    if expired.bytes > 0 {
        tracing::info!(
            table = name,
            files = expired.data_files,
            bytes = expired.bytes,
            "replaced files freed"
        );
    }
    if expired.held > 0 {
        tracing::warn!(
            table = name,
            snapshots = expired.held,
            "rows that were dropped or erased stay in snapshots that branches or tags name"
        );
    }
    if sweep {
        let began = Instant::now();
        let age = Duration::from_secs(settings.orphan_hours.saturating_mul(3600));
        let orphans = warehouse.remove_orphans(name, age, false).await?;
        if orphans.files > 0 {
            tracing::info!(table = name, ?orphans, "files that nothing refers to removed");
        }
        telemetry::table::maintained(name, "orphans", orphans.bytes, began.elapsed());
        verify(warehouse, name).await;
    }
    let stats = warehouse.care_stats(name, &compaction(settings)).await?;
    telemetry::table::live(name, stats.snapshots as u64, stats.files as u64);
    Ok(())
}

/// Compares every data file with its checksum, one after the other; says which are damaged, and goes on.
async fn verify(warehouse: &Warehouse, name: &'static str) {
    let began = Instant::now();
    let files = async { table::plan(&warehouse.view()?.table(name).await?, None).await };
    let files = match files.await {
        Ok(plan) => plan.files,
        Err(error) => return tracing::error!(%error, table = name, "cannot list the data files to compare"),
    };
    for file in files {
        let compared = tokio::task::spawn_blocking(move || file.verify()).await;
        // A file that care or a command removed meanwhile is none of the table's any more.
        if let Ok(Err(error)) = compared
            && !error.context().starts_with("data file is missing")
        {
            tracing::error!(%error, table = name, "a data file is damaged; queries that need it fail or answer wrongly");
        }
    }
    telemetry::table::maintained(name, "verify", 0, began.elapsed());
}
