//! Definitions: which events and properties were ever seen.

use crate::{Listing, Page, Result};
use async_trait::async_trait;
use event::ProjectId;
use jiff::Timestamp;

/// Definitions seen since the last commit. Writing the same ones twice is harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    /// Event names.
    pub events: Vec<Event>,
    /// Properties.
    pub properties: Vec<Property>,
    /// Which property came with which event.
    pub event_properties: Vec<EventProperty>,
}

/// An event name that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The name.
    pub name: String,
    /// First seen; the oldest that was written stays.
    pub created_at: Timestamp,
    /// Last seen; the newest that was written stays.
    pub last_seen_at: Timestamp,
}

/// A property that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// What it is a property of.
    pub owner: Owner,
    /// Its name.
    pub name: String,
    /// Its type; the first that is known stays.
    pub kind: Option<PropertyType>,
}

impl Property {
    /// Whether it can be summed, as PostHog's `is_numerical`.
    pub fn is_numerical(&self) -> bool {
        self.kind == Some(PropertyType::Numeric)
    }
}

/// What a property belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// Events.
    Event,
    /// Persons.
    Person,
    /// Groups of the type in this slot, 0-4.
    Group(u8),
}

impl Owner {
    /// The columns `owner` and `slot` of every store: PostHog's numbers, and -1 where there is no slot.
    pub(crate) fn stored(self) -> (i16, i16) {
        match self {
            Self::Event => (1, -1),
            Self::Person => (2, -1),
            Self::Group(slot) => (3, i16::from(slot)),
        }
    }
}

/// The type of a property, as PostHog names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PropertyType {
    /// Text.
    String,
    /// Number.
    Numeric,
    /// True or false.
    Boolean,
    /// A date, with or without a time.
    DateTime,
}

impl PropertyType {
    /// The text stored and sent.
    pub fn text(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Numeric => "Numeric",
            Self::Boolean => "Boolean",
            Self::DateTime => "DateTime",
        }
    }

    /// The type with this text.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::String, Self::Numeric, Self::Boolean, Self::DateTime]
            .into_iter()
            .find(|kind| kind.text() == text)
    }
}

/// A property that was seen on an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventProperty {
    /// Event name.
    pub event: String,
    /// Property name.
    pub property: String,
}

/// Definitions at rest. They are written by [`crate::checkpoint::Store::commit`] only.
#[async_trait]
pub trait Store: Send + Sync {
    /// Lists event names in alphabetical order.
    async fn event_definitions(&self, project: ProjectId, page: &Page) -> Result<Listing<Event>>;

    /// Lists the properties of one owner in alphabetical order.
    async fn property_definitions(
        &self,
        project: ProjectId,
        owner: Owner,
        page: &Page,
    ) -> Result<Listing<Property>>;

    /// Lists the names of properties seen on one event, in alphabetical order.
    async fn event_properties(&self, project: ProjectId, event: &str) -> Result<Vec<String>>;
}
