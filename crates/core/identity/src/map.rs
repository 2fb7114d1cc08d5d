//! Hashed maps for what senders name: fast, and seeded so that nobody can choose names that collide.
//!
//! The seed differs from process to process, as that of the standard map does; nothing here depends on the order of
//! a hashed map, so the same events give the same rows under any seed.

use foldhash::fast::RandomState;
use std::collections::{HashMap, HashSet};

/// A map whose order means nothing.
pub type Map<K, V> = HashMap<K, V, RandomState>;
/// A set whose order means nothing.
pub type Set<T> = HashSet<T, RandomState>;
