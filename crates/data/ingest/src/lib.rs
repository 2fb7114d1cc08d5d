//! The way of an event through the server: accepted at the door, stored in the log, folded by the pump.
//!
//! Takes: decoded requests and the log. Gives: receipts (durable before they are given) and table rows.
//! Never: speaks HTTP, reads the environment, or answers before the log has synced.

pub mod accept;
pub mod blocks;
pub mod bodies;
pub mod commit;
pub mod definitions;
pub mod directory;
pub mod error;
pub mod geo;
pub mod inflight;
pub mod landing;
pub mod letters;
pub mod outcome;
pub mod patience;
pub mod pump;
pub mod record;
pub mod recordings;
pub mod salts;
pub mod seen;
pub mod seen_run;
pub mod working;

pub use accept::{Arrival, Door, Receipt};
pub use directory::{Directory, TokenMode};
pub use error::{Error, Kind};
pub use inflight::{Hold, Inflight};
pub use pump::Pump;
