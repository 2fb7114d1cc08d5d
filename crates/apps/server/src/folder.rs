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

/// The catalog of the tables.
fn catalog(data: &Path) -> PathBuf {
    data.join("catalog.db")
}

/// Whether a server has been here, whose metastore is at `url` or in the folder.
pub fn has_data(data: &Path, url: &str) -> bool {
    if url.is_empty() { metastore_path(data).exists() } else { catalog(data).exists() || log(data).exists() }
}

/// Refuses a folder that lost one of its files, unless the metastore is at `url` and not among them: opening it would make an empty one in its place and answer as if
/// nothing had ever happened.
///
/// # Errors
/// Which file is missing, and what to do.
pub fn check_whole(data: &Path, url: &str) -> Result<(), String> {
    if data.join(backup::MARKER).exists() {
        let shown = data.display();
        return Err(format!(
            "a restore into {shown} has not ended: wait for it, or empty the folder and restore again"
        ));
    }
    let (metastore, catalog) = (metastore_path(data), catalog(data));
    let missing = |file: &Path, holds: &str, rest: &Path| {
        format!(
            "{} is missing, but {} is there: the folder lost {holds}. Put the file back from a backup, or start in an \
             empty folder",
            file.display(),
            rest.display()
        )
    };
    if url.is_empty() && !metastore.exists() && catalog.exists() {
        return Err(missing(&metastore, "its projects, keys and persons", &catalog));
    }
    let tables = data.join("warehouse").join("tenrec");
    let has_tables = std::fs::read_dir(&tables).is_ok_and(|mut entries| entries.next().is_some());
    if !catalog.exists() && has_tables {
        return Err(missing(&catalog, "the list of its tables", &tables));
    }
    Ok(())
}

/// What queries put aside when memory is short; emptied at every start. A process that shares the folder with others has
/// a place of its own.
pub fn spill(data: &Path, shares: bool) -> PathBuf {
    if shares { data.join(format!("spill-{}", std::process::id())) } else { data.join("spill") }
}

/// Whether a process has made tables here.
pub fn has_tables(data: &Path) -> bool {
    catalog(data).exists()
}
