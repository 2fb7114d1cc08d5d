//! `tenrec projects`: list and create. Works beside a running server, which notices within a second.

use super::{metastore, paper, wait_for};
use crate::words::{Projects, Shared};
use jiff::Timestamp;
use metastore::key::Kind;
use metastore::project::Store;
use metastore::{NewKey, NewProject};

/// Runs the command.
pub fn run(shared: &Shared, command: Projects) -> anyhow::Result<()> {
    wait_for(async {
        let store = metastore(shared).await?;
        match command {
            Projects::List => {
                let rows: Vec<Vec<String>> = store
                    .projects()
                    .await?
                    .into_iter()
                    .map(|p| vec![p.id.to_string(), p.name, p.api_token.0, p.created_at.to_string()])
                    .collect();
                paper::print(&["id", "name", "project key", "created"], &rows);
            }
            Projects::Create { name, key } => {
                let mut new = NewProject::generate(&name, &mut rand::rng());
                if let Some(key) = key {
                    new.key = NewKey::fixed(Kind::Project, &key)?;
                }
                let project = store.create_project(new, Timestamp::now()).await?;
                println!("project {} with key {}", project.id, project.api_token);
            }
        }
        Ok(())
    })
}
