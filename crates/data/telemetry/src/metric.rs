//! What is known about one metric before its first sample.

/// Says how a metric behaves over time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, and starts at zero with the process.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution, with the upper bounds of its buckets in ascending order.
    Histogram(&'static [f64]),
}

/// Says what one step of a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A plain number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds, with fractions.
    Seconds,
    /// One number divided by another.
    Ratio,
}

impl Unit {
    /// Gives the lower-case word used in the reference page.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Count => "count",
            Unit::Bytes => "bytes",
            Unit::Seconds => "seconds",
            Unit::Ratio => "ratio",
        }
    }
}

/// Describes one metric: all that the reference page and the exporter need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name as scraped.
    pub name: &'static str,
    /// How it behaves over time.
    pub kind: Kind,
    /// What one step of the value means.
    pub unit: Unit,
    /// The label names, in the order of the function that records it.
    pub labels: &'static [&'static str],
    /// One sentence for the `# HELP` line.
    pub help: &'static str,
}

/// Durations of requests and queries: 1 ms to 60 s.
pub(crate) const REQUEST_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Durations of one disk flush: 50 us to 5 s.
pub(crate) const FLUSH_SECONDS: &[f64] =
    &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
/// Sizes of requests and payloads: 256 B to 64 MiB.
pub(crate) const SIZE_BYTES: &[f64] = &[
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// How many things travel together: 1 to 16384.
pub(crate) const BATCH_COUNT: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16_384.0];
/// How much a body grows when unpacked.
pub(crate) const EXPANSION_RATIO: &[f64] = &[1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 15.0, 20.0, 50.0, 100.0];

impl Metric {
    /// Starts a counter without labels.
    pub(crate) const fn counter(name: &'static str, help: &'static str) -> Self {
        Metric { name, kind: Kind::Counter, unit: Unit::Count, labels: &[], help }
    }

    /// Starts a gauge without labels.
    pub(crate) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Metric { name, kind: Kind::Gauge, unit: Unit::Count, labels: &[], help }
    }

    /// Starts a histogram without labels.
    pub(crate) const fn histogram(name: &'static str, bounds: &'static [f64], help: &'static str) -> Self {
        Metric { name, kind: Kind::Histogram(bounds), unit: Unit::Count, labels: &[], help }
    }

    /// Names the labels.
    pub(crate) const fn labels(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    /// Sets a unit other than a plain count.
    pub(crate) const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }
}
