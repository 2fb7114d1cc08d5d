//! Table care on a schedule: small files are merged, old snapshots expire, orphans go.

use crate::settings;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::care::{Compaction, Expiry};
use table::schema::TABLES;
use table::{Error, Warehouse};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval_at};

/// How often orphans are looked for: every file of every table is listed.
const SWEEP: Duration = Duration::from_secs(86_400);

/// The task. Dropped, it breaks off: what it was merging is merged by a later round.
pub struct Care {
    warehouse: Arc<Warehouse>,
    task: JoinHandle<()>,
}

impl Drop for Care {
    fn drop(&mut self) {
        self.warehouse.stop_care();
        self.task.abort();
    }
}

/// How the tables are cared for.
struct Policy {
    compaction: Compaction,
    expiry: Expiry,
    orphan_age: Duration,
}

impl Care {
    /// Starts the task; the first round comes after one interval.
    pub fn start(warehouse: Arc<Warehouse>, settings: settings::Care) -> Self {
        let tables = warehouse.clone();
        Self { warehouse, task: tokio::spawn(async move { rounds(&tables, &settings).await }) }
    }
}

async fn rounds(warehouse: &Warehouse, settings: &settings::Care) {
    if settings.every_seconds == 0 {
        return;
    }
    let policy = Policy {
        compaction: Compaction {
            min_files: settings.min_files,
            target_bytes: settings.target_bytes,
            quiet: Duration::from_secs(settings.quiet_seconds),
        },
        expiry: Expiry { keep: settings.keep_snapshots, grace: Duration::from_secs(settings.grace_seconds) },
        orphan_age: Duration::from_secs(settings.orphan_hours.saturating_mul(3600)),
    };
    let every = Duration::from_secs(settings.every_seconds);
    let mut tick = interval_at(tokio::time::Instant::now() + every, every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut swept: Option<Instant> = None;
    loop {
        tick.tick().await;
        let sweep = swept.is_none_or(|at| at.elapsed() >= SWEEP);
        for def in TABLES {
            if let Err(error) = round(warehouse, def.name, &policy, sweep).await {
                tracing::warn!(%error, table = def.name, "table care failed; trying again with the next round");
            }
        }
        if sweep {
            swept = Some(Instant::now());
        }
    }
}

async fn round(warehouse: &Warehouse, name: &'static str, policy: &Policy, sweep: bool) -> Result<(), Error> {
    let began = Instant::now();
    let compacted = warehouse.compact(name, &policy.compaction, &mut |_| {}).await?;
    if compacted.files_before > 0 {
        tracing::info!(table = name, ?compacted, took = ?began.elapsed(), "small files merged");
        let freed = compacted.bytes_before.saturating_sub(compacted.bytes_after);
        telemetry::table::maintained(name, "compact", freed, began.elapsed());
    }
    let began = Instant::now();
    let expired = warehouse.expire(name, &policy.expiry).await?;
    if expired.snapshots > 0 {
        telemetry::table::maintained(name, "expire", expired.bytes, began.elapsed());
    }
    if sweep {
        let began = Instant::now();
        let orphans = warehouse.remove_orphans(name, policy.orphan_age, false).await?;
        if orphans.files > 0 {
            tracing::info!(table = name, ?orphans, "files that nothing refers to removed");
        }
        telemetry::table::maintained(name, "orphans", orphans.bytes, began.elapsed());
        verify(warehouse, name).await;
    }
    let stats = warehouse.care_stats(name, &policy.compaction).await?;
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
