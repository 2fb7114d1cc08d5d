//! How many bytes of requests are in memory at once, and how many large ones are worked on at once.
//!
//! Bodies are counted while they arrive and again when they are unpacked, until their request is answered. Who finds no
//! room is told to come back; nobody waits for room while holding some, so nothing can lock up.

use event::Rejection;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that hold no more than this may use all of the room; larger ones leave an eighth of it to them.
const SMALL: usize = 64 * 1024;
/// How long a large request waits for others of its kind.
const WAIT: Duration = Duration::from_secs(2);

/// The room that all requests share.
#[derive(Debug)]
pub struct Inflight {
    used: AtomicUsize,
    most: usize,
    turns: Arc<Semaphore>,
    wait: Duration,
}

impl Inflight {
    /// Room for `most` bytes, and `turns` large requests unpacked and parsed at one time: those need memory before it
    /// can be counted, because only unpacking tells how much.
    pub fn new(most: usize, turns: usize) -> Self {
        Self { used: AtomicUsize::new(0), most, turns: Arc::new(Semaphore::new(turns.max(1))), wait: WAIT }
    }

    /// Bytes held now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes `more` bytes for one that holds `has`. A request that is alone always fits: its own limits bound it.
    fn take(&self, has: usize, more: usize) -> bool {
        let most = if has + more <= SMALL { self.most } else { self.most - self.most / 8 };
        let fits = |used: usize| (used + more <= most || used == has).then_some(used + more);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }
}

/// What one request holds; given back when dropped. The default holds nothing and has no bound.
#[derive(Debug, Default)]
pub struct Hold {
    of: Option<Arc<Inflight>>,
    bytes: AtomicUsize,
    turn: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Hold {
    /// An empty hold on this room.
    pub fn of(room: &Arc<Inflight>) -> Self {
        Self { of: Some(room.clone()), bytes: AtomicUsize::new(0), turn: Mutex::new(None) }
    }

    /// Counts `more` bytes.
    ///
    /// # Errors
    /// `Retry` when there is no room for them.
    pub fn grow(&self, more: usize) -> Result<(), Rejection> {
        let Some(room) = &self.of else { return Ok(()) };
        if !room.take(self.bytes.load(Ordering::Relaxed), more) {
            telemetry::http::shed("no_room");
            return Err(Rejection::Retry);
        }
        self.bytes.fetch_add(more, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until a large request may be worked on.
    ///
    /// # Errors
    /// `Retry` when the others take too long.
    pub async fn begin_turn(&self) -> Result<(), Rejection> {
        let Some(room) = &self.of else { return Ok(()) };
        let turn = tokio::time::timeout(room.wait, room.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            telemetry::http::shed("no_turn");
            return Err(Rejection::Retry);
        };
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = Some(turn);
        Ok(())
    }

    /// Lets the next large request begin.
    pub(crate) fn end_turn(&self) {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(room) = &self.of {
            room.used.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_is_taken_is_given_back() {
        let room = Arc::new(Inflight::new(8 * MIB, 1));
        let (one, two) = (Hold::of(&room), Hold::of(&room));
        assert!(one.grow(4 * MIB).is_ok() && two.grow(3 * MIB).is_ok());
        assert_eq!(two.grow(1), Err(Rejection::Retry), "large ones leave an eighth");
        let small = Hold::of(&room);
        assert!(small.grow(SMALL).is_ok());
        assert_eq!(room.used(), 7 * MIB + SMALL);
        drop((one, small));
        assert!(two.grow(4 * MIB).is_ok());
        drop(two);
        assert_eq!(room.used(), 0);
    }

    #[test]
    fn a_request_that_is_alone_always_fits() {
        let room = Arc::new(Inflight::new(MIB, 1));
        let one = Hold::of(&room);
        assert!(one.grow(20 * MIB).is_ok() && one.grow(50 * MIB).is_ok());
        assert_eq!(Hold::of(&room).grow(1), Err(Rejection::Retry));
        assert!(Hold::default().grow(usize::MAX).is_ok());
    }

    #[tokio::test]
    async fn large_requests_take_turns() {
        let room = Arc::new(Inflight { wait: Duration::from_millis(10), ..Inflight::new(MIB, 1) });
        let (one, two) = (Hold::of(&room), Hold::of(&room));
        assert!(one.begin_turn().await.is_ok());
        assert_eq!(two.begin_turn().await, Err(Rejection::Retry));
        one.end_turn();
        assert!(two.begin_turn().await.is_ok());
        drop(two);
        assert!(one.begin_turn().await.is_ok(), "dropping ends a turn");
    }
}
