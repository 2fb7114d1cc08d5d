//! What a fold knows of one project, and what it changed.

mod change;
mod entry;
mod load;

use crate::map::Map;
use entry::{KnownGroup, KnownId, KnownPerson};
use event::{ProjectId, Properties};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use uuid::Uuid;

/// How many group types a project can have.
pub const GROUP_TYPES: usize = 5;

/// A living person.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// Deterministic for new persons; survivors keep theirs.
    pub uuid: Uuid,
    /// Oldest creation time among merged persons.
    pub created_at: Timestamp,
    /// All properties, shared with the rows that show them.
    pub properties: Arc<Properties>,
    /// Source persons that are identified are not merged away.
    pub is_identified: bool,
    /// Grows with every persisted change.
    pub version: i64,
    /// Floored to the hour.
    pub last_seen_at: Option<Timestamp>,
}

/// A distinct id's person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The person.
    pub person: Uuid,
    /// See [`crate::MappingRow::version`].
    pub version: i64,
}

/// A group.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// First seen.
    pub created_at: Timestamp,
    /// All properties, shared with the rows that show them.
    pub properties: Arc<Properties>,
    /// Grows with every persisted change.
    pub version: i64,
}

/// What must be loaded before an event may be folded. Empty when nothing is missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Needs {
    /// Distinct ids whose mapping, person and personless mark are unknown.
    pub distinct_ids: BTreeSet<String>,
    /// Distinct ids whose person's complete set of ids is needed, because the event may merge them.
    pub members_of: BTreeSet<String>,
    /// Groups by (type name, key).
    pub groups: BTreeSet<(String, String)>,
}

/// The answer of a store to [`Needs`]. Ids and groups that do not exist are present with `None`.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Mapping per asked distinct id.
    pub mappings: HashMap<String, Option<Mapping>>,
    /// Personless mark (`is_merged`) per asked distinct id.
    pub personless: HashMap<String, Option<bool>>,
    /// Persons of those mappings.
    pub persons: HashMap<Uuid, Person>,
    /// Complete mappings of persons asked for with `members_of`.
    pub members: HashMap<Uuid, Vec<(String, Mapping)>>,
    /// Groups per asked (type index, key).
    pub groups: HashMap<(u8, String), Option<Group>>,
}

/// What the folds since the last call changed: absolute values, so that writing them twice is harmless.
///
/// Every list is sorted by its key, so that equal states give equal changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Persons to write.
    pub persons: Vec<Person>,
    /// Persons merged away.
    pub deleted_persons: Vec<Uuid>,
    /// Mappings to write.
    pub mappings: Vec<(String, Mapping)>,
    /// Personless marks to write.
    pub personless: Vec<(String, bool)>,
    /// Newly allocated group types.
    pub group_types: Vec<(String, u8)>,
    /// Groups to write, by (type index, key).
    pub groups: Vec<(u8, String, Group)>,
}

/// Working set of one project: everything loaded or changed since it was last forgotten.
///
/// It is the newest truth: what it holds is never overwritten by [`State::insert`]. The owner must keep the
/// order `missing` - load - `insert` - [`fold`](crate::fold()), and must write [`Changes`] durably before it lets the
/// state [`State::forget`] or load again.
#[derive(Clone, Debug)]
pub struct State {
    project: ProjectId,
    ids: Map<String, KnownId>,
    persons: Map<Uuid, KnownPerson>,
    groups: [Map<String, KnownGroup>; GROUP_TYPES],
    types: Vec<KnownType>,
    merged_away: BTreeSet<Uuid>,
    folds: u64,
    /// What ids, persons and groups take together.
    bytes: usize,
}

/// A group type and whether the store already has it.
#[derive(Clone, Debug)]
struct KnownType {
    name: String,
    index: u8,
    dirty: bool,
}

impl State {
    /// A state that knows nothing yet of `project`.
    pub fn new(project: ProjectId) -> Self {
        Self {
            project,
            ids: Map::default(),
            persons: Map::default(),
            groups: Default::default(),
            types: Vec::new(),
            merged_away: BTreeSet::new(),
            folds: 0,
            bytes: 0,
        }
    }

    /// The project this state belongs to.
    pub fn project(&self) -> ProjectId {
        self.project
    }

    /// Gives the group types the store knows, as (name, index). Call it once, before the first fold.
    ///
    /// Types allocated here and not yet written stay; indexes above 4 are ignored.
    pub fn set_group_types(&mut self, types: impl IntoIterator<Item = (String, u8)>) {
        for (name, index) in types {
            let taken = self.types.iter().any(|t| t.index == index || t.name == name);
            if usize::from(index) < GROUP_TYPES && !taken {
                self.types.push(KnownType { name, index, dirty: false });
            }
        }
    }

    /// The group types known now, as (name, index), lowest index first.
    pub fn group_types(&self) -> Vec<(String, u8)> {
        let mut types: Vec<_> = self.types.iter().map(|t| (t.name.clone(), t.index)).collect();
        types.sort_by_key(|(_, index)| *index);
        types
    }

    /// Entries held: distinct ids, persons and groups.
    pub fn len(&self) -> usize {
        self.ids.len() + self.persons.len() + self.groups.iter().map(Map::len).sum::<usize>()
    }

    /// Memory of those entries, approximately.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The living person of a distinct id, if both are known here.
    pub fn person_of(&self, distinct_id: &str) -> Option<&Person> {
        self.persons.get(&self.person_id(distinct_id)?).map(|known| &known.person)
    }

    /// The mapping of a distinct id, if known here.
    pub fn mapping_of(&self, distinct_id: &str) -> Option<Mapping> {
        self.ids.get(distinct_id)?.mapping
    }
}
