//! PostHog's protocol, bytes to types and back: encodings, capture v0 and v1, replay, AI, remote config, exact answers.
//!
//! Takes: the parts of an HTTP request as bytes and text. Gives: borrowed [`event::RawEvent`]s, or a
//! [`event::Rejection`] and the answer for it.
//! Never: grows past a byte budget it was given; reads a clock, a socket or the environment.

pub mod ai;
pub mod answer;
pub mod capture;
pub mod capture_query;
mod capture_visit;
pub mod encoding;
pub mod encoding_form;
mod encoding_inflate;
mod encoding_lz;
pub mod json;
mod object;
pub mod otel;
pub mod remote_config;
pub mod replay;
mod replay_properties;
pub mod v1;
