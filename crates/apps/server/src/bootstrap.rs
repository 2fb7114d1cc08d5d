//! The first start: a project, its key, and a personal key.

use crate::clock::Clock;
use crate::settings::Bootstrap;
use metastore::key::{self, Grant, Kind};
use metastore::{Error, Metastore, NewKey, NewProject};

/// What the first start made. Shown once.
#[derive(Clone)]
pub struct FirstStart {
    /// The public key of project 1.
    pub project_key: String,
    /// The personal key; only its hash is stored.
    pub personal_key: String,
}

/// Makes project 1 and its keys if the metastore has no project yet.
pub async fn run(
    metastore: &dyn Metastore,
    settings: &Bootstrap,
    clock: Clock,
) -> Result<Option<FirstStart>, Error> {
    if !metastore.projects().await?.is_empty() {
        return Ok(None);
    }
    let mut rng = rand::rng();
    let mut project = NewProject::generate(&settings.project_name, &mut rng);
    if !settings.project_key.is_empty() {
        project.key = NewKey::fixed(Kind::Project, settings.project_key.trim())?;
    }
    let personal = if settings.personal_key.is_empty() {
        key::generate(Kind::Personal, &mut rng)
    } else {
        NewKey::fixed(Kind::Personal, settings.personal_key.trim())?
    };
    let made =
        FirstStart { project_key: project.key.value().to_owned(), personal_key: personal.value().to_owned() };
    // The personal key goes first: a crash in between makes the next start a first start again, and a second
    // personal key does no harm, while a project without any key to read it would.
    match metastore.create_key(personal, Grant::all("first start"), clock.now()).await {
        Ok(_) => {}
        Err(error) if error.kind() == metastore::Kind::Conflict => {}
        Err(error) => return Err(error),
    }
    metastore.create_project(project, clock.now()).await?;
    Ok(Some(made))
}
