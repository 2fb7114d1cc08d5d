//! What an event shows, as one number: most events show just what one before them did.

use crate::row::EventRow;
use event::Json;
use event::name::property;

/// The names an event shows and which of their values have a type, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Equal for events that give the same definitions. Two that differ are taken for one once in billions of times;
    /// then a definition waits for another event that shows it.
    pub hash: u64,
    /// How many definitions there are at most.
    pub definitions: usize,
}

impl Outline {
    /// The outline of a row; `group` is [`crate::Folded::group_type_index`].
    pub fn of(row: &EventRow, group: Option<u8>) -> Self {
        let mut hash = mix(event::properties::hash(&row.event), u64::from(group.unwrap_or(u8::MAX)));
        for (name, value) in row.properties.hashed() {
            hash = mix(hash, name ^ u64::from(is_typed(value)));
        }
        let mut inner = 0;
        for key in [property::SET, property::SET_ONCE, property::GROUP_SET] {
            hash = mix(hash, inner as u64);
            for (name, value) in row.properties.get(key).into_iter().flat_map(Json::fields) {
                hash = mix(hash, event::properties::hash(&name) ^ u64::from(is_typed(value)));
                inner += usize::from(key != property::GROUP_SET);
            }
        }
        Self { hash, definitions: 1 + 2 * row.properties.len() + inner }
    }
}

/// Whether a value tells the type of its property.
fn is_typed(value: Json<'_>) -> bool {
    !value.text().starts_with(['n', '[', '{'])
}

fn mix(hash: u64, with: u64) -> u64 {
    (hash ^ with).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}
