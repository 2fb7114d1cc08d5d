//! Which project a key belongs to: a map in memory, refreshed when the metastore changes.

use crate::error::{Error, Kind};
use arc_swap::ArcSwap;
use event::{ProjectId, Rejection, Resource};
use jiff::Timestamp;
use metastore::{Metastore, NewKey, NewProject, project};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What to do with a well-formed key that no project has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenMode {
    /// Refuse it with 401.
    Enforce,
    /// Make a project for it, up to this many projects on the server.
    Open {
        /// Bound on the number of projects.
        most: usize,
    },
}

/// What the door and the pump need to know of a project.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The project.
    pub project: ProjectId,
    /// IANA name of its time zone.
    pub timezone: String,
    /// Its switches.
    pub settings: metastore::project::Settings,
    /// The rules of its fold.
    pub rules: Arc<identity::Rules>,
    /// Resources whose quota is used up.
    pub limited: Vec<Resource>,
}

#[derive(Debug, Default)]
struct Known {
    by_key: HashMap<String, Arc<Entry>>,
    by_project: HashMap<ProjectId, Arc<Entry>>,
    revision: u64,
}

/// The keys and projects of this server.
pub struct Directory {
    metastore: Arc<dyn Metastore>,
    mode: TokenMode,
    known: ArcSwap<Known>,
    creating: Mutex<()>,
}

impl Directory {
    /// Loads all projects.
    pub async fn open(metastore: Arc<dyn Metastore>, mode: TokenMode) -> Result<Self, Error> {
        let directory = Self { metastore, mode, known: ArcSwap::default(), creating: Mutex::new(()) };
        directory.reload().await?;
        Ok(directory)
    }

    /// Finds the project of a key, making one in `Open` mode. `token` must have passed `event::token::validate`.
    ///
    /// # Errors
    /// `UnknownToken` when no project has it; `Retry` when the metastore fails, so that no event is lost to a hiccup.
    pub async fn find(&self, token: &str, now: Timestamp) -> Result<Arc<Entry>, Rejection> {
        if let Some(entry) = self.known.load().by_key.get(token) {
            telemetry::capture::token_verdict("known");
            return Ok(entry.clone());
        }
        let TokenMode::Open { most } = self.mode else {
            telemetry::capture::token_verdict("unknown");
            return Err(Rejection::UnknownToken);
        };
        self.create(token, most, now).await
    }

    /// The project with this number, if there is one.
    pub fn project(&self, id: ProjectId) -> Option<Arc<Entry>> {
        self.known.load().by_project.get(&id).cloned()
    }

    /// Reads the projects again if another process changed them. Call once a second.
    pub async fn refresh(&self) -> Result<(), Error> {
        let revision = self.metastore.revision().await.map_err(unavailable)?;
        if revision != self.known.load().revision {
            self.reload().await?;
        }
        Ok(())
    }

    async fn create(&self, token: &str, most: usize, now: Timestamp) -> Result<Arc<Entry>, Rejection> {
        // One at a time: the first requests with a new key arrive together.
        let _creating = self.creating.lock().await;
        if let Some(entry) = self.known.load().by_key.get(token) {
            return Ok(entry.clone());
        }
        if self.known.load().by_project.len() >= most {
            telemetry::capture::token_verdict("unknown");
            return Err(Rejection::UnknownToken);
        }
        let key = NewKey::fixed(metastore::key::Kind::Project, token).map_err(|_| Rejection::UnknownToken)?;
        let mut new = NewProject::generate(&format!("Project of {token}"), &mut rand::rng());
        new.key = key;
        let created = self.metastore.create_project(new, now).await;
        if let Err(error) = created {
            tracing::error!(%error, "cannot make a project for a new key");
            return Err(Rejection::Retry);
        }
        if let Err(error) = self.reload().await {
            tracing::error!(%error, "cannot read the projects again");
        }
        self.known.load().by_key.get(token).cloned().ok_or(Rejection::Retry)
    }

    async fn reload(&self) -> Result<(), Error> {
        let revision = self.metastore.revision().await.map_err(unavailable)?;
        let projects = self.metastore.projects().await;
        telemetry::capture::tokens_refreshed(if projects.is_ok() { "ok" } else { "error" });
        let mut known = Known { revision, ..Known::default() };
        for project in projects.map_err(unavailable)? {
            let entry = Arc::new(Entry {
                project: project.id,
                rules: Arc::new(rules(&project)),
                timezone: project.timezone,
                settings: project.settings,
                limited: project.exhausted,
            });
            for key in project.keys.iter().filter(|key| key.disabled_at.is_none()) {
                known.by_key.insert(key.value.0.clone(), entry.clone());
            }
            known.by_project.insert(entry.project, entry);
        }
        self.known.store(Arc::new(known));
        Ok(())
    }
}

fn rules(project: &project::Project) -> identity::Rules {
    project.rules(identity::Rules::default())
}

fn unavailable(error: metastore::Error) -> Error {
    Error::because(Kind::Unavailable, "cannot read the projects", error)
}
