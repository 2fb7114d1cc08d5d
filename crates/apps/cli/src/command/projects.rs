//! `tenrec projects`: list, create, look, change. Works beside a running server, which notices within a second.

mod change;

use super::{metastore, paper, wait_for};
use crate::words::{Projects, Shared};
use anyhow::Context;
use jiff::Timestamp;
use metastore::key::Kind;
use metastore::project::Find;
use metastore::{Metastore, NewKey, NewProject, Project};

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
            Projects::Show { id } => show(&find(&*store, id).await?)?,
            Projects::Set { id, changes } => {
                let project = find(&*store, id).await?;
                let update = change::parse(&project, &changes)?;
                show(&store.update_project(project.id, update).await?)?;
            }
        }
        Ok(())
    })
}

async fn find(store: &dyn Metastore, id: i64) -> anyhow::Result<Project> {
    let project = store.find_project(Find::Id(event::ProjectId(id))).await?;
    project
        .with_context(|| format!("there is no project {id}; `tenrec projects list` prints those there are"))
}

fn show(project: &Project) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> =
        change::settable(project)?.into_iter().map(|(name, value)| vec![name, value.to_string()]).collect();
    paper::print(&["name", "value"], &rows);
    Ok(())
}
