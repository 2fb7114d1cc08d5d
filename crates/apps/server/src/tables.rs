//! The tables where the settings say they are.

use crate::settings::Settings;
use crate::start::Failure;
use std::path::Path;
use table::Warehouse;

/// Where the tables are, as the settings say.
fn place(settings: &Settings, data: &Path) -> table::Settings {
    table::Settings {
        dir: data.to_owned(),
        location: settings.table.location.clone(),
        s3: settings.s3.clone(),
    }
}

/// Opens them, making what is missing.
///
/// # Errors
/// As [`Warehouse::open`].
pub async fn open(settings: &Settings, data: &Path) -> Result<Warehouse, Failure> {
    Ok(Warehouse::open(place(settings, data)).await?)
}

/// Where replay blocks lie: beside the tables.
///
/// # Errors
/// When the data folder has a name that no table can have.
pub fn blocks(settings: &Settings, data: &Path) -> Result<String, Failure> {
    let (_, root, _) = place(settings, data).place()?;
    Ok(format!("{root}/session_replay"))
}
