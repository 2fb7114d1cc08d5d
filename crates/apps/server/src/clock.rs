//! The wall clock and randomness of the process, in one place, so that everything below takes them as arguments.

use jiff::Timestamp;
use rand::Rng;

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The system's.
    System,
    /// Stands still, for conformance runs.
    Fixed(Timestamp),
}

impl Clock {
    /// The time now.
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(at) => at,
        }
    }

    /// A clock from the setting: empty is the system's.
    pub fn from_setting(fixed: &str) -> Self {
        fixed.parse().map_or(Self::System, Self::Fixed)
    }
}

/// A random number for one request.
pub fn seed() -> u64 {
    rand::rng().random()
}
