//! The words every other crate speaks: an event as it arrived, as it was captured, and why one was refused.
//!
//! Takes: fields of a request that `wire` has decoded. Gives: [`CapturedEvent`] or a [`Rejection`].
//! Never: reads a clock, a file, the environment or randomness; time and seeds are arguments.

mod canonical;
pub mod captured;
pub mod distinct_id;
pub mod enrich;
pub mod event_id;
pub mod event_size;
mod fold_root;
pub mod id;
pub mod json;
pub mod limit;
pub mod name;
pub mod normalize;
pub mod peek;
pub mod place;
pub mod properties;
pub mod raw;
pub mod reach;
pub mod received;
pub mod rejection;
pub mod resource;
pub mod scan;
pub mod timestamp;
pub mod token;
pub mod warning;

pub use captured::CapturedEvent;
pub use id::{ProjectId, ProjectKey};
pub use json::Json;
pub use place::Place;
pub use properties::Properties;
pub use raw::RawEvent;
pub use reach::{Reach, Spot};
pub use received::{Received, Route};
pub use rejection::Rejection;
pub use resource::Resource;
pub use warning::Warning;
