//! What an event needs from the store, and taking it in.

use super::entry::{KnownGroup, KnownPerson, id_bytes};
use super::{Loaded, Needs, State};
use crate::{group, merge, validate};
use event::name::{event as name, property};
use event::{CapturedEvent, Json};
use std::collections::BTreeSet;
use std::collections::hash_map::Entry;

impl State {
    /// What has to be loaded before `event` may be folded; empty when nothing is missing.
    ///
    /// Ask again after every [`State::insert`]: knowing where an id points can show that its person's
    /// other ids are needed too. Events that touch neither persons nor groups need nothing.
    pub fn missing(&self, event: &CapturedEvent) -> Needs {
        let mut needs = Needs::default();
        if event.event == name::CLIENT_WARNING || event.event == name::HEATMAP {
            return needs;
        }
        let target = validate::without_nul(&event.distinct_id);
        if !self.ids.contains_key(target.as_ref()) {
            needs.distinct_ids.insert(target.to_string());
        }
        if let Some(source) = merge::source(event)
            && merge::refusal(&source, &target).is_none()
        {
            self.missing_for_merge(&source, &target, event.event == name::MERGE_DANGEROUSLY, &mut needs);
        }
        let personless = event.force_personless
            || event.properties.get(property::PROCESS_PERSON_PROFILE).and_then(Json::as_bool) == Some(false);
        if personless {
            return needs;
        }
        for (kind, key) in group::keys(event) {
            if self.lacks_group(&kind, &key) {
                needs.groups.insert((kind, key));
            }
        }
        needs
    }

    fn missing_for_merge(&self, source: &str, target: &str, dangerously: bool, needs: &mut Needs) {
        if !self.ids.contains_key(source) {
            needs.distinct_ids.insert(source.to_owned());
            needs.members_of.insert(source.to_owned());
            return;
        }
        let Some(person) = self.person_id(source) else { return };
        if self.person_id(target) == Some(person) {
            return;
        }
        let Some(known) = self.persons.get(&person) else { return };
        if !known.complete && (dangerously || !known.person.is_identified) {
            needs.members_of.insert(known.anchor.clone().unwrap_or_else(|| source.to_owned()));
        }
    }

    /// Whether the store may have a group that is not known here. A type it has not been given yet has none.
    fn lacks_group(&self, kind: &str, key: &str) -> bool {
        let stored = self.types.iter().find(|t| t.name == kind && !t.dirty);
        stored.is_some_and(|t| !self.groups[usize::from(t.index)].contains_key(key))
    }

    /// Takes in what was loaded. What is already known is newer and stays.
    pub fn insert(&mut self, loaded: Loaded) {
        let Loaded { mappings, personless, persons, members, groups } = loaded;
        for (id, person) in persons {
            if !self.persons.contains_key(&id) && !self.merged_away.contains(&id) {
                let known =
                    KnownPerson { person, ids: BTreeSet::new(), complete: false, anchor: None, dirty: false };
                self.bytes += known.bytes();
                self.persons.insert(id, known);
            }
        }
        for (id, mapping) in mappings {
            let mark = personless.get(&id).copied().flatten();
            self.learn(id, mapping, Some(mark));
        }
        for (person, ids) in members {
            for (id, mapping) in ids {
                let mark = personless.get(&id).copied();
                self.learn(id, Some(mapping), mark);
            }
            if let Some(known) = self.persons.get_mut(&person) {
                known.complete = true;
            }
        }
        for ((index, key), group) in groups {
            let Some(known) = self.groups.get_mut(usize::from(index)) else { continue };
            if let Entry::Vacant(slot) = known.entry(key) {
                let group = KnownGroup { group, dirty: false, touched: self.folds };
                self.bytes += group.bytes(slot.key());
                slot.insert(group);
            }
        }
    }

    /// Adds one id unless it is known. A member's personless mark was not asked for; it is not needed
    /// either, because a mark only counts while an id has no person.
    fn learn(&mut self, id: String, mapping: Option<super::Mapping>, mark: Option<Option<bool>>) {
        let Entry::Vacant(slot) = self.ids.entry(id) else { return };
        self.bytes += id_bytes(slot.key());
        if let Some(living) = mapping.and_then(|m| self.persons.get_mut(&m.person)) {
            living.ids.insert(slot.key().clone());
            living.anchor.get_or_insert_with(|| slot.key().clone());
        }
        slot.insert(super::KnownId {
            mapping,
            personless: mark.flatten(),
            touched: self.folds,
            ..super::KnownId::default()
        });
    }
}
