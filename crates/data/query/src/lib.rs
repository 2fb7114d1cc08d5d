//! Answers SQL over the tables: committed Iceberg snapshots and the fresh tail, read as one.
//!
//! Takes: one SQL statement, one project, the time it is asked at, and a [`Lake`] to read.
//! Gives: an [`Answer`] of bounded size, or an [`Error`] in words a person can act on.
//! Never: writes, shows one project's rows to another, reads a file or an address named in SQL,
//! runs longer or larger than its [`Limits`].

pub mod answer;
mod catalog;
mod engine;
mod error;
mod function;
mod lake;
mod limit;
mod plan;
mod provider;
mod prune;
mod session;
mod shelf;
mod sql;
mod suggest;
mod view;
mod warehouse;

pub use answer::Answer;
pub use engine::{Engine, Request};
pub use error::{Error, Kind, Problem};
pub use lake::{DataFile, Lake, Relation, Snapshot};
pub use limit::Limits;
#[cfg(feature = "fuzzing")]
pub use sql::examine;
