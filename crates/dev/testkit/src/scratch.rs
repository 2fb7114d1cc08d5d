//! Folders that are gone after the test.

use std::path::Path;
use tempfile::TempDir;

/// A new folder on a real disk: beside the builds when `CARGO_TARGET_DIR` is set, since `/tmp` may be memory.
pub fn scratch(name: &str) -> std::io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(name);
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) if Path::new(&target).is_dir() => builder.tempdir_in(target),
        _ => builder.tempdir(),
    }
}
