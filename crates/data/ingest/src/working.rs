//! What the pump holds of one project between commits.

use crate::error::Error;
use crate::patience::insist;
use event::{CapturedEvent, ProjectId};
use identity::{Folded, Needs, Rules, State};
use metastore::{Definitions, Metastore};

/// Rounds of loading one event may need: its ids, then the members of the person they lead to.
const ROUNDS: usize = 4;

/// Persons, groups and definitions of one project, as far as they were needed.
pub struct Working {
    /// Persons, mappings, groups.
    pub state: State,
    definitions: identity::definition::Seen,
}

impl Working {
    /// An empty working set that knows the project's group types.
    pub async fn open(project: ProjectId, metastore: &dyn Metastore) -> Result<Self, Error> {
        let types = insist(|| metastore.group_types(project)).await?;
        let mut state = State::new(project);
        state.set_group_types(types);
        Ok(Self { state, definitions: identity::definition::Seen::default() })
    }

    /// Loads what these events need and what is not here yet, in as few reads as possible.
    pub async fn load<'a>(
        &mut self,
        metastore: &dyn Metastore,
        events: impl Iterator<Item = &'a CapturedEvent>,
    ) -> Result<(), Error> {
        let mut needs = Needs::default();
        // Only events that lacked something are asked again.
        let mut lacking: Vec<_> = events.filter(|event| self.note_missing(event, &mut needs)).collect();
        for _ in 0..ROUNDS {
            if lacking.is_empty() {
                return Ok(());
            }
            let loaded = insist(|| metastore.load_identity(self.state.project(), &needs)).await?;
            self.state.insert(loaded);
            needs = Needs::default();
            lacking.retain(|event| self.note_missing(event, &mut needs));
        }
        Ok(())
    }

    /// Adds what an event needs and what is not here yet; false when there is nothing of the kind.
    fn note_missing(&self, event: &CapturedEvent, needs: &mut Needs) -> bool {
        let missing = self.state.missing(event);
        let lacks = missing != Needs::default();
        needs.distinct_ids.extend(missing.distinct_ids);
        needs.members_of.extend(missing.members_of);
        needs.groups.extend(missing.groups);
        lacks
    }

    /// Folds one event whose needs are loaded.
    pub fn fold(&mut self, event: CapturedEvent, rules: &Rules) -> Folded {
        let folded = identity::fold(&mut self.state, event, rules);
        if let Some(row) = &folded.event {
            self.definitions.observe(row, folded.group_type_index);
        }
        folded
    }

    /// Everything that changed since the last call, to be committed.
    pub fn take(&mut self) -> (identity::Changes, Definitions) {
        (self.state.take_changes(), crate::definitions::convert(self.definitions.take()))
    }
}
