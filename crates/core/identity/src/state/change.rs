//! Handing changes to the store, and letting go of what it has.

use super::entry::{KnownPerson, id_bytes};
use super::{Changes, State};

impl State {
    /// Everything that changed since the last call, as absolute values in key order.
    ///
    /// Nothing counts as changed afterwards, so the caller must write the answer durably, or fold the
    /// log again from its last checkpoint.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for known in self.persons.values_mut().filter(|known| known.dirty) {
            known.dirty = false;
            changes.persons.push(known.person.clone());
        }
        for (id, known) in &mut self.ids {
            if std::mem::take(&mut known.mapping_dirty)
                && let Some(mapping) = known.mapping
            {
                changes.mappings.push((id.clone(), mapping));
            }
            if std::mem::take(&mut known.personless_dirty)
                && let Some(merged) = known.personless
            {
                changes.personless.push((id.clone(), merged));
            }
        }
        for known in self.types.iter_mut().filter(|known| known.dirty) {
            known.dirty = false;
            changes.group_types.push((known.name.clone(), known.index));
        }
        for (index, groups) in (0u8..).zip(&mut self.groups) {
            for (key, known) in groups.iter_mut().filter(|(_, known)| known.dirty) {
                known.dirty = false;
                if let Some(group) = &known.group {
                    changes.groups.push((index, key.clone(), group.clone()));
                }
            }
        }
        changes.deleted_persons = std::mem::take(&mut self.merged_away).into_iter().collect();
        changes.persons.sort_by_key(|person| person.uuid);
        changes.mappings.sort_by(|a, b| a.0.cmp(&b.0));
        changes.personless.sort();
        changes.group_types.sort_by_key(|(_, index)| *index);
        changes.groups.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        changes
    }

    /// Whether something changed that [`State::take_changes`] has not given yet.
    pub fn is_dirty(&self) -> bool {
        !self.merged_away.is_empty()
            || self.types.iter().any(|known| known.dirty)
            || self.persons.values().any(|known| known.dirty)
            || self.ids.values().any(|known| known.mapping_dirty || known.personless_dirty)
            || self.groups.iter().flat_map(|groups| groups.values()).any(|known| known.dirty)
    }

    /// Lets go of the entries not touched for longest until about `keep` bytes are left; see [`State::bytes`].
    ///
    /// Does nothing while something is dirty: a forgotten entry is loaded again from the store, which must have it
    /// by then.
    pub fn forget(&mut self, keep: usize) {
        if self.bytes <= keep || self.is_dirty() {
            return;
        }
        let cutoff = self.cutoff(keep);
        let State { ids, persons, groups, .. } = self;
        ids.retain(|id, known| {
            let keep = known.touched > cutoff;
            if !keep && let Some(living) = known.mapping.and_then(|m| persons.get_mut(&m.person)) {
                living.ids.remove(id);
                living.complete = false;
                if living.anchor.as_ref() == Some(id) {
                    living.anchor = None;
                }
            }
            keep
        });
        persons.retain(|_, known| !known.ids.is_empty());
        for known in persons.values_mut() {
            if known.anchor.is_none() {
                known.anchor = known.ids.first().cloned();
            }
        }
        for known in groups {
            known.retain(|_, group| group.touched > cutoff);
        }
        ids.shrink_to_fit();
        persons.shrink_to_fit();
        self.bytes = self.measure();
    }

    /// Counts [`State::bytes`] anew.
    pub(crate) fn measure(&self) -> usize {
        let ids = self.ids.keys().map(|id| id_bytes(id));
        let persons = self.persons.values().map(KnownPerson::bytes);
        let groups = self.groups.iter().flatten().map(|(key, known)| known.bytes(key));
        ids.chain(persons).chain(groups).sum()
    }

    /// The fold whose entries and all older ones have to go so that at most `keep` bytes are left.
    fn cutoff(&self, keep: usize) -> u64 {
        let mut weights: Vec<(u64, usize)> = self.weights().collect();
        weights.sort_unstable_by_key(|(touched, _)| std::cmp::Reverse(*touched));
        let mut left = keep;
        let first_to_go = weights.into_iter().find(|(_, bytes)| {
            let fits = *bytes <= left;
            left = left.saturating_sub(*bytes);
            !fits
        });
        first_to_go.map_or(0, |(touched, _)| touched)
    }

    /// When each id and group was touched last, and its memory. An id brings its person along; one of several ids
    /// counts its share.
    fn weights(&self) -> impl Iterator<Item = (u64, usize)> {
        let ids = self.ids.iter().map(|(id, known)| {
            let person = known.mapping.and_then(|mapping| self.persons.get(&mapping.person));
            let share = person.map_or(0, |person| person.bytes() / person.ids.len().max(1));
            (known.touched, id_bytes(id) + share)
        });
        let groups = self.groups.iter().flatten().map(|(key, known)| (known.touched, known.bytes(key)));
        ids.chain(groups)
    }
}
