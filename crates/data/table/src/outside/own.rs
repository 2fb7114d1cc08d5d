//! A change of one of our tables by another program.
//!
//! It is judged beside the pump's commits and made under their lock, so that the pump, table care and queries go on
//! with the snapshot it made, and neither side can lose what the other committed.

use super::{Change, Fault, Outside, Reason, judge, snapshot};
use iceberg::spec::MAIN_BRANCH;
use iceberg::table::Table;
use iceberg::{TableIdent, TableRequirement};
use std::time::{Duration, Instant};

/// How long a change waits for the pump's commit or for table care.
const PATIENCE: Duration = Duration::from_secs(30);

impl Outside {
    pub(super) async fn commit_own(&self, ident: &TableIdent, change: Change) -> Result<Table, Fault> {
        let done = self.try_own(ident, change).await;
        match &done {
            Ok(_) => self.0.turn.taken(Instant::now()),
            Err(fault) if fault.reason == Reason::Conflict => self.0.turn.refused(Instant::now()),
            Err(_) => {}
        }
        done
    }

    async fn try_own(&self, ident: &TableIdent, change: Change) -> Result<Table, Fault> {
        let (position, bound, _) = match self.0.current(&ident.name) {
            Ok(found) => found,
            Err(_) => {
                // Others may have put it there with the file of the catalog at hand; here it is only read.
                self.table(ident).await?;
                let text = format!(
                    "{ident} was not made by Tenrec and lies among its tables: it is only read here."
                );
                return Err(Fault::new(Reason::Reserved, text));
            }
        };
        // Reading what is added takes longest and depends on nothing that can change: it is done beside the commits.
        let table = self.table(ident).await?;
        let after = change.apply(&table)?;
        judge::check(bound.def, table.metadata(), &after)?;
        snapshot::check(&table, &after).await?;

        let lock = self.0.committing.clone().lock_owned();
        let Ok(_only) = tokio::time::timeout(PATIENCE, lock).await else {
            let text = format!("{ident} is being written; nothing was changed. Try again.");
            return Err(Fault::new(Reason::Busy, text));
        };
        // What others committed beside the lock is taken up, so that what is adopted below is never older.
        self.0.reconcile(true).await?;
        let table = self.table(ident).await?;
        judge::check(bound.def, table.metadata(), &change.apply(&table)?)?;
        let mut change = change;
        change.requirements.push(TableRequirement::UuidMatch { uuid: table.metadata().uuid() });
        change.requirements.push(TableRequirement::RefSnapshotIdMatch {
            r#ref: MAIN_BRANCH.to_owned(),
            snapshot_id: table.metadata().current_snapshot_id(),
        });
        match self.swap(&table, change).await {
            Ok(now) => {
                let snapshot = now.metadata().current_snapshot_id();
                tracing::info!(table = %ident, snapshot, "changed by another program");
                self.0.adopt(position, now.clone());
                Ok(now)
            }
            Err(fault) => {
                // Done or not: what the catalog says is what the next commit begins with.
                if let Err(error) = self.0.reconcile(true).await {
                    tracing::warn!(%error, "cannot look at the tables after an unclear change");
                }
                Err(fault)
            }
        }
    }
}
