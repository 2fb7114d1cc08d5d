//! The real server as a child process, and deterministic traffic for it.
//!
//! Takes: a built `tenrec` binary, a seed. Gives: [`Server`], [`Api`], [`workload`] bodies.
//! Never: is part of what users run; nothing outside tests and xtask depends on it.

// One page view is one large `json!`.
#![recursion_limit = "256"]

pub mod api;
pub mod binary;
pub mod number;
pub mod port;
pub mod scratch;
pub mod server;
pub mod workload;

pub use api::Api;
pub use binary::{Profile, build, build_floor};
pub use number::Numbers;
pub use port::free_port;
pub use scratch::scratch;
pub use server::Server;
