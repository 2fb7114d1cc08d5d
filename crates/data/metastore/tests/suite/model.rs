//! Random commits against the plainest model there is: maps.

use crate::sample::{ONE, checkpoint, mapping, person, uuid};
use identity::{Changes, Mapping, Needs};
use metastore::Metastore;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[derive(Default)]
struct Model {
    persons: BTreeMap<u64, i64>,
    mappings: BTreeMap<String, (u64, Mapping)>,
    marks: BTreeMap<String, bool>,
}

impl Model {
    /// Merges random persons and adds random ids, as a fold would; gives what changed.
    fn step(&mut self, rng: &mut StdRng) -> Changes {
        let mut changed = BTreeSet::new();
        let mut dead = BTreeSet::new();
        for _ in 0..rng.random_range(1..40) {
            let (number, id) = (rng.random_range(0..60), format!("id{}", rng.random_range(0..90)));
            match rng.random_range(0..4) {
                0 => {
                    self.marks.insert(id.clone(), rng.random());
                }
                1 if self.persons.contains_key(&number) => self.merge(number, &mut changed, &mut dead),
                _ if !dead.contains(&number) && !self.mappings.contains_key(&id) => {
                    *self.persons.entry(number).or_insert(0) += 1;
                    self.mappings.insert(id.clone(), (number, mapping(number, 0)));
                }
                _ => {}
            }
            changed.insert(id);
        }
        let owners: BTreeSet<u64> =
            changed.iter().filter_map(|id| self.mappings.get(id)).map(|(number, _)| *number).collect();
        Changes {
            persons: owners.iter().map(|number| person(*number, self.persons[number])).collect(),
            deleted_persons: dead.iter().map(|number| uuid(*number)).collect(),
            mappings: changed.iter().filter_map(|id| Some((id.clone(), self.mappings.get(id)?.1))).collect(),
            personless: changed.iter().filter_map(|id| Some((id.clone(), *self.marks.get(id)?))).collect(),
            ..Changes::default()
        }
    }

    /// Moves all ids of a person to the first other one.
    fn merge(&mut self, source: u64, changed: &mut BTreeSet<String>, dead: &mut BTreeSet<u64>) {
        let Some(target) = self.persons.keys().copied().find(|number| *number != source) else { return };
        let version = self.persons.remove(&source).unwrap_or(0);
        *self.persons.entry(target).or_insert(0) += version + 1;
        dead.insert(source);
        for (id, (number, stored)) in &mut self.mappings {
            if *number == source {
                (*number, *stored) = (target, mapping(target, stored.version + 1));
                changed.insert(id.clone());
            }
        }
    }

    fn members(&self, number: u64) -> Vec<(String, Mapping)> {
        let own = self.mappings.iter().filter(|(_, (owner, _))| *owner == number);
        own.map(|(id, (_, mapping))| (id.clone(), *mapping)).collect()
    }
}

pub async fn random_commits_agree_with_a_model(store: Arc<dyn Metastore>) {
    let mut rng = StdRng::seed_from_u64(20_260_101);
    let mut model = Model::default();
    let everyone: BTreeSet<String> = (0..90).map(|number| format!("id{number}")).collect();
    let needs = Needs { distinct_ids: everyone.clone(), members_of: everyone.clone(), ..Needs::default() };
    for offset in 1..=50 {
        let changes = model.step(&mut rng);
        store.commit(checkpoint(offset, changes)).await.expect("committed");
        let loaded = store.load_identity(ONE, &needs).await.expect("loaded");
        for id in &everyone {
            assert_eq!(
                loaded.mappings[id],
                model.mappings.get(id).map(|(_, mapping)| *mapping),
                "{offset} {id}"
            );
            assert_eq!(loaded.personless[id], model.marks.get(id).copied(), "{offset} {id}");
        }
        let owners: BTreeSet<u64> = model.mappings.values().map(|(number, _)| *number).collect();
        assert_eq!(loaded.persons.len(), owners.len());
        for number in owners {
            assert_eq!(loaded.members[&uuid(number)], model.members(number), "{offset}");
        }
    }
}
