//! One span, one event.

use super::proto::{KeyValue, Resource, Span};
use super::{any_value, error_status, identity, kind, mapping};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Attributes of a resource that describe a machine, not a call.
const NOISE: [&str; 4] = ["host.", "process.", "os.", "telemetry."];

/// What the spans of one resource share.
pub(super) struct Origin<'a> {
    attributes: &'a [KeyValue],
    properties: Map<String, Value>,
    /// Bytes of the shared properties.
    pub size: usize,
}

impl<'a> Origin<'a> {
    /// Reads the attributes of a resource once for all its spans.
    pub(super) fn new(resource: Option<&'a Resource>) -> Self {
        let attributes = resource.map(|resource| resource.attributes.as_slice()).unwrap_or_default();
        let mut properties = any_value::object(attributes);
        properties.retain(|key, _| !NOISE.iter().any(|noise| key.starts_with(noise)));
        let size = serde_json::to_string(&properties).map_or(0, |json| json.len());
        Self { attributes, properties, size }
    }
}

/// The event of an AI span as one v0 event; `None` when the span is about something else.
///
/// `version` is that of the instrumentation.
pub(super) fn convert(span: &Span, origin: &Origin<'_>, version: &str) -> Option<Value> {
    let resource = origin.attributes;
    let attributes = any_value::object(&span.attributes);
    let mut name = kind::event_name(&span.attributes, &attributes)?;
    let is_root = !identity::is_set(&span.parent_span_id);
    if name == kind::SPAN && is_root {
        name = "$ai_trace";
    }
    let mut properties = origin.properties.clone();
    properties.extend(attributes);
    describe(span, version, &mut properties);
    error_status::describe(span, &mut properties);
    if let Some(session) = identity::session(span, resource) {
        set(&mut properties, "$ai_session_id", session);
    }
    mapping::rename(&mut properties);
    let uuid = identity::event_uuid(span, || {
        let times = [span.start_time_unix_nano, span.end_time_unix_nano];
        format!("{name}{times:?}{}", Value::Object(properties.clone()))
    });
    let distinct_id = match identity::person(span, resource) {
        Some(person) => person.to_owned(),
        None => {
            properties.insert("$process_person_profile".to_owned(), Value::Bool(false));
            if identity::is_set(&span.trace_id) { any_value::hex(&span.trace_id) } else { uuid.to_string() }
        }
    };
    let mut event = Map::new();
    set(&mut event, "uuid", &uuid.to_string());
    set(&mut event, "event", name);
    set(&mut event, "distinct_id", &distinct_id);
    if let Some(started) = instant(span.start_time_unix_nano) {
        set(&mut event, "timestamp", &started.to_string());
    }
    event.insert("properties".to_owned(), Value::Object(properties));
    Some(Value::Object(event))
}

/// Ids, latency and origin of the span.
fn describe(span: &Span, version: &str, properties: &mut Map<String, Value>) {
    // Server-side calls say nothing about where a person is, unless the sender wants it so.
    let geoip = properties.shift_remove("posthog.geoip_disable").unwrap_or(Value::Bool(true));
    properties.entry("$geoip_disable").or_insert(geoip);
    set(properties, "$ai_trace_id", &any_value::hex(&span.trace_id));
    set(properties, "$ai_span_id", &any_value::hex(&span.span_id));
    if identity::is_set(&span.parent_span_id) {
        set(properties, "$ai_parent_id", &any_value::hex(&span.parent_span_id));
    }
    set(properties, "$ai_ingestion_source", "otel");
    properties.entry("$lib").or_insert_with(|| Value::from("posthog-otel"));
    if !version.is_empty() {
        properties.entry("$lib_version").or_insert_with(|| Value::from(version));
    }
    if !span.name.is_empty() {
        set(properties, "$ai_span_name", &span.name);
    }
    let nanos = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
    if nanos > 0 && span.start_time_unix_nano > 0 {
        properties.insert("$ai_latency".to_owned(), Value::from(nanos as f64 / 1e9));
    }
}

fn set(map: &mut Map<String, Value>, key: &str, text: &str) {
    map.insert(key.to_owned(), Value::from(text));
}

fn instant(nanos: u64) -> Option<Timestamp> {
    if nanos == 0 { None } else { Timestamp::from_nanosecond(i128::from(nanos)).ok() }
}
