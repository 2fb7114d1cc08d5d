//! Recorded items of a browser or a phone become stored blocks, each with a summary of what happened in it.
//!
//! Takes: the items of one session as raw JSON text, and when they were received.
//! Gives: a [`Block`]: compressed lines, a [`Summary`] for the index, console lines.
//! Never: changes a byte inside an item (players depend on it), reads a clock, touches a file.

mod active;
pub mod block;
pub mod console;
pub mod item;
pub mod limit;
pub mod location;
mod object;
mod rrweb;
pub mod summary;

pub use block::{Block, Console, Message, Writer};
pub use console::{Level, LogLine};
pub use item::{Checked, Dropped, Item};
pub use location::Location;
pub use summary::{BlockRow, Origin, Summary};
