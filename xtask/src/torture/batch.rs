//! Requests to load a server with: page views or small events, without uuids, so that a request sent twice is two.

use super::exchange::request;
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;
use testkit::workload::{Kind, Workload, gzip};

/// Requests of `events` page views each, compressed as browsers do, all named `name`.
pub fn page_views(key: &str, name: &str, seed: u64, events: u64) -> Arc<Vec<Vec<u8>>> {
    let workload = Workload { kind: Kind::PageView, seed, start: Timestamp::now() };
    let one = |number: u64| {
        let batch: Vec<_> = (0..events).map(|at| unnamed(&workload, number * events + at, name)).collect();
        let body = json!({"api_key": key, "batch": batch}).to_string();
        let headers = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
        request("POST", "/batch/", headers, &gzip(body.as_bytes()))
    };
    Arc::new((0..64).map(one).collect())
}

/// Requests of one small event each.
pub fn singles(key: &str, name: &str, seed: u64) -> Arc<Vec<Vec<u8>>> {
    let workload = Workload { kind: Kind::Server, seed, start: Timestamp::now() };
    let one = |number: u64| {
        let mut event = unnamed(&workload, number, name);
        event["api_key"] = key.into();
        request("POST", "/i/v0/e/", "Content-Type: application/json\r\n", event.to_string().as_bytes())
    };
    Arc::new((0..256).map(one).collect())
}

/// An event under another name, without its uuid.
fn unnamed(workload: &Workload, id: u64, name: &str) -> serde_json::Value {
    let mut event = workload.event(id);
    if let Some(fields) = event.as_object_mut() {
        fields.remove("uuid");
        fields.insert("event".to_owned(), name.into());
    }
    event
}
