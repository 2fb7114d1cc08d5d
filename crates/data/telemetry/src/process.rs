//! The process itself: version, memory, background tasks.

use metrics::{counter, gauge};

use crate::{Metric, Unit};

const BUILD: Metric =
    Metric::gauge("tenrec_build_info", "Always 1; the label says which build runs.").labels(&["version"]);
const RESIDENT: Metric =
    Metric::gauge("process_resident_memory_bytes", "Memory of this process that is in RAM.")
        .unit(Unit::Bytes);
const PANICS: Metric =
    Metric::counter("tenrec_task_panics_total", "Background tasks that panicked.").labels(&["task"]);
const READY: Metric = Metric::gauge("tenrec_ready", "1 while the process takes requests.");
const METASTORE: Metric =
    Metric::counter("tenrec_metastore_errors_total", "Metastore calls that failed.").labels(&["error"]);

pub(crate) const TABLE: &[Metric] = &[BUILD, RESIDENT, PANICS, READY, METASTORE];

/// Announces the build.
pub(crate) fn started() {
    gauge!(BUILD.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!(READY.name).set(0.0);
}

/// Measures the memory of this process that is in RAM; where the system does not tell, it stays unknown.
pub(crate) fn measure() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    if let Some(kibibytes) = kibibytes {
        gauge!(RESIDENT.name).set((kibibytes * 1024) as f64);
    }
}

/// Counts a background task that panicked.
pub fn task_panicked(task: &'static str) {
    counter!(PANICS.name, "task" => task).increment(1);
}

/// Says whether the process takes requests.
pub fn ready(ready: bool) {
    gauge!(READY.name).set(if ready { 1.0 } else { 0.0 });
}

/// Counts a metastore call that failed, by the tag of its error.
pub fn metastore_failed(error: &'static str) {
    counter!(METASTORE.name, "error" => error).increment(1);
}
