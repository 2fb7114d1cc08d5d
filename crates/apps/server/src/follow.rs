//! Following tables that another process writes.

use std::sync::Arc;
use std::time::Duration;
use table::Warehouse;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often the catalog is asked.
const EVERY: Duration = Duration::from_secs(1);

/// The task. Dropped, it ends.
pub struct Follow(JoinHandle<()>);

impl Drop for Follow {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Follow {
    /// Starts to ask the catalog for newer snapshots, once a second.
    pub fn start(warehouse: Arc<Warehouse>) -> Self {
        Self(tokio::spawn(async move {
            let mut tick = interval(EVERY);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                if let Err(error) = warehouse.refresh().await {
                    tracing::warn!(%error, "cannot look for newer snapshots; answering from those known, trying again");
                }
            }
        }))
    }
}
