//! `tenrec restore`: a data folder made of a backup, or of another data folder.

use super::backup::{about, line, open, refuse_elsewhere};
use super::wait_for;
use crate::settings;
use crate::words::{Restore, Shared};
use ::backup::{Manifest, Store};
use anyhow::Context;
use std::path::Path;

/// Runs the command.
pub fn run(shared: &Shared, wanted: &Restore) -> anyhow::Result<()> {
    let to = wanted.to.as_ref().unwrap_or(&shared.data);
    let folder = Path::new(&wanted.source);
    wait_for(async {
        let manifest = if folder.join("catalog.db").exists() {
            let settings = settings::resolve(shared.config.as_deref(), &[])?.settings;
            refuse_elsewhere(&settings)?;
            let url = settings.metastore.url;
            let store = match url.as_str() {
                "" => Store::InFolder,
                url => {
                    let store = metastore::open(url, &server::metastore_path(folder)).await?;
                    Store::Elsewhere(store.checkpoint().await?.unwrap_or_default().of(0))
                }
            };
            let held = ::backup::take(folder, &about(store, true)).await?;
            let manifest = Manifest::direct(held.point.clone());
            ::backup::restore(&held, &manifest, to, &mut line("restored")).await?;
            manifest
        } else {
            let source = open(&wanted.source)?;
            let newest = source.ids().await?.pop();
            let id = wanted.backup.clone().or(newest);
            let id = id.with_context(|| format!("there is no backup in {}", wanted.source))?;
            let manifest = source.manifest(&id).await?;
            ::backup::restore(&source, &manifest, to, &mut line("restored")).await?;
            manifest
        };
        println!("restored {} file(s), {} bytes to {}", manifest.files.len(), manifest.bytes(), to.display());
        if manifest.point.metastore == "postgresql" {
            eprintln!(
                "The metastore was in PostgreSQL: restore the pg_dump that was made with the backup before the server starts."
            );
        }
        Ok(())
    })
}
