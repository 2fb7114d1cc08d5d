//! `tenrec backup`: a copy of everything that a server can be started from again.

mod remote;

use super::{paper, wait_for};
use crate::settings;
use crate::words::{Backup, Backups, Shared};
use ::backup::{About, Point, Progress, Saved, Store, Target};
use anyhow::Context;
use jiff::Timestamp;
use remote::Remote;
use server::Settings;
use std::io::{IsTerminal, Write};

/// Runs the command.
pub fn run(shared: &Shared, wanted: Backup) -> anyhow::Result<()> {
    match wanted.command {
        Some(Backups::List { target }) => list(&target),
        Some(Backups::Verify { target }) => verify(&target),
        Some(Backups::Prune { target, keep }) => prune(&target, keep),
        None => {
            let target = wanted.target.context("say where backups are kept")?;
            match wanted.url {
                Some(url) => fetch(&url, wanted.key, &target),
                None => save(shared, &target),
            }
        }
    }
}

/// A place for backups, with what the environment says about object stores.
pub(super) fn open(address: &str) -> anyhow::Result<Target> {
    Ok(Target::open(address, &settings::store_options())?)
}

/// A backup that is made now.
pub(super) fn about(store: Store, at_rest: bool) -> About {
    let now = Timestamp::now();
    About {
        id: now.strftime("%Y%m%dT%H%M%S%3fZ").to_string(),
        made_at: now.to_string(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        store,
        at_rest,
    }
}

/// One line on standard error that is written over, when a person is looking.
pub(super) fn line(verb: &'static str) -> impl FnMut(Progress) + Send {
    let is_seen = std::io::stderr().is_terminal();
    let mut shown = None;
    move |progress: Progress| {
        let Progress { files, of_files, bytes, of_bytes } = progress;
        let now = (bytes * 1000 / of_bytes.max(1), files == of_files);
        if is_seen && shown != Some(now) {
            shown = Some(now);
            let end = if files == of_files { "\n" } else { "" };
            let mut err = std::io::stderr();
            let _ = write!(
                err,
                "\r\x1b[K{verb}: {files} of {of_files} files, {} of {} MiB{end}",
                bytes >> 20,
                of_bytes >> 20
            );
            let _ = err.flush();
        }
    }
}

/// A backup holds log and tables, so that everything acknowledged is in it: both must be in the folder.
pub(super) fn refuse_elsewhere(settings: &Settings) -> anyhow::Result<()> {
    anyhow::ensure!(
        settings.holds_its_tables(),
        "the tables are not in the data folder (table.location, catalog.kind): a backup would be without them. Protect \
         the bucket and the catalog where they are, with versions or copies"
    );
    anyhow::ensure!(
        !settings.kafka.is_used(),
        "the log is a topic (kafka.brokers), which a backup of the folder cannot hold: back up the folder, the \
         database and the topic with their own tools, while the writer is stopped"
    );
    Ok(())
}

fn save(shared: &Shared, target: &str) -> anyhow::Result<()> {
    let target = open(target)?;
    let settings = settings::resolve(shared.config.as_deref(), &[])?.settings;
    refuse_elsewhere(&settings)?;
    let url = settings.metastore.url;
    wait_for(async {
        let mut database = None;
        let about = match url.as_str() {
            "" => about(Store::InFolder, false),
            url => {
                let store = metastore::open(url, &server::metastore_path(&shared.data)).await?;
                store.claim().await.context(
                    "the metastore is in PostgreSQL and a server is using it: stop the server, run pg_dump, then this",
                )?;
                let checkpoint = store.checkpoint().await?.unwrap_or_default().of(0);
                database = Some(store);
                about(Store::Elsewhere(checkpoint), true)
            }
        };
        let held = ::backup::take(&shared.data, &about).await?;
        let point = held.point.clone();
        note_outside(&point);
        let saved = ::backup::save(&held, point, &target, &mut line("copied")).await?;
        tell(&saved);
        if database.is_some() {
            eprintln!(
                "The metastore is in PostgreSQL and not in the backup: keep a pg_dump of now beside it."
            );
        }
        Ok(())
    })
}

/// A backup of a server that is asked for its files.
fn fetch(url: &str, key: Option<String>, target: &str) -> anyhow::Result<()> {
    let key =
        key.context("a running server asks for a personal API key: give --key or TENREC_PERSONAL_KEY")?;
    let target = open(target)?;
    let remote = Remote::take(url, &key)?;
    let point = remote.point.clone();
    wait_for(async {
        note_outside(&point);
        tell(&::backup::save(&remote, point, &target, &mut line("copied")).await?);
        Ok(())
    })
}

fn note_outside(point: &Point) {
    for outside in &point.outside {
        eprintln!("not in the backup, because it is outside of the data folder: {outside}");
    }
}

fn tell(saved: &Saved) {
    let Saved { id, files, bytes, copied_files, copied_bytes } = saved;
    println!(
        "backup {id}: {files} file(s), {bytes} bytes; copied {copied_files} file(s), {copied_bytes} bytes"
    );
}

fn list(target: &str) -> anyhow::Result<()> {
    let target = open(target)?;
    wait_for(async {
        let mut rows = Vec::new();
        for id in target.ids().await? {
            let row = match target.manifest(&id).await {
                Ok(manifest) => {
                    let point = &manifest.point;
                    let numbers = [manifest.files.len().to_string(), manifest.bytes().to_string()];
                    let log = format!("{} to {}", point.checkpoint, point.log_end);
                    let [files, bytes] = numbers;
                    vec![id, point.made_at.clone(), files, bytes, log, point.program.clone()]
                }
                Err(error) => vec![id, error.to_string()],
            };
            rows.push(row);
        }
        paper::print(&["backup", "made", "files", "bytes", "log records", "tenrec"], &rows);
        Ok(())
    })
}

fn verify(target: &str) -> anyhow::Result<()> {
    let target = open(target)?;
    wait_for(async {
        let found = ::backup::verify(&target, &mut line("read")).await?;
        found.faults.iter().for_each(|fault| println!("{fault}"));
        let faults = found.faults.len();
        anyhow::ensure!(faults == 0, "{faults} fault(s) found");
        anyhow::ensure!(found.backups > 0, "there is no backup here");
        println!(
            "{} backup(s), {} file(s), {} bytes: all as written",
            found.backups, found.files, found.bytes
        );
        Ok(())
    })
}

fn prune(target: &str, keep: usize) -> anyhow::Result<()> {
    let target = open(target)?;
    wait_for(async {
        let pruned = ::backup::prune(&target, keep).await?;
        println!("removed {} backup(s), {} file(s), {} bytes", pruned.backups, pruned.files, pruned.bytes);
        Ok(())
    })
}
