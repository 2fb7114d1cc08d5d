//! Backups of a data folder: a moment of all its parts, kept elsewhere, and put back.
//!
//! Takes: a data folder, which a server may be using. Gives: backups in a folder or an object store, and data folders
//! made of them, anywhere.
//! Never: stops a server, changes what it has, or shows a backup that is not whole.
//!
//! | to change | open |
//! |---|---|
//! | which files of which moment belong together | `point.rs` |
//! | what a backup says about itself | `manifest.rs` |
//! | copying, and what is not copied again | `save.rs` |
//! | where backups lie | `target.rs`, `target/` |
//! | putting one back | `restore.rs` |
//! | finding damage | `verify.rs` |

mod error;
mod manifest;
mod point;
mod prune;
mod restore;
mod save;
mod source;
mod target;
mod verify;

pub use error::{Error, Kind, Result};
pub use manifest::{Entry, FORMAT, Manifest, Part, Piece, Point};
pub use point::{About, Held, Store, take};
pub use prune::{Pruned, prune};
pub use restore::{MARKER, restore};
pub use save::{Saved, save};
pub use source::{Origin, Sink, Source};
pub use target::Target;
pub use verify::{Verified, verify};

/// How far long work has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files done.
    pub files: usize,
    /// Files in all.
    pub of_files: usize,
    /// Bytes done.
    pub bytes: u64,
    /// Bytes in all.
    pub of_bytes: u64,
}

/// Hears of [`Progress`].
pub type Listener<'a> = &'a mut (dyn FnMut(Progress) + Send);
