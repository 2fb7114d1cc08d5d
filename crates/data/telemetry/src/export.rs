//! The Prometheus exporter: one recorder for the process, rendered on demand.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{Kind, METRICS};

/// How often samples are moved into their buckets when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Renders what the process has counted so far; clones are views of the same numbers.
#[derive(Clone)]
pub struct Handle(PrometheusHandle);

impl Handle {
    /// Gives every metric as Prometheus text, version 0.0.4.
    pub fn render(&self) -> String {
        crate::process::measure();
        self.0.render()
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

/// Makes this process count, and gives the handle that renders the counts.
///
/// The first call installs the recorder, describes every metric and starts a thread that keeps
/// histogram memory bounded; later calls give the same handle. Counts made before the first call
/// are lost, so call it before anything else starts. When another recorder is already installed
/// the handle renders nothing, and an error is logged.
pub fn install() -> Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(start).clone()
}

fn start() -> Handle {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(bounds) = metric.kind {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
                .expect("METRICS holds no empty list of bounds");
        }
    }
    let recorder = builder.build_recorder();
    let handle = Handle(recorder.handle());
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::error!("another metrics recorder is installed: /metrics will be empty");
        return handle;
    }
    crate::describe_all();
    crate::process::started();
    let upkeep = handle.0.clone();
    let spawned = std::thread::Builder::new().name("metrics".into()).spawn(move || {
        loop {
            std::thread::sleep(UPKEEP);
            upkeep.run_upkeep();
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for metrics upkeep: histograms grow between scrapes");
    }
    handle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_rendered_with_its_help_and_labels() {
        let handle = install();
        crate::pump::dropped("billing_limit", 3);
        crate::log::committed(4, 4096, Duration::from_micros(300));
        let text = handle.render();
        assert!(text.contains("# HELP tenrec_pump_dropped_total "), "{text}");
        assert!(text.contains("tenrec_pump_dropped_total{cause=\"billing_limit\"} 3"), "{text}");
        assert!(text.contains("tenrec_log_fsync_seconds_bucket{le=\"0.0005\"} 1"), "{text}");
    }

    #[test]
    fn installing_twice_gives_the_same_numbers() {
        let first = install();
        let second = install();
        crate::query::refused("guard");
        assert!(first.render().contains("tenrec_query_refused_total{reason=\"guard\"}"));
        assert!(second.render().contains("tenrec_query_refused_total{reason=\"guard\"}"));
    }
}
