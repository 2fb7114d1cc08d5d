//! The one door of requests to addresses that a user gave, such as the address of a webhook.
//!
//! Takes: a [`Request`] and the operator's [`Settings`]. Gives: an [`Answer`], or why there is none.
//! Never: connects to an address that was not looked at, follows a redirect unseen, reads without end, uses a proxy of the
//! environment, unpacks an answer. Endpoints that the operator gave are not its business: they may be private.

mod address;
mod client;
mod error;
mod names;
mod policy;
#[cfg(test)]
mod tests;

pub use client::{Answer, Client, Request};
pub use error::{Error, Kind, Reason, Result};
pub use policy::Settings;
