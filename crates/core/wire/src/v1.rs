//! Capture v1: one batch per request, one result per event.
//!
//! The door calls [`headers`], [`decode`], [`parse`] and [`verdicts`], stores the JSON and answers with
//! [`results`]; between decoding and parsing the bytes go through [`crate::json::clean`]. Whoever reads the log calls
//! [`accepted`], which goes through the same functions, so that it finds exactly the events the client was told about.
//!
//! # Compat
//! Header rules, tags and results of PostHog `rust/capture/src/v1/` (context, error, analytics/types and
//! process). Descriptions are our own words. Differences: exhausted quotas drop event by event instead of
//! refusing the request, and clock skew below the deadband of v0 is believed here too.

pub mod answer;
pub mod batch;
pub mod body;
pub mod capture;
pub mod error;
pub mod head;
pub mod instant;
pub mod options;
pub mod verdict;

pub use answer::results;
pub use batch::{Batch, Event, parse};
pub use body::{Encoding, decode};
pub use capture::{Accepted, accepted, capture};
pub use error::Error;
pub use head::{Head, headers, request_id};
pub use options::Options;
pub use verdict::{BILLING_LIMIT, Outcome, Verdict, quota, verdicts};

#[cfg(test)]
mod tests;
