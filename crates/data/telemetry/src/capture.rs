//! Events at the door: received, refused, dropped, limited. The names are PostHog capture's own.

use metrics::{counter, histogram};

use crate::metric::{BATCH_COUNT, EXPANSION_RATIO, SIZE_BYTES};
use crate::{Metric, Unit};

mod v1;
pub use v1::{v1_batch, v1_body_timeout, v1_dropped, v1_error, v1_limited, v1_parsed, v1_rerouted};

const RECEIVED: Metric =
    Metric::counter("capture_events_received_total", "Events parsed out of accepted request bodies.");
const INGESTED: Metric =
    Metric::counter("posthog_events_ingested_total", "Events made durable and acknowledged.");
const BATCH: Metric =
    Metric::histogram("tenrec_capture_batch_events", BATCH_COUNT, "Events in one capture request.");
const ERRORS: Metric = Metric::counter(
    "capture_error_by_stage_and_type",
    "Requests refused, by the tag of the error and the stage that found it.",
)
.labels(&["error", "stage", "mode"]);
const QUOTA: Metric =
    Metric::counter("capture_quota_limit_exceeded", "Events left out because a quota is used up.")
        .labels(&["resource"]);
const REQUEST_SIZE: Metric = Metric::histogram(
    "capture_request_size_bytes",
    SIZE_BYTES,
    "Size of a request body as it came over the wire.",
)
.labels(&["endpoint"])
.unit(Unit::Bytes);
const RAW_PAYLOAD: Metric =
    Metric::histogram("capture_raw_payload_size", SIZE_BYTES, "Size of a body before it is unpacked.")
        .unit(Unit::Bytes);
const FULL_PAYLOAD: Metric =
    Metric::histogram("capture_full_payload_size", SIZE_BYTES, "Size of a body after it is unpacked.")
        .labels(&["oversize"])
        .unit(Unit::Bytes);
const TOO_LARGE: Metric =
    Metric::counter("capture_payload_size_exceeded", "Bodies refused for their size.").labels(&["kind"]);
const GZIP_RATIO: Metric = Metric::histogram(
    "capture_gzip_decompression_ratio",
    EXPANSION_RATIO,
    "Unpacked size of a gzip body divided by its size on the wire.",
)
.unit(Unit::Ratio);
const HISTORICAL: Metric =
    Metric::counter("capture_events_rerouted_historical", "Events marked as a historical import.")
        .labels(&["reason"]);
const HEATMAPS: Metric =
    Metric::counter("capture_heatmap_redirects_created", "Events whose heatmap data went its own way.");
const TOKEN_VERDICT: Metric =
    Metric::counter("capture_known_tokens_verdict", "Answers to the question whether a project key exists.")
        .labels(&["verdict"]);
const TOKEN_REFRESH: Metric =
    Metric::counter("capture_known_tokens_marker_refresh", "Reloads of the list of known project keys.")
        .labels(&["result"]);
const WARNINGS: Metric = Metric::counter(
    "tenrec_ingestion_warnings_total",
    "Ingestion warnings written, by the type the customer sees.",
)
.labels(&["type"]);

pub(crate) const TABLE: &[Metric] = &[
    RECEIVED,
    INGESTED,
    BATCH,
    ERRORS,
    QUOTA,
    REQUEST_SIZE,
    RAW_PAYLOAD,
    FULL_PAYLOAD,
    TOO_LARGE,
    GZIP_RATIO,
    HISTORICAL,
    HEATMAPS,
    TOKEN_VERDICT,
    TOKEN_REFRESH,
    WARNINGS,
    v1::ERROR,
    v1::RESPONSE_TIME,
    v1::PARSED,
    v1::DROPPED,
    v1::QUOTA,
    v1::RATE_LIMITER,
    v1::OUTCOMES,
    v1::HISTORICAL,
    v1::BODY_TIMEOUT,
];

/// Counts the events of one parsed request.
pub fn events_received(count: u64) {
    counter!(RECEIVED.name).increment(count);
    histogram!(BATCH.name).record(count as f64);
}

/// Counts events that are durable in the log; call it where the 200 is decided.
pub fn events_ingested(count: u64) {
    counter!(INGESTED.name).increment(count);
}

/// Counts a refused request: the error's tag, the stage that found it, the kind of door.
pub fn refused(error: &'static str, stage: &'static str, mode: &'static str) {
    counter!(ERRORS.name, "error" => error, "stage" => stage, "mode" => mode).increment(1);
}

/// Counts events left out because the quota of a resource is used up.
pub fn quota_exceeded(resource: &'static str, count: u64) {
    counter!(QUOTA.name, "resource" => resource).increment(count);
}

/// Records the size of a body on the wire; `endpoint` is the route pattern.
pub fn request_size(endpoint: &'static str, bytes: usize) {
    histogram!(REQUEST_SIZE.name, "endpoint" => endpoint).record(bytes as f64);
}

/// Records the size of a body before and after it is unpacked; `oversize` says it was refused.
pub fn payload_size(raw: usize, full: usize, oversize: bool) {
    histogram!(RAW_PAYLOAD.name).record(raw as f64);
    let oversize = if oversize { "true" } else { "false" };
    histogram!(FULL_PAYLOAD.name, "oversize" => oversize).record(full as f64);
}

/// Counts a body refused for its size: `wire`, `decompressed`, `event`.
pub fn payload_too_large(kind: &'static str) {
    counter!(TOO_LARGE.name, "kind" => kind).increment(1);
}

/// Records how much a gzip body grew.
pub fn gzip_ratio(packed: usize, unpacked: usize) {
    if packed > 0 {
        histogram!(GZIP_RATIO.name).record(unpacked as f64 / packed as f64);
    }
}

/// Counts events marked as a historical import.
pub fn rerouted_historical(reason: &'static str, count: u64) {
    counter!(HISTORICAL.name, "reason" => reason).increment(count);
}

/// Counts an event whose heatmap data went its own way.
pub fn heatmap_redirected() {
    counter!(HEATMAPS.name).increment(1);
}

/// Counts an answer to "does this project key exist": `known`, `unknown`, `malformed`.
pub fn token_verdict(verdict: &'static str) {
    counter!(TOKEN_VERDICT.name, "verdict" => verdict).increment(1);
}

/// Counts a reload of the known project keys: `ok`, `error`.
pub fn tokens_refreshed(result: &'static str) {
    counter!(TOKEN_REFRESH.name, "result" => result).increment(1);
}

/// Counts an ingestion warning by the type the customer sees, one of those that this program writes.
pub fn warned(kind: &str) {
    counter!(WARNINGS.name, "type" => kind.to_owned()).increment(1);
}
