//! HTTP requests, whatever they ask for.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use crate::metric::REQUEST_SECONDS;
use crate::{Metric, Unit};

const ROUTE: &[&str] = &["method", "path", "status"];

const REQUESTS: Metric =
    Metric::counter("http_requests_total", "Requests answered, by matched route.").labels(ROUTE);
const DURATION: Metric = Metric::histogram(
    "http_requests_duration_seconds",
    REQUEST_SECONDS,
    "Time from the request head to the answer, by matched route.",
)
.labels(ROUTE)
.unit(Unit::Seconds);
const API_RESPONSE_TIME: Metric = Metric::histogram(
    "posthog_api_response_time_seconds",
    REQUEST_SECONDS,
    "Time from the request head to the answer, all routes together.",
)
.unit(Unit::Seconds);
const CONNECTIONS: Metric = Metric::gauge("capture_active_connections", "Requests being answered now.");
const PANICS: Metric =
    Metric::counter("tenrec_http_panics_total", "Requests answered 500 because their code panicked.");
const SHED: Metric = Metric::counter(
    "tenrec_http_shed_total",
    "Requests answered 503 because the server was asked for more than it can do.",
)
.labels(&["reason"]);
const INFLIGHT: Metric =
    Metric::gauge("tenrec_http_inflight_bytes", "Bytes of all requests in memory.").unit(Unit::Bytes);

pub(crate) const TABLE: &[Metric] =
    &[REQUESTS, DURATION, API_RESPONSE_TIME, CONNECTIONS, PANICS, SHED, INFLIGHT];

/// Counts an answered request and its time.
///
/// `path` is the matched route pattern, never the raw URL: a label per URL would grow without end.
pub fn answered(method: &str, path: &'static str, status: u16, took: Duration) {
    let labels = [("method", method_label(method)), ("path", path), ("status", status_label(status))];
    counter!(REQUESTS.name, &labels).increment(1);
    histogram!(DURATION.name, &labels).record(took);
    histogram!(API_RESPONSE_TIME.name).record(took);
}

/// Notes that a request began to be answered.
pub fn opened() {
    gauge!(CONNECTIONS.name).increment(1.0);
}

/// Notes that a request counted by [`opened`] is over.
pub fn closed() {
    gauge!(CONNECTIONS.name).decrement(1.0);
}

/// Counts a request whose code panicked.
pub fn panicked() {
    counter!(PANICS.name).increment(1);
}

/// Tells how many bytes all requests hold.
pub fn inflight(bytes: u64) {
    gauge!(INFLIGHT.name).set(bytes as f64);
}

/// Counts a request refused for want of something: `overload` (time), `no_room` (memory), `no_turn` (large ones).
pub fn shed(reason: &'static str) {
    counter!(SHED.name, "reason" => reason).increment(1);
}

fn method_label(method: &str) -> &'static str {
    ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// Gives the label of a status; one a server never sends becomes its class.
pub(crate) fn status_label(status: u16) -> &'static str {
    match status {
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        207 => "207",
        301 => "301",
        302 => "302",
        304 => "304",
        307 => "307",
        400 => "400",
        401 => "401",
        402 => "402",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        409 => "409",
        410 => "410",
        413 => "413",
        415 => "415",
        422 => "422",
        429 => "429",
        500 => "500",
        501 => "501",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => match status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
    }
}
