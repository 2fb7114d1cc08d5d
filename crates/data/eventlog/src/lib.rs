//! Keeps records, in order, from the moment a request is acknowledged until a table holds them.
//!
//! Takes: opaque payloads ([`EventLog::append`]) and the offset below which they are needed no
//! more ([`EventLog::release`]).
//! Gives: an [`Offset`] once a record is on disk, and the durable records in order
//! ([`EventLog::read`], [`EventLog::subscribe`]).
//! Never: acknowledges before the flush returned, retries a failed flush, reads past damage, or
//! looks inside a record.
//!
//! One [`EventLog`] value is one log partition; several partitions are several values, side by side in
//! [`Partitions`]. The local implementation is [`Segments`]: a writer thread that gives everything waiting one
//! write and one `fdatasync` (group commit), into preallocated segment files. The shared one is a topic of a
//! Kafka-protocol broker (`kafka.rs`, feature `kafka`).
//!
//! | to change | open |
//! |---|---|
//! | what a log promises | `contract.rs` |
//! | bytes on disk | `segment.rs` (files), `batch.rs` (what one write holds) |
//! | what is flushed when, rotation, space | `journal.rs` |
//! | compression of small records | `pack.rs` |
//! | what happens at open | `recover.rs` |
//! | waiting, limits, the thread | `queue.rs`, `writer.rs` |
//! | which partition a project is in | `partitions.rs` |
//! | a topic as a log | `kafka.rs` |

mod batch;
mod contract;
pub mod disk;
mod error;
mod extent;
mod journal;
#[cfg(feature = "kafka")]
pub mod kafka;
mod local;
mod pack;
mod partitions;
mod queue;
mod read;
mod record;
mod recover;
mod segment;
mod settings;
mod window;
mod writer;

pub use contract::{Append, EventLog, Stats};
pub use error::{Error, Kind, Result};
pub use extent::{Extent, is_segment, measure};
pub use local::Segments;
pub use partitions::{Growth, Partitions};
pub use record::{Offset, Payload, Record};
pub use settings::Settings;

#[cfg(test)]
mod tests;
