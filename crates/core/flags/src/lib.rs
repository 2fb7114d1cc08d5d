//! Feature flags: what is stored is compiled once and then evaluated for one subject at a time.
//!
//! Takes: [`Flag`]s and [`Cohort`]s of a project, and a [`Subject`] with everything that is known about it. Gives: a
//! [`Decision`] for each flag, the bodies that SDKs expect, and the feed they evaluate from themselves.
//! Never: reads a clock or a store, nor compiles anything while it evaluates.
//!
//! Rules come from PostHog's flag service as described in its sources; where they surprise, the comment says "as
//! PostHog".

pub mod answer;
mod cohort;
mod condition;
mod date;
mod decision;
mod definition;
mod dependency;
mod evaluate;
mod fault;
pub mod feed;
mod filter;
pub mod hash;
mod number;
mod operator;
mod property;
mod runtime;
mod scope;
mod set;
mod subject;
mod text;
mod version;

pub use cohort::Cohort;
pub use decision::{Decision, Reason};
pub use definition::{Flag, Mapping};
pub use fault::Fault;
pub use runtime::Runtime;
pub use scope::Scope;
pub use set::{FlagSet, Matching, Needs, Project};
pub use subject::{Groups, Person, Subject};

#[cfg(test)]
mod tests;
