//! How names and types of the question become those of the tables.

mod coerce;
mod promote;

pub(crate) use coerce::Coerce;
pub(crate) use promote::Promote;
