//! The recorded requests of `fixtures/capture/cases.json`, as far as no server is needed to decide them, and
//! laws that every input must keep.

#![expect(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

mod cases;
mod laws;
