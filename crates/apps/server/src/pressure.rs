//! How much is asked of the server at the moment, and what it does about it: patience shrinks when connections run out,
//! and what cannot be answered in time is refused before work is put into it.

use ingest::{Hold, Inflight};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// In a crowd patience is this part of the usual.
const IMPATIENCE: u32 = 10;
/// The door may be this late before it refuses: a request that waits longer than twice this is late for its client.
const LATE_US: usize = 80_000;
/// With fewer requests than this at once, lateness is not of their making.
const FEW: usize = 64;
/// How often lateness is measured when there are many requests, and when there are few.
const STEP: Duration = Duration::from_millis(20);
const IDLE_STEP: Duration = Duration::from_millis(500);

/// Counts of what is going on.
#[derive(Debug)]
pub struct Pressure {
    connections: AtomicUsize,
    most_connections: usize,
    requests: AtomicUsize,
    /// Microseconds that a task waits for its turn, smoothed.
    late_us: AtomicUsize,
    turned: AtomicUsize,
    room: Arc<Inflight>,
}

impl Pressure {
    /// For so many connections and so many bytes of requests in memory.
    pub fn new(most_connections: usize, inflight_bytes: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            connections: AtomicUsize::new(0),
            most_connections,
            requests: AtomicUsize::new(0),
            late_us: AtomicUsize::new(0),
            turned: AtomicUsize::new(0),
            room: Arc::new(Inflight::new(inflight_bytes, cores)),
        }
    }

    /// Counts a connection until the guard is dropped.
    pub fn connect(self: &Arc<Self>) -> Counted {
        Counted::one(self, |pressure| &pressure.connections)
    }

    /// Counts a request until the guard is dropped: one that has arrived whole, since those that are still on their
    /// way cost no time.
    pub fn begin(self: &Arc<Self>) -> Counted {
        Counted::one(self, |pressure| &pressure.requests)
    }

    /// An empty hold on the room that all requests share.
    pub fn hold(&self) -> Hold {
        Hold::of(&self.room)
    }

    /// Bytes of requests in memory.
    pub fn inflight_bytes(&self) -> usize {
        self.room.used()
    }

    /// How long a client that keeps us waiting is waited for: a tenth of `usual` when three quarters of the connections
    /// are taken, so that those who do nothing make room for those who do.
    pub fn patience(&self, usual: Duration) -> Duration {
        let crowded = self.connections.load(Ordering::Relaxed) >= self.most_connections.div_ceil(4) * 3;
        if crowded && self.most_connections >= FEW { usual / IMPATIENCE } else { usual }
    }

    /// Whether this request is to be refused, so that the others are answered in time: of all, the part that is more
    /// than what can be done.
    pub fn refuses(&self) -> bool {
        let late = self.late_us.load(Ordering::Relaxed);
        if late <= LATE_US || self.requests.load(Ordering::Relaxed) < FEW {
            return false;
        }
        // Spread evenly: every n-th is taken, n being how many times too late we are.
        let turned = self.turned.fetch_add(LATE_US, Ordering::Relaxed) % late;
        let refuses = turned >= LATE_US;
        if refuses {
            telemetry::http::shed("overload");
        }
        refuses
    }
}

/// Measures, for as long as there is something to measure for, how late a task of this runtime gets its turn.
pub async fn measure(pressure: Weak<Pressure>) {
    loop {
        let Some(many) = pressure.upgrade().map(|now| now.requests.load(Ordering::Relaxed) >= FEW) else {
            return;
        };
        let step = if many { STEP } else { IDLE_STEP };
        let begun = Instant::now();
        tokio::time::sleep(step).await;
        let late = begun.elapsed().saturating_sub(step).as_micros();
        let Some(pressure) = pressure.upgrade() else { return };
        let late = usize::try_from(late).unwrap_or(usize::MAX).min(10_000_000);
        let before = pressure.late_us.load(Ordering::Relaxed);
        pressure.late_us.store((before * 2 + late) / 3, Ordering::Relaxed);
        telemetry::http::inflight(pressure.inflight_bytes() as u64);
    }
}

/// One more, until dropped.
#[derive(Debug)]
pub struct Counted {
    pressure: Arc<Pressure>,
    which: fn(&Pressure) -> &AtomicUsize,
}

impl Counted {
    fn one(pressure: &Arc<Pressure>, which: fn(&Pressure) -> &AtomicUsize) -> Self {
        which(pressure).fetch_add(1, Ordering::Relaxed);
        Self { pressure: pressure.clone(), which }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.which)(&self.pressure).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_shrinks_in_a_crowd() {
        let pressure = Arc::new(Pressure::new(100, 1 << 20));
        let usual = Duration::from_secs(10);
        let mut open: Vec<_> = (0..74).map(|_| pressure.connect()).collect();
        assert_eq!(pressure.patience(usual), usual);
        open.push(pressure.connect());
        assert_eq!(pressure.patience(usual), Duration::from_secs(1));
        drop(open);
        assert_eq!(pressure.patience(usual), usual);
    }

    #[test]
    fn what_is_too_much_is_refused_and_no_more() {
        let pressure = Arc::new(Pressure::new(100, 1 << 20));
        pressure.late_us.store(4 * LATE_US, Ordering::Relaxed);
        assert!(!pressure.refuses(), "few requests do not make a server late");
        let _busy: Vec<_> = (0..FEW).map(|_| pressure.begin()).collect();
        let refused = (0..1000).filter(|_| pressure.refuses()).count();
        assert_eq!(refused, 750);
        pressure.late_us.store(LATE_US, Ordering::Relaxed);
        assert!((0..1000).all(|_| !pressure.refuses()));
    }
}
