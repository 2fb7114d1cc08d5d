//! A moment for other programs. Whoever changes a table through the catalog reads it, writes files and only then
//! commits; a server that commits and merges all the time would refuse that for ever.
//!
//! So a refused change opens a turn: for a few seconds this program leaves its tables alone where it can wait, until the
//! other's next change is in. Half of the time stays its own, however many changes are refused.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// Longest turn: time for another program to read a table again and to write its change.
const LONGEST: Duration = Duration::from_secs(5);
/// Time after a turn in which no other begins, at least.
const SHORTEST_REST: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Turn(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When the last turn began.
    began: Option<Instant>,
    /// When somebody's change ended it early.
    taken: Option<Instant>,
}

impl State {
    fn end(&self) -> Option<Instant> {
        let latest = self.began? + LONGEST;
        Some(self.taken.map_or(latest, |taken| taken.min(latest)))
    }

    fn may_begin(&self, now: Instant) -> bool {
        let (Some(began), Some(end)) = (self.began, self.end()) else { return true };
        now >= end + (end - began).max(SHORTEST_REST)
    }
}

impl Turn {
    /// A change of another program was refused because the table had moved on.
    pub(crate) fn refused(&self, now: Instant) {
        let mut state = self.0.lock();
        if state.may_begin(now) {
            *state = State { began: Some(now), taken: None };
        }
    }

    /// A change of another program is in.
    pub(crate) fn taken(&self, now: Instant) {
        let mut state = self.0.lock();
        if state.began.is_some() {
            state.taken.get_or_insert(now);
        }
    }

    /// When the turn ends, while there is one.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.0.lock().end().filter(|end| now < *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_refused_change_opens_a_turn_that_ends_by_itself() {
        let (turn, start) = (Turn::default(), Instant::now());
        assert_eq!(turn.until(start), None);
        turn.refused(start);
        assert_eq!(turn.until(start), Some(start + LONGEST));
        assert_eq!(turn.until(start + LONGEST), None);
    }

    #[test]
    fn a_change_that_got_in_ends_it() {
        let (turn, start) = (Turn::default(), Instant::now());
        turn.taken(start);
        assert_eq!(turn.until(start), None);
        turn.refused(start);
        turn.taken(start + SECOND);
        assert_eq!(turn.until(start + SECOND / 2), Some(start + SECOND));
        assert_eq!(turn.until(start + SECOND), None);
    }

    #[test]
    fn half_of_the_time_is_nobodys_turn() {
        let (turn, start) = (Turn::default(), Instant::now());
        turn.refused(start);
        turn.refused(start + LONGEST + SECOND);
        assert_eq!(turn.until(start + LONGEST + SECOND), None, "it rests as long as the turn was");
        turn.refused(start + 2 * LONGEST);
        assert_eq!(turn.until(start + 2 * LONGEST), Some(start + 3 * LONGEST));
    }

    #[test]
    fn a_turn_that_was_taken_at_once_is_followed_by_a_short_rest() {
        let (turn, start) = (Turn::default(), Instant::now());
        turn.refused(start);
        turn.taken(start);
        turn.refused(start + SHORTEST_REST / 2);
        assert_eq!(turn.until(start + SHORTEST_REST / 2), None);
        turn.refused(start + SHORTEST_REST);
        assert!(turn.until(start + SHORTEST_REST).is_some());
    }
}
