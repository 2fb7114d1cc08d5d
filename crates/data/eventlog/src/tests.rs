//! The promises of the log, kept under crashes, failing calls and flipped bits.

mod anomaly;
mod damage;
#[cfg(feature = "kafka")]
mod kafka;
mod model;
mod service;
mod space;
mod torture;
