//! Named points in the code where a crash test may strike.
//!
//! [`crate::fail_point!`] marks a point with a literal name, `"<crate>.<what just happened>"`.
//! Without the feature `failpoints` it expands to nothing. With it, a test arms a name with an
//! action: end the process, panic, wait, count. The names in the code are the list of points: `cargo xtask tidy`
//! compares it with `xtask/src/torture/points.txt`, and `cargo xtask torture R1b` kills the server at each.
//!
//! Home-made because the registry crate for it has had no release since 2022 and brings its own
//! random number generator into release builds.

/// Marks a point a crash test can strike; expands to nothing without the feature `failpoints`.
#[cfg(feature = "failpoints")]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {
        $crate::fault::strike($name)
    };
}

/// Marks a point a crash test can strike; expands to nothing without the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
#[macro_export]
macro_rules! fail_point {
    ($name:literal) => {{}};
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, disarm_all, hits, strike, watch};

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

    type Action = Arc<dyn Fn() + Send + Sync>;
    type Watcher = Box<dyn Fn(&'static str) + Send + Sync>;

    #[derive(Default)]
    struct Point {
        hits: u64,
        skip: u64,
        action: Option<Action>,
    }

    static POINTS: Mutex<BTreeMap<&'static str, Point>> = Mutex::new(BTreeMap::new());
    static WATCHER: OnceLock<Watcher> = OnceLock::new();

    fn points() -> MutexGuard<'static, BTreeMap<&'static str, Point>> {
        POINTS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `action` each time the point is passed, after letting the first `skip` pass.
    ///
    /// The action runs on the thread that passed the point, with no lock of this module held.
    pub fn arm(name: &'static str, skip: u64, action: impl Fn() + Send + Sync + 'static) {
        let mut points = points();
        let point = points.entry(name).or_default();
        point.skip = skip;
        point.action = Some(Arc::new(action));
    }

    /// Tells `watcher` of each point when it is passed for the first time; only the first call of this counts.
    ///
    /// It is told before the point's own action runs, on the thread that passed the point.
    pub fn watch(watcher: impl Fn(&'static str) + Send + Sync + 'static) {
        let _ = WATCHER.set(Box::new(watcher));
    }

    /// Takes every action away; the counts stay.
    pub fn disarm_all() {
        points().values_mut().for_each(|point| point.action = None);
    }

    /// Lists every point passed since the process started, with how often.
    pub fn hits() -> Vec<(&'static str, u64)> {
        points().iter().filter(|(_, point)| point.hits > 0).map(|(name, point)| (*name, point.hits)).collect()
    }

    /// Passes a point; called by [`crate::fail_point!`].
    pub fn strike(name: &'static str) {
        let (first, action) = {
            let mut points = points();
            let point = points.entry(name).or_default();
            point.hits += 1;
            let first = point.hits == 1;
            let action = if point.action.is_some() && point.skip > 0 {
                point.skip -= 1;
                None
            } else {
                point.action.clone()
            };
            (first, action)
        };
        if let Some(watcher) = WATCHER.get().filter(|_| first) {
            watcher(name);
        }
        if let Some(action) = action {
            action();
        }
    }

    #[cfg(test)]
    mod tests {
        use std::sync::atomic::{AtomicU32, Ordering};

        use super::*;

        #[test]
        fn an_armed_point_strikes_after_the_skipped_passes() {
            static STRUCK: AtomicU32 = AtomicU32::new(0);
            static SEEN: AtomicU32 = AtomicU32::new(0);
            watch(|name| {
                assert_eq!(name, "telemetry.test");
                SEEN.fetch_add(1, Ordering::SeqCst);
            });
            arm("telemetry.test", 2, || {
                STRUCK.fetch_add(1, Ordering::SeqCst);
            });
            for _ in 0..5 {
                crate::fail_point!("telemetry.test");
            }
            assert_eq!(STRUCK.load(Ordering::SeqCst), 3);
            assert_eq!(SEEN.load(Ordering::SeqCst), 1, "told once");
            assert!(hits().contains(&("telemetry.test", 5)));
            disarm_all();
            crate::fail_point!("telemetry.test");
            assert_eq!(STRUCK.load(Ordering::SeqCst), 3);
        }
    }
}
