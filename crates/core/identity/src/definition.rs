//! Which events and properties a project has ever seen, and of what type.

mod outline;
mod seen;
mod value;

pub use seen::Seen;
pub use value::{PropertyType, detect};

use crate::group;
use crate::row::EventRow;
use crate::validate;
use event::Json;
use event::name::{event as name, property};
use jiff::Timestamp;
use outline::Outline;
use std::borrow::Cow;

/// Bytes of a name that is remembered; longer ones are left out.
const NAME_BYTES: usize = 200;
/// Definitions of one event; an event with more is left out as a whole.
const DEFINITIONS_PER_EVENT: usize = 10_000;

/// Whose property it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// Of events.
    Event,
    /// Of persons.
    Person,
    /// Of groups in this slot.
    Group(u8),
}

/// A name events have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDefinition {
    /// Event name.
    pub name: String,
    /// When it was last received, floored to the hour so that it changes rarely.
    pub last_seen_at: Timestamp,
}

/// A property that some event of a name has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventProperty {
    /// Event name.
    pub event: String,
    /// Property name.
    pub property: String,
}

/// A property of events, persons or groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyDefinition {
    /// Whose.
    pub owner: Owner,
    /// Property name.
    pub name: String,
    /// The type of the first value that had one. The store keeps a type it already has.
    pub kind: Option<PropertyType>,
}

/// Definitions, each list sorted by its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    /// Event names.
    pub events: Vec<EventDefinition>,
    /// Which properties each event has.
    pub event_properties: Vec<EventProperty>,
    /// Properties and their types.
    pub properties: Vec<PropertyDefinition>,
}

impl Definitions {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.event_properties.is_empty() && self.properties.is_empty()
    }
}

/// The definitions one event gives. `group` is [`crate::Folded::group_type_index`].
pub fn observe(row: &EventRow, group: Option<u8>) -> Definitions {
    let mut seen = Seen::new(usize::MAX);
    seen.observe(row, group);
    seen.take()
}

/// One thing an event shows.
enum Sight<'a> {
    EventProperty(Cow<'a, str>),
    Property(Owner, Cow<'a, str>, Json<'a>),
}

/// The name an event is defined under, unless it is one that is not defined.
fn defined_name<'a>(row: &'a EventRow, outline: &Outline) -> Option<Cow<'a, str>> {
    let fits = row.event != "$$plugin_metrics" && row.event.len() <= NAME_BYTES;
    (fits && outline.definitions <= DEFINITIONS_PER_EVENT).then(|| validate::without_nul(&row.event))
}

/// Calls `with` for every property an event shows.
fn visit<'a>(row: &'a EventRow, group: Option<u8>, mut with: impl FnMut(Sight<'a>)) {
    let object = |key: &str| row.properties.get(key).map(Json::fields).into_iter().flatten();
    let fits = |key: &str| key.len() <= NAME_BYTES;
    if row.event == name::GROUP_IDENTIFY {
        let Some(index) = group else { return };
        for (key, value) in object(property::GROUP_SET).filter(|(key, _)| fits(key)) {
            with(Sight::Property(Owner::Group(index), validate::without_nul(key), value));
        }
        return;
    }
    for (key, value) in row.properties.iter().filter(|(key, _)| fits(key) && !is_structural(key)) {
        if !key.starts_with("$feature/") && !key.starts_with("$feature_enrollment/") {
            with(Sight::EventProperty(validate::without_nul(key)));
        }
        with(Sight::Property(Owner::Event, validate::without_nul(key), value));
    }
    for (key, value) in object(property::SET).chain(object(property::SET_ONCE)).filter(|(key, _)| fits(key)) {
        with(Sight::Property(Owner::Person, validate::without_nul(key), value));
    }
}

/// Properties that carry others, or that are columns.
fn is_structural(key: &str) -> bool {
    matches!(key, property::SET | property::SET_ONCE | property::UNSET | property::GROUPS)
        || group::SLOTS.contains(&key)
}
