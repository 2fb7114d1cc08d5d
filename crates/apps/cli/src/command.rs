//! One file per command; this one only chooses.

mod backup;
mod check;
mod keys;
mod paper;
mod projects;
mod query;
mod reference;
mod restore;
mod serve;
mod settings;
mod table;

use crate::words::{Command, Shared, Words};
use metastore::Metastore;
use std::sync::Arc;

/// Runs what the words ask for.
pub fn run(words: Words) -> anyhow::Result<()> {
    let shared = words.shared;
    match words.command {
        Command::Serve { listen, role } => serve::run(&shared, listen, role),
        Command::Query(question) => query::run(&shared, &question),
        Command::Settings => settings::run(&shared),
        Command::Check { url } => check::run(&shared, url.as_deref()),
        Command::Table { command, url, key } => table::run(&shared, command, table::place(url, key)?),
        Command::Backup(wanted) => backup::run(&shared, wanted),
        Command::Restore(wanted) => restore::run(&shared, &wanted),
        Command::Projects { command } => projects::run(&shared, command),
        Command::Keys { command } => keys::run(&shared, command),
        Command::Reference { part } => reference::run(part),
    }
}

/// A runtime for commands that ask one thing and leave.
fn wait_for<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

/// Opens the metastore that the settings name, or that of a data folder that exists; a running server may have it open
/// too.
async fn metastore(shared: &Shared) -> anyhow::Result<Arc<dyn Metastore>> {
    let url = crate::settings::resolve(shared.config.as_deref(), &[])?.settings.metastore.url;
    let path = server::metastore_path(&shared.data);
    anyhow::ensure!(
        !url.is_empty() || path.exists(),
        "there is no Tenrec data in {}: run `tenrec serve` first, or point --data at it",
        shared.data.display()
    );
    Ok(metastore::open(&url, &path).await?)
}
