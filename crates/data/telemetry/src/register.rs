//! The one table of all metrics, put together from the areas' own tables.

use crate::{Kind, Metric, Unit, capture, http, log, process, pump, query, table};

const PARTS: &[&[Metric]] =
    &[http::TABLE, capture::TABLE, log::TABLE, pump::TABLE, table::TABLE, query::TABLE, process::TABLE];

const COUNT: usize = {
    let (mut part, mut count) = (0, 0);
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
};

const ALL: [Metric; COUNT] = {
    let mut all = [PARTS[0][0]; COUNT];
    let (mut part, mut at) = (0, 0);
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            all[at] = PARTS[part][row];
            at += 1;
            row += 1;
        }
        part += 1;
    }
    all
};

/// Every metric of the process; the reference page is generated from it.
pub const METRICS: &[Metric] = &ALL;

/// Tells the installed recorder the help text and unit of every metric.
///
/// [`crate::install`] does it; call it only after installing another recorder.
pub fn describe_all() {
    for metric in METRICS {
        let unit = match metric.unit {
            Unit::Bytes => metrics::Unit::Bytes,
            Unit::Seconds => metrics::Unit::Seconds,
            Unit::Count | Unit::Ratio => metrics::Unit::Count,
        };
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, unit, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_well_formed() {
        let mut seen = std::collections::BTreeSet::new();
        for metric in METRICS {
            assert!(seen.insert(metric.name), "{} is listed twice", metric.name);
            assert!(
                metric.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{}",
                metric.name
            );
            assert!(
                ["tenrec_", "capture_", "posthog_", "http_", "process_"]
                    .iter()
                    .any(|prefix| metric.name.starts_with(prefix)),
                "{} has no known prefix",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}: the help is a sentence", metric.name);
        }
    }

    #[test]
    fn our_own_names_follow_the_prometheus_habits() {
        for metric in METRICS.iter().filter(|metric| metric.name.starts_with("tenrec_")) {
            let total = metric.name.ends_with("_total");
            assert_eq!(total, metric.kind == Kind::Counter, "{}", metric.name);
            let stem = metric.name.trim_end_matches("_total");
            match metric.unit {
                Unit::Bytes => assert!(stem.ends_with("_bytes"), "{}", metric.name),
                Unit::Seconds => assert!(stem.ends_with("_seconds"), "{}", metric.name),
                Unit::Count | Unit::Ratio => {}
            }
        }
    }

    #[test]
    fn bounds_ascend() {
        for metric in METRICS {
            if let Kind::Histogram(bounds) = metric.kind {
                assert!(!bounds.is_empty() && bounds.is_sorted(), "{}", metric.name);
            }
        }
    }
}
