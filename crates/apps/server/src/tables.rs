//! The tables where the settings say they are, in the catalog that keeps them.

use crate::folder;
use crate::pointers::PostgresPointers;
use crate::settings::{CatalogKind, Settings};
use crate::start::Failure;
use std::path::Path;
use std::sync::Arc;
use table::Warehouse;
use table::catalog::{Rest, RestCatalog, SqlCatalog};

/// Where the tables are, as the settings say.
fn place(settings: &Settings, data: &Path) -> table::Settings {
    table::Settings {
        dir: data.to_owned(),
        location: settings.table.location.clone(),
        s3: settings.s3.clone(),
    }
}

fn rest(settings: &Settings) -> Rest {
    let catalog = settings.catalog.clone();
    Rest {
        uri: catalog.uri,
        warehouse: catalog.warehouse,
        namespace: catalog.namespace,
        token: catalog.token,
        credential: catalog.credential,
        oauth2_uri: catalog.oauth2_uri,
        scope: catalog.scope,
        sigv4_service: catalog.sigv4_service,
        sigv4_region: catalog.sigv4_region,
        keys: settings.s3.clone(),
        timeout_ms: catalog.timeout_ms,
        retry_ms: catalog.retry_ms,
    }
}

/// Opens them, making what is missing.
///
/// # Errors
/// As [`Warehouse::open`]; and when the catalog refuses or does not answer.
pub async fn open(settings: &Settings, data: &Path) -> Result<Warehouse, Failure> {
    let place = place(settings, data);
    match settings.catalog.kind {
        CatalogKind::Embedded => Ok(Warehouse::open(place).await?),
        CatalogKind::Rest => {
            let (_, root, objects) = place.place()?;
            // Unless it is said where, the catalog knows better.
            let root = if settings.table.location.is_empty() { String::new() } else { root };
            let catalog = RestCatalog::open(&rest(settings), root, objects).await?;
            Ok(Warehouse::open_in(Arc::new(catalog)).await?)
        }
        CatalogKind::Postgres => {
            let (_, root, objects) = place.place()?;
            let url = settings.catalog.database(&settings.metastore);
            let pointers = PostgresPointers::open(url).await?;
            let catalog = SqlCatalog::new(Arc::new(pointers), root, objects);
            Ok(Warehouse::open_in(Arc::new(catalog)).await?)
        }
    }
}

/// Whether it is known without asking anybody that no process has made the tables yet.
pub fn are_missing(settings: &Settings, data: &Path) -> bool {
    settings.catalog.kind == CatalogKind::Embedded && !folder::has_tables(data)
}

/// Where replay blocks lie: beside the tables, where that is known.
///
/// # Errors
/// When the data folder has a name that no table can have.
pub fn blocks(settings: &Settings, data: &Path) -> Result<String, Failure> {
    let (_, root, _) = place(settings, data).place()?;
    Ok(format!("{root}/session_replay"))
}
