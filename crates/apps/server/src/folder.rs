//! Where everything lies in the data folder.

use std::path::{Path, PathBuf};

/// Projects, keys, persons, the checkpoint.
pub fn metastore_path(data: &Path) -> PathBuf {
    data.join("tenrec.db")
}

/// Segments of the log.
pub fn log(data: &Path) -> PathBuf {
    data.join("log")
}

/// Keys of events seen lately.
pub fn seen(data: &Path) -> PathBuf {
    data.join("seen")
}

/// Session replay blocks, beside the tables that point to them.
pub fn blocks(data: &Path) -> PathBuf {
    data.join("warehouse").join("session_replay")
}

/// What queries put aside when memory is short; emptied at every start.
pub fn spill(data: &Path) -> PathBuf {
    data.join("spill")
}
