//! How long a visitor was active.

use crate::limit::IDLE_MS;

/// One moment: when, and whether the visitor did something then.
pub(crate) type Moment = (f64, bool);

/// Milliseconds of activity among `moments`, in any order.
///
/// Time is cut into segments. A segment ends when activity begins after silence, or when nothing
/// active happened for [`IDLE_MS`]. Segments that began with activity count, each at least 1 ms.
pub(crate) fn milliseconds(mut moments: Vec<Moment>) -> u64 {
    moments.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut total = 0.0;
    let mut segment: Option<(f64, f64, bool)> = None;
    let mut last_active: Option<f64> = None;
    for (at, active) in moments {
        let begins = match segment {
            None => true,
            Some((_, _, true)) => last_active.is_some_and(|last| last + IDLE_MS < at),
            Some((_, _, false)) => active,
        };
        if begins {
            total += length(segment.replace((at, at, active)));
        } else if let Some(current) = &mut segment {
            current.1 = at;
        }
        if active {
            last_active = Some(at);
        }
    }
    (total + length(segment)) as u64
}

fn length(segment: Option<(f64, f64, bool)>) -> f64 {
    match segment {
        Some((start, end, true)) => (end - start).max(1.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::milliseconds;
    use proptest::prelude::*;

    #[test]
    fn vectors() {
        let cases: &[(&[(f64, bool)], u64)] = &[
            (&[], 0),
            (&[(500.0, true)], 1),
            (&[(0.0, false), (100.0, false)], 0),
            (
                &[
                    (0.0, false),
                    (1000.0, true),
                    (3000.0, false),
                    (4000.0, true),
                    (12000.0, false),
                    (13000.0, true),
                ],
                3001,
            ),
            // exactly the pause still belongs to the segment
            (&[(0.0, true), (5000.0, false)], 5000),
            (&[(0.0, true), (5001.0, false)], 1),
            // silence of inactive events does not extend the pause
            (&[(0.0, true), (3000.0, false), (6000.0, false)], 3000),
            // order does not matter
            (&[(2000.0, true), (1000.0, true)], 1000),
            (&[(0.0, true), (1.5, true)], 1),
        ];
        for (moments, expected) in cases {
            assert_eq!(milliseconds(moments.to_vec()), *expected, "{moments:?}");
        }
    }

    proptest! {
        #[test]
        fn never_longer_than_the_recording(moments in prop::collection::vec((0.0..1e6f64, any::<bool>()), 1..60)) {
            let first = moments.iter().map(|m| m.0).fold(f64::MAX, f64::min);
            let last = moments.iter().map(|m| m.0).fold(0.0, f64::max);
            let active = moments.iter().filter(|m| m.1).count() as f64;
            prop_assert!(milliseconds(moments) as f64 <= (last - first) + active.max(0.0));
        }
    }
}
