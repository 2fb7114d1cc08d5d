//! Asking the metastore again, for as long as it is away: what the pump folds needs its answer, and the log keeps the rest.

use crate::error::{Error, Kind};
use std::time::Duration;

/// First and longest pause between two questions.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Asks until there is an answer, or a failure that waiting cannot mend.
///
/// # Errors
/// As the metastore, except `Busy` and `Unavailable`.
pub async fn insist<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = metastore::Result<T>>,
{
    let mut pause = SHORTEST_PAUSE;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => Error::from_metastore(error),
        };
        if !matches!(error.kind, Kind::Busy | Kind::Unavailable) {
            return Err(error);
        }
        telemetry::pump::stalled(error.part());
        tracing::warn!(error = %error.chain(), retry_in = ?pause, "cannot fold; events stay in the log");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
