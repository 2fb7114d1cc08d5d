//! `tenrec keys`: personal keys for people, secret keys for servers. Values are printed once and never again.

use super::{metastore, paper, wait_for};
use crate::words::{Keys, Shared};
use anyhow::{Context, ensure};
use event::ProjectId;
use jiff::Timestamp;
use metastore::key::{self, Grant, Kind};

/// Runs the command.
pub fn run(shared: &Shared, command: Keys) -> anyhow::Result<()> {
    wait_for(async {
        let store = metastore(shared).await?;
        match command {
            Keys::List => {
                let rows: Vec<Vec<String>> = store.keys().await?.into_iter().map(row).collect();
                paper::print(&["id", "kind", "label", "key", "scopes", "projects", "last used"], &rows);
            }
            Keys::Create { label, project } => {
                let (kind, grant) = match project {
                    None => (Kind::Personal, Grant::all(&label)),
                    Some(id) => {
                        (Kind::Secret, Grant { projects: Some(vec![ProjectId(id)]), ..Grant::all(&label) })
                    }
                };
                let new = key::generate(kind, &mut rand::rng());
                let value = new.value().to_owned();
                store.create_key(new, grant, Timestamp::now()).await?;
                println!("{value}");
                eprintln!("Keep it now: only its hash is stored, it cannot be shown again.");
            }
            Keys::Revoke { id } => {
                let number = id.parse().context("an id is a number, see `tenrec keys list`")?;
                ensure!(store.revoke_key(number).await?, "there is no key {id}");
                println!("revoked key {id}");
            }
        }
        Ok(())
    })
}

fn row(key: key::Credential) -> Vec<String> {
    let projects = key
        .projects
        .map_or("all".to_owned(), |ids| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    vec![
        key.id.to_string(),
        if key.kind == Kind::Personal { "personal" } else { "secret" }.to_owned(),
        key.label,
        key.mask,
        key.scopes.join(","),
        projects,
        key.last_used_at.map_or("never".to_owned(), |at| at.to_string()),
    ]
}
