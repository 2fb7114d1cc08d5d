//! Persons: what the identity fold loads, and looking one up.

use crate::{Page, Result};
use async_trait::async_trait;
use event::ProjectId;
use identity::{Loaded, Mapping, Needs, Person};
use uuid::Uuid;

/// A person with every distinct id that leads to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The person.
    pub person: Person,
    /// Its distinct ids in alphabetical order.
    pub distinct_ids: Vec<(String, Mapping)>,
}

/// How a person is named by the one who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Find {
    /// By uuid.
    Uuid(Uuid),
    /// By any of its distinct ids.
    DistinctId(String),
}

/// Persons and their distinct ids at rest. They are written by [`crate::checkpoint::Store::commit`] only.
#[async_trait]
pub trait Store: Send + Sync {
    /// Answers everything in `needs`, as of one moment.
    ///
    /// Each id in `distinct_ids` or `members_of` is answered with `Some` or `None`, and so is each
    /// group of a stored type. A group whose type is not stored yet is left out: the type is new, so it
    /// has no stored groups. Times are exact to the microsecond.
    ///
    /// # Errors
    /// `Corrupt` when a distinct id leads to a person that is not there.
    async fn load_identity(&self, project: ProjectId, needs: &Needs) -> Result<Loaded>;

    /// Finds one person.
    async fn person(&self, project: ProjectId, by: Find) -> Result<Option<Profile>>;

    /// Lists persons by uuid; `search` is a distinct id or a part of the properties' JSON text.
    ///
    /// Searching reads every person of the project: large projects search the `persons` table instead.
    async fn persons(&self, project: ProjectId, page: &Page) -> Result<Vec<Profile>>;
}
