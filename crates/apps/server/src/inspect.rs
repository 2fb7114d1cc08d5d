//! Looking at a data folder without serving it: for `tenrec check`.

use crate::folder;
use crate::settings::{CatalogKind, Settings};
use crate::start::Failure;
use crate::tables;
use eventlog::{EventLog, Offset, Segments};
use std::path::Path;

/// Reads every byte of the log, as a start would, when no server has it open.
///
/// # Errors
/// What a start would stop at.
pub async fn log(data: &Path, floor: u64) -> Result<String, Failure> {
    let path = folder::log(data);
    if !path.exists() {
        return match floor {
            0 => Ok("not begun yet".to_owned()),
            _ => Err(format!(
                "{} is missing: events that were not in the tables yet are lost; the next start begins a new log",
                path.display()
            )
            .into()),
        };
    }
    let log = match Segments::open_at(&path, eventlog::Settings::default(), Offset(floor)) {
        Err(error) if error.kind() == eventlog::Kind::Conflict => {
            return Ok("in use by a running server, which checked it when it started".to_owned());
        }
        opened => opened?,
    };
    let stats = log.stats();
    log.close().await?;
    let waiting = stats.durable.0.saturating_sub(floor.max(stats.first.0));
    Ok(format!("{} segment(s) read, {waiting} record(s) not in the tables yet", stats.segments))
}

/// Reads the metadata of every table and every byte of every data file.
///
/// # Errors
/// The first damaged or missing file.
pub async fn tables(settings: &Settings, data: &Path) -> Result<String, Failure> {
    let data = data.canonicalize()?;
    folder::check_whole(&data, &settings.metastore.url)?;
    if settings.catalog.kind == CatalogKind::Embedded && !data.join("catalog.db").exists() {
        return Ok("not made yet".to_owned());
    }
    let view = tables::open(settings, &data).await?.view()?;
    let (mut files, mut rows) = (0, 0);
    let names = view.names().await?;
    for name in &names {
        let plan = table::plan(&view.table(name).await?, None).await?;
        plan.files.iter().try_for_each(table::DataFileRef::verify)?;
        files += plan.files.len();
        rows += plan.files.iter().map(|file| file.record_count).sum::<u64>();
    }
    Ok(format!("{} tables, {files} data file(s), {rows} row(s)", names.len()))
}
