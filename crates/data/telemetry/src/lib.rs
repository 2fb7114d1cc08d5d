//! Names every number Tenrec reports and keeps secrets out of what it prints.
//!
//! Takes: typed calls such as [`capture::events_ingested`], at the place where the fact is known.
//! Gives: Prometheus text ([`install`], [`Handle::render`]), the table of names ([`METRICS`]),
//! [`Secret`] and [`mask`] for anything that may reach a log, and [`fail_point!`] for crash tests.
//! Never: opens a socket, reads the environment, or lets another crate spell a metric name.
//!
//! To add a metric: one constant and one function in the file of its area, and the constant in
//! that file's `TABLE`. The reference page is generated from [`METRICS`].

pub mod capture;
mod export;
pub mod fault;
pub mod http;
pub mod log;
mod metric;
pub mod process;
pub mod pump;
pub mod query;
mod redact;
mod register;
pub mod table;

pub use export::{Handle, install};
pub use metric::{Kind, Metric, Unit};
pub use redact::{Secret, mask};
pub use register::{METRICS, describe_all};
