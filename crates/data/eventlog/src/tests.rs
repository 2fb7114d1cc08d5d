//! The promises of the log, kept under crashes, failing calls and flipped bits.

mod anomaly;
mod damage;
mod model;
mod service;
mod space;
mod torture;
