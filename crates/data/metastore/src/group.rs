//! Group types and groups.

use crate::Result;
use async_trait::async_trait;
use event::ProjectId;
use identity::Group;

/// Groups at rest. They are written by [`crate::checkpoint::Store::commit`] only.
#[async_trait]
pub trait Store: Send + Sync {
    /// Lists the group types of a project with their slots 0-4, by slot.
    async fn group_types(&self, project: ProjectId) -> Result<Vec<(String, u8)>>;

    /// Finds one group by the slot of its type and its key.
    async fn group(&self, project: ProjectId, slot: u8, key: &str) -> Result<Option<Group>>;
}
