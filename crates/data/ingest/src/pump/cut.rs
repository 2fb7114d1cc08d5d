//! When the pump commits: cutting what was folded off from what comes next, and what happens when writing it fails.

use super::Pump;
use crate::commit::Ended;
use crate::error::{Error, Kind};
use metastore::Checkpoint;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Bytes of the identity working sets that cause a commit, so that they can be emptied.
const WORKING_BYTES: usize = 96 << 20;
/// Bytes kept in memory after such a commit: what was used last, each project its share.
const KEPT_BYTES: usize = 24 << 20;

/// First and longest pause between attempts to commit.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

impl Pump {
    /// Commits as [`Pump::commit_or_go_on`] says. While commits fail and memory is full, nothing more is folded: the log
    /// grows, and in the end the door says 503.
    pub(super) async fn commit_if_due(&mut self) -> Result<(), Error> {
        self.commit_or_go_on().await?;
        while !self.pause.is_zero() && self.is_crammed() {
            if self.committing.is_some() {
                self.settle().await?;
                continue;
            }
            tokio::time::sleep_until(self.due.into()).await;
            self.begin().await?;
        }
        Ok(())
    }

    /// Whether memory holds twice of what causes a commit.
    fn is_crammed(&self) -> bool {
        let known: usize = self.projects.values().map(|working| working.state.bytes()).sum();
        self.measure_tail() >= 2 * self.settings.bytes || known >= 2 * WORKING_BYTES
    }

    /// Starts a commit when it is time, or when memory says so; takes note of one that has ended.
    async fn commit_or_go_on(&mut self) -> Result<(), Error> {
        if self.committing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.settle().await?;
        }
        let bytes = self.measure_tail();
        let known: usize = self.projects.values().map(|working| working.state.bytes()).sum();
        let full = bytes >= self.settings.bytes || known >= WORKING_BYTES;
        if Instant::now() < self.due && (!full || !self.pause.is_zero()) {
            return Ok(());
        }
        // Another program is changing a table: a commit now would refuse that once more, and one later costs nothing
        // while there is room.
        if let Some(until) = self.stores.warehouse.others_until().filter(|_| !self.is_crammed()) {
            self.due = self.due.max(until);
            return Ok(());
        }
        if self.committing.is_some() {
            // One commit at a time. Folding goes on beside it until twice the memory is used; then it waits, the log
            // grows, and in the end the door says 503.
            if bytes < 2 * self.settings.bytes && known < 2 * WORKING_BYTES {
                return Ok(());
            }
            self.settle().await?;
            return Ok(());
        }
        self.begin().await?;
        if known >= WORKING_BYTES {
            self.settle().await?;
            for working in self.projects.values_mut().filter(|_| self.pause.is_zero()) {
                // Everything is in the metastore now, so nothing is lost by letting go of it.
                working.state.forget(KEPT_BYTES * working.state.bytes() / known);
            }
        }
        Ok(())
    }

    /// Takes what was folded since the last commit and writes it beside further folding.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        self.due = Instant::now() + self.settings.every;
        if self.next == self.committed {
            return Ok(());
        }
        let rows = match self.stores.warehouse.begin(self.next.clone()).await.map_err(Error::from_table) {
            Ok(rows) => rows,
            Err(error) => return self.put_off(error),
        };
        if let Err(error) = self.seen.cut(self.next.total(), self.committed.total()) {
            // The rows go back into the tail, and what was noted stays noted.
            drop(rows);
            return self.put_off(error);
        }
        telemetry::fail_point!("ingest.after_cut");
        let mut checkpoint = Checkpoint { reach: self.next.clone(), ..Checkpoint::default() };
        for (project, working) in &mut self.projects {
            let (changes, definitions) = working.take();
            checkpoint.projects.push((*project, changes));
            checkpoint.definitions.push((*project, definitions));
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.checkpoints.push_back(Arc::new(checkpoint));
        pending.blocks.extend(self.blocks.cut());
        let stores = self.stores.clone();
        self.committing = Some(tokio::spawn(async move { pending.write(rows, &stores).await }));
        Ok(())
    }

    /// Waits for the commit that is under way.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        let Some(task) = self.committing.take() else { return Ok(()) };
        let ended = task
            .await
            .map_err(|e| Error::because(Kind::Bug, "the commit task ended without an answer", e))?;
        match ended {
            Ended::Done(reach) => {
                self.committed = reach;
                self.pause = Duration::ZERO;
                Ok(())
            }
            Ended::Failed(pending, error) => {
                self.pending = pending;
                self.put_off(error)
            }
        }
    }

    /// Tries again later what a store could not do now: the log keeps the events, queries still see the tail.
    fn put_off(&mut self, error: Error) -> Result<(), Error> {
        if !matches!(error.kind, Kind::Busy | Kind::Unavailable) {
            return Err(error);
        }
        telemetry::pump::stalled(error.part());
        self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.due = Instant::now() + self.pause;
        tracing::warn!(error = %error.chain(), retry_in = ?self.pause, "cannot commit; events stay in the log");
        Ok(())
    }

    /// Commits everything folded, or says why that is not possible now.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        self.settle().await?;
        self.begin().await?;
        self.settle().await?;
        if self.pause.is_zero() {
            return Ok(());
        }
        Err(Error::new(
            Kind::Unavailable,
            "the last commit failed; the log keeps its events for the next start",
        ))
    }
}
