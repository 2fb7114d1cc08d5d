//! A store that keeps what the fold changes, and a bench that loads, folds and commits as a pump does.

use crate::{Changes, Folded, Group, Loaded, Mapping, Needs, Person, Rules, State, fold};
use event::{CapturedEvent, ProjectId};
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    pub persons: BTreeMap<Uuid, Person>,
    pub mappings: BTreeMap<String, Mapping>,
    pub personless: BTreeMap<String, bool>,
    pub group_types: BTreeMap<String, u8>,
    pub groups: BTreeMap<(u8, String), Group>,
}

impl Store {
    pub fn load(&self, needs: &Needs) -> Loaded {
        let mut loaded = Loaded::default();
        for id in needs.distinct_ids.iter().chain(&needs.members_of) {
            let mapping = self.mappings.get(id).copied();
            loaded.mappings.insert(id.clone(), mapping);
            loaded.personless.insert(id.clone(), self.personless.get(id).copied());
            if let Some((id, person)) = mapping.and_then(|m| Some((m.person, self.persons.get(&m.person)?))) {
                loaded.persons.insert(id, person.clone());
            }
        }
        for id in &needs.members_of {
            if let Some(mapping) = self.mappings.get(id) {
                let members = self.mappings.iter().filter(|(_, m)| m.person == mapping.person);
                loaded.members.insert(mapping.person, members.map(|(id, m)| (id.clone(), *m)).collect());
            }
        }
        for (kind, key) in &needs.groups {
            let index =
                *self.group_types.get(kind).expect("a group is only asked for when its type is stored");
            let slot = (index, key.clone());
            loaded.groups.insert(slot.clone(), self.groups.get(&slot).cloned());
        }
        loaded
    }

    pub fn write(&mut self, changes: Changes) {
        self.persons.retain(|id, _| !changes.deleted_persons.contains(id));
        self.persons.extend(changes.persons.into_iter().map(|person| (person.uuid, person)));
        self.mappings.extend(changes.mappings);
        self.personless.extend(changes.personless);
        self.group_types.extend(changes.group_types);
        self.groups.extend(changes.groups.into_iter().map(|(index, key, group)| ((index, key), group)));
    }

    pub fn open(&self) -> State {
        let mut state = State::new(ProjectId(1));
        state.set_group_types(self.group_types.clone());
        state
    }
}

pub struct Bench {
    pub store: Store,
    pub state: State,
    pub rules: Rules,
}

impl Bench {
    pub fn new(rules: Rules) -> Self {
        let store = Store::default();
        Self { state: store.open(), store, rules }
    }

    pub fn fold(&mut self, event: CapturedEvent) -> Folded {
        for _ in 0..3 {
            let needs = self.state.missing(&event);
            if needs == Needs::default() {
                return fold(&mut self.state, event, &self.rules);
            }
            self.state.insert(self.store.load(&needs));
        }
        panic!("loading what {event:?} needs does not end: {:?}", self.state.missing(&event));
    }

    /// Writes what changed; the state stays as it is.
    pub fn commit(&mut self) {
        let changes = self.state.take_changes();
        self.store.write(changes);
        assert!(!self.state.is_dirty());
    }

    /// Commits and starts again from the store, as after a restart.
    pub fn restart(&mut self) {
        self.commit();
        self.state = self.store.open();
    }
}
