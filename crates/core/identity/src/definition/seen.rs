//! What was seen already, so that a definition is written once and not with every event.

use super::{
    Definitions, EventDefinition, EventProperty, Outline, Owner, PropertyDefinition, PropertyType, Sight,
    defined_name, detect, visit,
};
use crate::map::{Map, Set};
use crate::row::EventRow;
use jiff::Timestamp;
use std::collections::BTreeSet;

const SECONDS_PER_HOUR: i64 = 3600;
/// Outlines remembered: some kilobytes that spare looking up every name of an event.
const OUTLINES: usize = 4096;

/// The definitions of one project that were seen since the start, and which of them are not written yet.
///
/// It is a cache: forgetting costs a needless write, never a definition.
#[derive(Clone, Debug)]
pub struct Seen {
    max_entries: usize,
    entries: usize,
    ignored: u64,
    /// Nothing can be forgotten before the next [`Seen::take`].
    full: bool,
    events: Map<String, KnownEvent>,
    properties: Map<Owner, Map<String, Option<PropertyType>>>,
    /// Outlines of events that gave nothing that is not in `events` and `properties`.
    outlines: Set<u64>,
    new_events: BTreeSet<String>,
    new_event_properties: BTreeSet<EventProperty>,
    new_properties: BTreeSet<(Owner, String)>,
}

#[derive(Clone, Debug)]
struct KnownEvent {
    last_seen_hour: i64,
    properties: Set<String>,
}

impl Seen {
    /// Remembers at most about `max_entries` names.
    pub fn new(max_entries: usize) -> Self {
        Self {
            max_entries,
            entries: 0,
            ignored: 0,
            full: false,
            events: Map::default(),
            properties: Map::default(),
            outlines: Set::default(),
            new_events: BTreeSet::new(),
            new_event_properties: BTreeSet::new(),
            new_properties: BTreeSet::new(),
        }
    }

    /// Notes everything an event shows. `group` is [`crate::Folded::group_type_index`].
    pub fn observe(&mut self, row: &EventRow, group: Option<u8>) {
        let outline = Outline::of(row, group);
        let Some(name) = defined_name(row, &outline) else { return };
        let hour = row.created_at.as_second().div_euclid(SECONDS_PER_HOUR);
        if self.outlines.contains(&outline.hash) {
            self.note_event(&name, hour);
            return;
        }
        if self.entries >= self.max_entries && (self.full || !self.make_room()) {
            self.full = true;
            self.ignored += 1;
            return;
        }
        self.note_event(&name, hour);
        visit(row, group, |sight| match sight {
            Sight::EventProperty(property) => self.note_event_property(&name, &property),
            Sight::Property(owner, property, value) => {
                let known = self.properties.entry(owner).or_default();
                match known.get_mut(property.as_ref()) {
                    Some(Some(_)) => {}
                    Some(kind @ None) => {
                        *kind = detect(&property, value, row.created_at);
                        if kind.is_some() {
                            self.new_properties.insert((owner, property.into_owned()));
                        }
                    }
                    None => {
                        known.insert(property.to_string(), detect(&property, value, row.created_at));
                        self.entries += 1;
                        self.new_properties.insert((owner, property.into_owned()));
                    }
                }
            }
        });
        if self.outlines.len() >= OUTLINES {
            self.outlines.clear();
        }
        self.outlines.insert(outline.hash);
    }

    fn note_event(&mut self, name: &str, hour: i64) {
        match self.events.get_mut(name) {
            Some(known) if known.last_seen_hour >= hour => return,
            Some(known) => known.last_seen_hour = hour,
            None => {
                let known = KnownEvent { last_seen_hour: hour, properties: Set::default() };
                self.events.insert(name.to_owned(), known);
                self.entries += 1;
            }
        }
        self.new_events.insert(name.to_owned());
    }

    fn note_event_property(&mut self, event: &str, property: &str) {
        let Some(known) = self.events.get_mut(event) else { return };
        if known.properties.contains(property) {
            return;
        }
        known.properties.insert(property.to_owned());
        self.entries += 1;
        self.new_event_properties
            .insert(EventProperty { event: event.to_owned(), property: property.to_owned() });
    }

    /// Forgets what is written. Gives whether that made room.
    fn make_room(&mut self) -> bool {
        let Self { events, properties, new_events, new_event_properties, new_properties, .. } = self;
        self.outlines.clear();
        events.retain(|name, known| {
            known.properties.retain(|property| {
                let key = EventProperty { event: name.clone(), property: property.clone() };
                new_event_properties.contains(&key)
            });
            !known.properties.is_empty() || new_events.contains(name)
        });
        for (owner, known) in properties.iter_mut() {
            known.retain(|name, _| new_properties.contains(&(*owner, name.clone())));
        }
        self.entries = self.events.values().map(|known| 1 + known.properties.len()).sum::<usize>()
            + self.properties.values().map(Map::len).sum::<usize>();
        self.entries < self.max_entries
    }

    /// Whether there is something to write.
    pub fn is_dirty(&self) -> bool {
        !(self.new_events.is_empty()
            && self.new_event_properties.is_empty()
            && self.new_properties.is_empty())
    }

    /// Events not noted because everything remembered still had to be written: [`Seen::take`] more often.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// What is new since the last call, for the store to upsert: later `last_seen_at` wins, the first type stays.
    pub fn take(&mut self) -> Definitions {
        self.full = false;
        let events = std::mem::take(&mut self.new_events).into_iter().filter_map(|name| {
            let hour = self.events.get(&name)?.last_seen_hour;
            let last_seen_at = Timestamp::from_second(hour.checked_mul(SECONDS_PER_HOUR)?).ok()?;
            Some(EventDefinition { name, last_seen_at })
        });
        let events = events.collect();
        let properties = std::mem::take(&mut self.new_properties).into_iter().map(|(owner, name)| {
            let kind = self.properties.get(&owner).and_then(|known| known.get(&name).copied().flatten());
            PropertyDefinition { owner, name, kind }
        });
        let properties = properties.collect();
        Definitions {
            events,
            event_properties: std::mem::take(&mut self.new_event_properties).into_iter().collect(),
            properties,
        }
    }
}

impl Default for Seen {
    /// Room for 100 000 names.
    fn default() -> Self {
        Self::new(100_000)
    }
}
