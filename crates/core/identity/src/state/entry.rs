//! One known id, person or group, and the small steps by which a fold changes them.

use super::{GROUP_TYPES, Group, KnownType, Mapping, Person, State};
use event::Properties;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A distinct id: where it points and whether it was used personless.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownId {
    pub mapping: Option<Mapping>,
    pub personless: Option<bool>,
    pub mapping_dirty: bool,
    pub personless_dirty: bool,
    pub touched: u64,
}

/// A person and those of its distinct ids that are known here.
#[derive(Clone, Debug)]
pub(super) struct KnownPerson {
    pub person: Person,
    pub ids: BTreeSet<String>,
    /// Whether `ids` is all of them.
    pub complete: bool,
    /// An id under which the store finds this person, whatever was changed here since.
    pub anchor: Option<String>,
    pub dirty: bool,
}

/// A group, or the knowledge that there is none.
#[derive(Clone, Debug)]
pub(super) struct KnownGroup {
    pub group: Option<Group>,
    pub dirty: bool,
    pub touched: u64,
}

/// Memory of a known id, wherever its text is held: here, in the list of its person, perhaps as that one's anchor.
pub(super) fn id_bytes(id: &str) -> usize {
    size_of::<(String, KnownId)>() + 2 * (size_of::<String>() + id.len())
}

impl KnownPerson {
    /// Memory, less that of the ids.
    pub fn bytes(&self) -> usize {
        size_of::<(Uuid, Self)>() + size_of::<Properties>() + self.person.properties.bytes()
    }
}

impl KnownGroup {
    /// Memory of a group under this key.
    pub fn bytes(&self, key: &str) -> usize {
        let properties = self.group.as_ref().map_or(0, |group| group.properties.bytes());
        size_of::<(String, Self)>() + size_of::<Properties>() + key.len() + properties
    }
}

impl State {
    /// Starts one fold: what it touches is newer than what older folds touched.
    pub(crate) fn advance(&mut self, distinct_id: &str) {
        self.folds += 1;
        if let Some(known) = self.ids.get_mut(distinct_id) {
            known.touched = self.folds;
        }
    }

    /// The living person of an id. A mapping to an unknown person counts as none.
    pub(crate) fn person_id(&self, distinct_id: &str) -> Option<Uuid> {
        let person = self.ids.get(distinct_id)?.mapping?.person;
        self.persons.contains_key(&person).then_some(person)
    }

    pub(crate) fn person(&self, id: Uuid) -> Option<&Person> {
        self.persons.get(&id).map(|known| &known.person)
    }

    /// Puts a changed person in the place of what was known of it.
    pub(crate) fn write_person(&mut self, person: Person) {
        let Some(known) = self.persons.get_mut(&person.uuid) else { return };
        self.bytes -= known.bytes();
        known.person = person;
        known.dirty = true;
        self.bytes += known.bytes();
    }

    /// Adds a person that did not exist, without ids.
    pub(crate) fn create_person(&mut self, person: Person) {
        self.merged_away.remove(&person.uuid);
        let known = KnownPerson { person, ids: BTreeSet::new(), complete: true, anchor: None, dirty: true };
        self.bytes += known.bytes();
        self.persons.insert(known.person.uuid, known);
    }

    /// Points `distinct_id` at `person` and gives the version that was written: never below what it had.
    pub(crate) fn map(&mut self, distinct_id: &str, person: Uuid, version: i64) -> Mapping {
        let known = self.id(distinct_id);
        let version = known.mapping.map_or(version, |old| version.max(old.version.saturating_add(1)));
        let mapping = Mapping { person, version };
        known.mapping = Some(mapping);
        known.mapping_dirty = true;
        if let Some(living) = self.persons.get_mut(&person) {
            living.ids.insert(distinct_id.to_owned());
        }
        mapping
    }

    /// Takes a person away and gives it with its known ids, in order.
    pub(crate) fn merge_away(&mut self, id: Uuid) -> Option<(Person, BTreeSet<String>)> {
        let known = self.persons.remove(&id)?;
        self.bytes -= known.bytes();
        self.merged_away.insert(id);
        Some((known.person, known.ids))
    }

    /// Whether events were stored under this id's own person id.
    pub(crate) fn used_personless(&self, distinct_id: &str) -> bool {
        self.ids.get(distinct_id).is_some_and(|known| known.personless.is_some())
    }

    /// Remembers that an event was stored under this id's own person id.
    pub(crate) fn mark_personless(&mut self, distinct_id: &str) {
        if self.used_personless(distinct_id) {
            return;
        }
        let known = self.id(distinct_id);
        known.personless = Some(false);
        known.personless_dirty = true;
    }

    /// The entry of an id that is used now.
    fn id(&mut self, distinct_id: &str) -> &mut KnownId {
        if !self.ids.contains_key(distinct_id) {
            self.bytes += id_bytes(distinct_id);
        }
        let known = self.ids.entry(distinct_id.to_owned()).or_default();
        known.touched = self.folds;
        known
    }

    /// Remembers that a personless id has become a person's. Done whenever an id gets its first person, so
    /// that the marks of mapped ids never change again and need not be loaded.
    pub(crate) fn mark_merged(&mut self, distinct_id: &str) {
        if let Some(known) = self.ids.get_mut(distinct_id)
            && known.personless == Some(false)
        {
            known.personless = Some(true);
            known.personless_dirty = true;
        }
    }

    pub(crate) fn group_type(&self, name: &str) -> Option<u8> {
        self.types.iter().find(|t| t.name == name).map(|t| t.index)
    }

    /// The index of a group type, allocating the lowest free one. `None` when all five are taken.
    pub(crate) fn allocate_group_type(&mut self, name: &str) -> Option<u8> {
        if let Some(index) = self.group_type(name) {
            return Some(index);
        }
        let index = (0u8..).take(GROUP_TYPES).find(|i| self.types.iter().all(|t| t.index != *i))?;
        self.types.push(KnownType { name: name.to_owned(), index, dirty: true });
        Some(index)
    }

    pub(crate) fn group(&self, index: u8, key: &str) -> Option<&Group> {
        self.groups.get(usize::from(index))?.get(key)?.group.as_ref()
    }

    pub(crate) fn write_group(&mut self, index: u8, key: &str, group: Group) {
        let touched = self.folds;
        if let Some(groups) = self.groups.get_mut(usize::from(index)) {
            let known = KnownGroup { group: Some(group), dirty: true, touched };
            self.bytes += known.bytes(key);
            if let Some(old) = groups.insert(key.to_owned(), known) {
                self.bytes -= old.bytes(key);
            }
        }
    }

    pub(crate) fn touch_group(&mut self, index: u8, key: &str) {
        let folds = self.folds;
        if let Some(known) = self.groups.get_mut(usize::from(index)).and_then(|g| g.get_mut(key)) {
            known.touched = folds;
        }
    }
}
