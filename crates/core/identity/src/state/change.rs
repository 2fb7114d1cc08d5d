//! Handing changes to the store, and letting go of what it has.

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

    /// Lets go of the entries not touched for longest until about half of `max_entries` are left.
    ///
    /// Does nothing while there are at most `max_entries`, or while something is dirty: a forgotten
    /// entry is loaded again from the store, which must have it by then.
    pub fn forget(&mut self, max_entries: usize) {
        if self.len() <= max_entries || self.is_dirty() {
            return;
        }
        let cutoff = self.cutoff(max_entries / 2);
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
    }

    /// The fold whose entries and all older ones have to go so that at most `keep` ids and groups are left.
    fn cutoff(&self, keep: usize) -> u64 {
        let ids = self.ids.values().map(|known| known.touched);
        let groups = self.groups.iter().flat_map(|groups| groups.values()).map(|known| known.touched);
        // An id usually brings its person along: it counts twice.
        let mut touched: Vec<u64> = ids.clone().chain(ids).chain(groups).collect();
        if touched.len() <= keep {
            return 0;
        }
        let index = touched.len() - keep - 1;
        *touched.select_nth_unstable(index).1
    }
}
