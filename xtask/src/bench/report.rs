//! One JSON line per measure, and the table of medians at the end.

use super::ingest::MEASURES;
use serde_json::{Value, json};

/// One throughput measure of one server in one round.
#[derive(Clone, Debug)]
pub struct Note {
    /// The workload.
    pub name: &'static str,
    /// Ours, or else the floor.
    pub ours: bool,
    /// Events per second and core to reach.
    pub goal: Option<f64>,
    /// Events acked.
    pub events: u64,
    /// Requests not acked.
    pub failed: u64,
    /// Seconds of load.
    pub wall: f64,
    /// Server CPU per acked event up to the durable ack: doors and log.
    pub ack_cpu_us: f64,
    /// The same with the folding and committing that went on beside it.
    pub cpu_us: f64,
    /// The same until everything was visible: what an event costs in all.
    pub landed_cpu_us: Option<f64>,
    /// Seconds from the end of the load until everything was visible; absent when it never was.
    pub drain: Option<f64>,
    /// Closed loop, so not what users see.
    pub p50_ms: f64,
    /// Closed loop, so not what users see.
    pub p99_ms: f64,
    /// Before the load.
    pub idle_mb: f64,
    /// The highest.
    pub peak_mb: f64,
    /// Only of ours.
    pub sizes: Sizes,
}

/// What else was seen of a run of ours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// From the start of the process on an empty folder until it was ready.
    pub start_ms: f64,
    /// Bytes of log per acked event.
    pub log_bytes: f64,
    /// Bytes of data files per committed row; absent when nothing was committed in time.
    pub table_bytes: Option<f64>,
}

impl Note {
    /// The JSON line.
    pub fn line(&self, round: u32) -> Value {
        json!({
            "measure": self.name, "server": if self.ours { "ours" } else { "floor" }, "round": round,
            "events": self.events, "failed_requests": self.failed, "wall_s": rounded(self.wall),
            "events_per_s": (self.events as f64 / self.wall).round(), "ack_cpu_us_per_event": rounded(self.ack_cpu_us),
            "cpu_us_per_event": rounded(self.cpu_us), "events_per_s_per_core": (1e6 / self.ack_cpu_us).round(), "landed_cpu_us_per_event": self.landed_cpu_us.map(rounded),
            "drain_s": self.drain.map(rounded), "p50_ms": self.p50_ms, "p99_ms": self.p99_ms,
            "rss_idle_mb": rounded(self.idle_mb), "rss_peak_mb": rounded(self.peak_mb),
            "start_ms": rounded(self.sizes.start_ms), "log_bytes_per_event": rounded(self.sizes.log_bytes),
            "table_bytes_per_row": self.sizes.table_bytes.map(rounded),
            "goal_events_per_s_per_core": self.goal,
        })
    }
}

/// Prints the medians, floor and ours side by side.
pub fn table(notes: &[Note]) {
    println!(
        "\n{:<16}{:>14}{:>14}{:>8}{:>16}{:>12}{:>8}{:>12}{:>10}{:>10}",
        "workload",
        "floor us/ev",
        "ours us/ev",
        "ratio",
        "ours ev/s/core",
        "goal",
        "met",
        "wall ev/s",
        "idle MB",
        "peak MB"
    );
    for measure in MEASURES {
        let of = |ours: bool, value: fn(&Note) -> f64| {
            median(
                notes
                    .iter()
                    .filter(|note| note.name == measure.name && note.ours == ours)
                    .map(value)
                    .collect(),
            )
        };
        let (Some(floor), Some(ours)) = (of(false, |note| note.ack_cpu_us), of(true, |note| note.ack_cpu_us))
        else {
            continue;
        };
        let rate = 1e6 / ours;
        let met = measure.goal.map_or("-", |goal| if rate >= goal { "yes" } else { "no" });
        println!(
            "{:<16}{floor:>14.2}{ours:>14.2}{:>8.2}{rate:>16.0}{:>12}{met:>8}{:>12.0}{:>10.0}{:>10.0}",
            measure.name,
            ours / floor,
            measure.goal.map_or("-".to_owned(), |goal| format!("{goal:.0}")),
            of(true, |note| note.events as f64 / note.wall).unwrap_or(0.0),
            of(true, |note| note.idle_mb).unwrap_or(0.0),
            of(true, |note| note.peak_mb).unwrap_or(0.0),
        );
        if let Some((least, most)) = spread(notes, measure.name) {
            println!("{:<16}ours from {least:.2} to {most:.2} us/ev over the rounds", "");
        }
    }
}

/// Requests per second that ours acked in the median round; 0 when it was not measured.
pub fn median_rate(notes: &[Note], name: &str) -> f64 {
    let rates =
        notes.iter().filter(|note| note.ours && note.name == name).map(|note| note.events as f64 / note.wall);
    median(rates.collect()).unwrap_or(0.0)
}

fn spread(notes: &[Note], name: &str) -> Option<(f64, f64)> {
    let costs = notes.iter().filter(|note| note.ours && note.name == name).map(|note| note.ack_cpu_us);
    costs.fold(None, |range: Option<(f64, f64)>, cost| {
        Some(range.map_or((cost, cost), |(least, most)| (least.min(cost), most.max(cost))))
    })
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
