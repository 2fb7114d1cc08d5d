//! Named points in the code where a crash test may strike.
//!
//! [`crate::fail_point!`] marks a point with a literal name, `"<crate>.<what just happened>"`.
//! Without the feature `failpoints` it expands to nothing. With it, a test arms a name with an
//! action: end the process, panic, wait, count. The names in the code are the list of points; a
//! search for `fail_point!("` finds them all.
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
pub use armed::{arm, disarm_all, hits, strike};

#[cfg(feature = "failpoints")]
mod armed {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    type Action = Arc<dyn Fn() + Send + Sync>;

    #[derive(Default)]
    struct Point {
        hits: u64,
        skip: u64,
        action: Option<Action>,
    }

    static POINTS: Mutex<BTreeMap<&'static str, Point>> = Mutex::new(BTreeMap::new());

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
        let action = {
            let mut points = points();
            let point = points.entry(name).or_default();
            point.hits += 1;
            if point.action.is_some() && point.skip > 0 {
                point.skip -= 1;
                None
            } else {
                point.action.clone()
            }
        };
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
            arm("telemetry.test", 2, || {
                STRUCK.fetch_add(1, Ordering::SeqCst);
            });
            for _ in 0..5 {
                crate::fail_point!("telemetry.test");
            }
            assert_eq!(STRUCK.load(Ordering::SeqCst), 3);
            assert!(hits().contains(&("telemetry.test", 5)));
            disarm_all();
            crate::fail_point!("telemetry.test");
            assert_eq!(STRUCK.load(Ordering::SeqCst), 3);
        }
    }
}
