//! What a table consists of.

use super::aside;
use super::compact::Compaction;
use super::live::{files, place};
use crate::Result;
use crate::warehouse::Warehouse;
use std::collections::BTreeSet;

/// Numbers about the committed part of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CareStats {
    /// Data files of the current snapshot.
    pub files: usize,
    /// Those less than half full.
    pub small_files: usize,
    /// Table partitions with files.
    pub partitions: usize,
    /// Rows.
    pub rows: u64,
    /// Bytes of the data files.
    pub bytes: u64,
    /// Snapshots kept.
    pub snapshots: usize,
    /// Files in the metadata folder.
    pub metadata_files: usize,
    /// Their bytes.
    pub metadata_bytes: u64,
}

impl Warehouse {
    /// Counts one table.
    ///
    /// # Errors
    /// `NotFound` for no such table; `Corrupt` and `Unavailable` as reading it.
    pub async fn care_stats(&self, table: &str, policy: &Compaction) -> Result<CareStats> {
        let (_, _, at) = self.current(table)?;
        let (policy, objects) = (policy.clone(), self.objects());
        let count = async move {
            let mut stats = CareStats { snapshots: at.metadata().snapshots().len(), ..CareStats::default() };
            let mut places = BTreeSet::new();
            for entry in files(&at).await? {
                let (rows, bytes) = (entry.record_count(), entry.file_size_in_bytes());
                stats.files += 1;
                stats.small_files += usize::from(policy.is_small(bytes));
                stats.rows += rows;
                stats.bytes += bytes;
                places.insert(place(&at, entry.data_file()));
            }
            stats.partitions = places.len();
            for file in objects.list(&format!("{}/metadata", at.metadata().location())).await? {
                stats.metadata_files += 1;
                stats.metadata_bytes += file.bytes;
            }
            Ok(stats)
        };
        aside("counting a table", count).await
    }
}
