//! Opening the log that the settings name: files in the data folder, or a topic.

use crate::folder;
use crate::settings::Settings;
use crate::start::Failure;
use event::Reach;
use eventlog::disk::Local;
use eventlog::{EventLog, Offset, Partitions, Segments};
use std::path::Path;
use std::sync::Arc;

/// The log, and what keeps other processes out of the data folder meanwhile.
pub struct Opened {
    /// Its partitions.
    pub log: Partitions,
    /// Held when the log lies elsewhere: files of the folder are written all the same.
    pub folder: Option<Local>,
}

/// Opens the log for a process that folds it. It must not start again at 0 when it was lost, so it learns how far it had
/// come.
///
/// # Errors
/// As the log; `Conflict` when another process has the data folder.
pub async fn open(settings: &Settings, data: &Path, floor: &Reach) -> Result<Opened, Failure> {
    let path = folder::log(data);
    if settings.kafka.is_used() {
        // The folder of a log holds its lock; no segment is ever in it.
        let folder = Some(Local::open(&path)?);
        let log = topic(settings, Some(floor.offsets().to_vec())).await?;
        return Ok(Opened { log, folder });
    }
    if floor.offsets().len() > 1 {
        return Err("the metastore has folded several log partitions, but kafka.brokers is empty: the log is a topic, \
                    name its brokers"
            .into());
    }
    if floor.total() > 0 && !path.exists() {
        tracing::warn!(path = %path.display(), "the log is gone: events not yet in the tables are lost");
    }
    let log: Arc<dyn EventLog> = Arc::new(Segments::open_at(&path, settings.of_log(), Offset(floor.of(0)))?);
    Ok(Opened { log: log.into(), folder: None })
}

/// Opens the log for a process that only appends.
///
/// # Errors
/// As the log.
pub async fn open_to_append(settings: &Settings) -> Result<Partitions, Failure> {
    topic(settings, None).await
}

#[cfg(feature = "kafka")]
async fn topic(settings: &Settings, floors: Option<Vec<u64>>) -> Result<Partitions, Failure> {
    Ok(eventlog::kafka::open(&settings.of_kafka(), floors).await?)
}

#[cfg(not(feature = "kafka"))]
async fn topic(_: &Settings, _: Option<Vec<u64>>) -> Result<Partitions, Failure> {
    Err("kafka.brokers is set, but this program was built without the feature `kafka`".into())
}
