//! Metric names live in telemetry: nobody else calls the metrics facade.

use super::checkout::{Checkout, Complaint};

const MACROS: &[&str] = &[
    "counter!(",
    "gauge!(",
    "histogram!(",
    "describe_counter!(",
    "describe_gauge!(",
    "describe_histogram!(",
];

/// Uses of the facade outside `telemetry`.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust().filter(|file| !matches!(file.home(), None | Some(("telemetry" | "xtask", _))))
    {
        for (at, line) in file.text.lines().enumerate().filter(|(at, _)| !file.is_test_line(at + 1)) {
            let code = line.split("//").next().unwrap_or_default();
            if MACROS.iter().any(|name| code.contains(name)) {
                found.push(
                    file.refuse(at + 1, "add the metric to telemetry and call it by its function there"),
                );
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_outside_telemetry_is_refused() {
        let text = "fn f() { metrics::counter!(\"a\").increment(1); }\n// counter!( in words\n";
        let count = |path: &str| complaints(&Checkout::of(&[(path, text)])).len();
        assert_eq!(count("crates/data/ingest/src/accept.rs"), 1);
        assert_eq!(count("crates/data/telemetry/src/metric.rs"), 0);
    }
}
