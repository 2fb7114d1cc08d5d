//! The definitions a fold saw, as the metastore takes them.

use identity::definition;
use metastore::definition::{Event, EventProperty, Owner, Property, PropertyType};

/// Renames one crate's words into the other's: both are plain data.
pub fn convert(seen: definition::Definitions) -> metastore::Definitions {
    metastore::Definitions {
        events: seen
            .events
            .into_iter()
            .map(|event| Event {
                name: event.name,
                created_at: event.last_seen_at,
                last_seen_at: event.last_seen_at,
            })
            .collect(),
        properties: seen
            .properties
            .into_iter()
            .map(|property| Property {
                owner: owner(property.owner),
                name: property.name,
                kind: property.kind.map(kind),
            })
            .collect(),
        event_properties: seen
            .event_properties
            .into_iter()
            .map(|pair| EventProperty { event: pair.event, property: pair.property })
            .collect(),
    }
}

fn owner(owner: definition::Owner) -> Owner {
    match owner {
        definition::Owner::Event => Owner::Event,
        definition::Owner::Person => Owner::Person,
        definition::Owner::Group(slot) => Owner::Group(slot),
    }
}

fn kind(kind: definition::PropertyType) -> PropertyType {
    match kind {
        definition::PropertyType::String => PropertyType::String,
        definition::PropertyType::Numeric => PropertyType::Numeric,
        definition::PropertyType::Boolean => PropertyType::Boolean,
        definition::PropertyType::DateTime => PropertyType::DateTime,
    }
}
