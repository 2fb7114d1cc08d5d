//! Who did it: persons, merges, groups and definitions as one fold over captured events.
//!
//! Takes: [`State`] of one project and a [`event::CapturedEvent`]. Gives: rows for the tables and the changed state.
//! Never: reads a clock or a store; what it needs is asked for with [`State::missing`] and given with [`State::insert`].

pub mod cookieless;
mod cost;
pub mod definition;
pub mod elements;
pub mod fold;
mod group;
mod heatmap;
mod js;
mod map;
mod merge;
mod normalize;
pub mod person_id;
mod profile;
mod promote;
mod restriction;
pub mod row;
pub mod rules;
mod size;
pub mod state;
mod subject;
mod update;
mod validate;
pub mod verdict;

pub use definition::{Definitions, Seen};
pub use fold::{Folded, fold};
pub use person_id::person_id;
pub use row::{EventRow, GroupRow, HeatmapRow, MappingRow, PersonMode, PersonRow};
pub use rules::{Action, ModelPrice, Restriction, Rules};
pub use state::{Changes, Group, Loaded, Mapping, Needs, Person, State};
pub use verdict::{DeadLetter, Drop};

#[cfg(test)]
mod tests;
