use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write;

const EVENT: &str = r#"{"event":"$ai_generation","distinct_id":"u","uuid":"0190a0b0-0000-7000-8000-000000000001","timestamp":"2026-11-20T11:00:00Z"}"#;
const PROPERTIES: &str = r#"{"$ai_model":"gpt","$ai_input": [ 1.0 ],"$ai_gateway_verified":true}"#;

fn form(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (name, data) in parts {
        let head =
            format!("Content-Disposition: form-data; name=\"{name}\"\r\nContent-Type: application/json");
        body.push_str(&format!("--XyZ\r\n{head}\r\n\r\n{data}\r\n"));
    }
    (body + "--XyZ--\r\n").into_bytes()
}

fn send(body: &[u8]) -> Result<AiEvent, Rejection> {
    parse(&request(body), &Limits::default())
}

fn request(body: &[u8]) -> Request<'_> {
    Request {
        body,
        content_type: Some("multipart/form-data; boundary=XyZ"),
        content_encoding: None,
        authorization: Some("Bearer phc_test"),
    }
}

#[test]
fn accepted_form() {
    let event = send(&form(&[("event", EVENT), ("event.properties", PROPERTIES)])).unwrap();
    assert_eq!(event.token, "phc_test");
    let kept = r#""$ai_model":"gpt","$ai_input":[ 1.0 ]"#;
    assert_eq!(event.json, format!("{},\"properties\":{{{kept}}}}}", &EVENT[..EVENT.len() - 1]));
    assert_eq!(
        event.answer(),
        format!(
            r#"{{"accepted_parts":[{{"name":"event","length":{},"content-type":"application/json","content-encoding":null}},{{"name":"event.properties","length":{},"content-type":"application/json","content-encoding":null}}]}}"#,
            EVENT.len(),
            PROPERTIES.len()
        )
    );
    assert_eq!(answer(&[]), r#"{"accepted_parts":[]}"#);
}

#[test]
fn embedded_properties() {
    let mut event: Value = serde_json::from_str(EVENT).unwrap();
    event["extra"] = json!([1]);
    let mut sent = event.clone();
    sent["properties"] = json!({"$ai_model": "m", "$ai_gateway": 1, "token": "other"});
    sent["api_key"] = json!("other");
    let got = send(&form(&[("event", &sent.to_string())])).unwrap();
    event["properties"] = json!({"$ai_model": "m"});
    assert_eq!(serde_json::from_str::<Value>(&got.json).unwrap(), event);
    assert_eq!(got.parts.len(), 1);
}

#[test]
fn gzip_of_the_whole_body() {
    let body = form(&[("event", EVENT), ("event.properties", PROPERTIES)]);
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(&body).unwrap();
    let zipped = writer.finish().unwrap();
    let named = Request { content_encoding: Some("GZIP"), ..request(&zipped) };
    assert_eq!(parse(&named, &Limits::default()), send(&body));
    assert_eq!(send(&zipped), send(&body));
    let small = Limits { parts: body.len() - 1, ..Limits::default() };
    assert_eq!(parse(&named, &small).unwrap_err().tag(), "oversize_event");
    let cut = Request { body: &zipped[..20], ..named };
    assert_eq!(parse(&cut, &Limits::default()).unwrap_err().tag(), "req_decoding");
    let plain = Request { content_encoding: Some("gzip"), ..request(&body) };
    assert_eq!(parse(&plain, &Limits::default()).unwrap_err().tag(), "req_decoding");
}

#[test]
fn the_first_check_that_fails_counts() {
    let body = form(&[("event", EVENT), ("event.properties", PROPERTIES)]);
    let good = request(&body);
    for (request, expected) in [
        (Request { body: b"", authorization: None, ..good }, "request missing data payload"),
        (Request { authorization: None, content_type: None, ..good }, "event submitted without an api_key"),
        (Request { authorization: Some("bearer phc_test"), ..good }, "event submitted without an api_key"),
        (Request { authorization: Some("Bearer phx_x"), ..good }, "API key is not valid: personal_api_key"),
        (
            Request { content_type: None, ..good },
            "failed to decode request: Content-Type must be multipart/form-data",
        ),
        (
            Request { content_type: Some("application/json"), ..good },
            "failed to decode request: Content-Type must be multipart/form-data",
        ),
        (
            Request { content_type: Some("multipart/form-data"), ..good },
            "failed to decode request: Invalid boundary in Content-Type: no boundary parameter",
        ),
        (
            Request { content_type: Some("multipart/form-data; boundary=other"), ..good },
            "failed to decode request: Multipart parsing failed: the body does not begin with the boundary",
        ),
    ] {
        assert_eq!(parse(&request, &Limits::default()).unwrap_err().to_string(), expected);
    }
}

#[test]
fn refused_forms() {
    let with = |name: &str, value: Value| {
        let mut event: Value = serde_json::from_str(EVENT).unwrap();
        match value {
            Value::Null => drop(event.as_object_mut().unwrap().shift_remove(name)),
            value => event[name] = value,
        }
        event.to_string()
    };
    let both = with("properties", json!({"$ai_model": "m"}));
    let listed = with("properties", json!([1]));
    let changed: Vec<(String, &str)> = vec![
        (with("event", Value::Null), "Event missing 'event' field"),
        (with("event", json!("")), "Event name cannot be empty"),
        (with("distinct_id", Value::Null), "Event missing 'distinct_id' field"),
        (with("distinct_id", json!(5)), "Event missing 'distinct_id' field"),
        (with("distinct_id", json!("")), "distinct_id cannot be empty"),
        (with("uuid", Value::Null), "Event UUID is required"),
        (
            with("event", json!("click")),
            "Event name must be one of: $ai_generation, $ai_trace, $ai_span, $ai_embedding, $ai_metric, $ai_feedback, got 'click'",
        ),
        ("[1]".to_owned(), "Event must be a JSON object"),
        ("{".to_owned(), "Event part must be valid JSON"),
        (both, "Event cannot have both embedded properties and a separate 'event.properties' part"),
    ];
    let mut cases: Vec<(Vec<(&str, &str)>, &str)> = changed
        .iter()
        .map(|(event, text)| (vec![("event", event.as_str()), ("event.properties", PROPERTIES)], *text))
        .collect();
    cases.extend([
        (vec![("x", EVENT)], "First part must be 'event', got 'x'"),
        (
            vec![("event.properties", PROPERTIES), ("event", EVENT)],
            "First part must be 'event', got 'event.properties'",
        ),
        (vec![], "Missing required 'event' part in multipart data"),
        (vec![("event", EVENT), ("event", EVENT)], "Duplicate 'event' part found"),
        (
            vec![("event", EVENT), ("event.properties", PROPERTIES), ("event.properties", "{}")],
            "Duplicate 'event.properties' part found",
        ),
        (
            vec![("event", EVENT), ("event.properties.$ai_input", "x")],
            "Unknown multipart field: 'event.properties.$ai_input'. Expected 'event' or 'event.properties'",
        ),
        (vec![("event", EVENT)], "Event properties must contain '$ai_model'"),
        (vec![("event", EVENT), ("event.properties", "{}")], "Event properties must contain '$ai_model'"),
        (vec![("event", EVENT), ("event.properties", r#"{"$ai_model":1}"#)], "$ai_model must be a string"),
        (vec![("event", EVENT), ("event.properties", r#"{"$ai_model":""}"#)], "$ai_model cannot be empty"),
        (vec![("event", EVENT), ("event.properties", "[]")], "Event missing 'properties' field"),
        (vec![("event", EVENT), ("event.properties", "nope")], "Properties part must be valid JSON"),
        (vec![("event", &listed)], "Event missing 'properties' field"),
    ]);
    for (parts, text) in cases {
        let rejection = send(&form(&parts)).unwrap_err();
        assert_eq!(rejection.to_string(), format!("failed to parse request: {text}"), "{parts:?}");
    }
    let uuid = with("uuid", json!("no"));
    let rejection = send(&form(&[("event", &uuid)])).unwrap_err().to_string();
    assert!(rejection.starts_with("failed to parse request: Invalid UUID format: "), "{rejection}");
    let mut bytes = form(&[("event", "@")]);
    let at = bytes.iter().position(|byte| *byte == b'@').unwrap();
    bytes[at] = 0xff;
    assert_eq!(
        send(&bytes).unwrap_err().to_string(),
        "failed to parse request: Event part must be valid UTF-8"
    );
}

#[test]
fn sizes() {
    let long = format!("{},\"x\":\"{}\"}}", &EVENT[..EVENT.len() - 1], "y".repeat(EVENT_PART_BYTES));
    let rejection = send(&form(&[("event", &long)])).unwrap_err();
    assert_eq!(
        rejection.to_string(),
        format!(
            "maximum event size exceeded: Event part size ({} bytes) exceeds maximum allowed size (32768 bytes)",
            long.len()
        )
    );
    let body = form(&[("event", EVENT), ("event.properties", PROPERTIES)]);
    let size = EVENT.len() + PROPERTIES.len();
    assert!(parse(&request(&body), &Limits { event: size, ..Limits::default() }).is_ok());
    let rejection = parse(&request(&body), &Limits { event: size - 1, ..Limits::default() }).unwrap_err();
    assert!(rejection.to_string().contains("Combined event and properties size"), "{rejection}");
    let rejection = parse(&request(&body), &Limits { parts: 10, ..Limits::default() }).unwrap_err();
    assert_eq!(rejection.tag(), "oversize_event");
}

/// The pump reads the stored text as a v0 body.
#[test]
fn what_comes_out_is_a_v0_event() {
    let event = send(&form(&[("event", EVENT), ("event.properties", PROPERTIES)])).unwrap();
    let request = crate::capture::parse(event::Route::AiBatch, &event.json).unwrap();
    assert_eq!(request.events.len(), 1);
    let raw = &request.events[0];
    assert_eq!(raw.event.as_deref(), Some("$ai_generation"));
    assert_eq!(raw.uuid.as_deref(), Some("0190a0b0-0000-7000-8000-000000000001"));
    assert_eq!(raw.properties.unwrap().get(), r#"{"$ai_model":"gpt","$ai_input":[ 1.0 ]}"#);
    assert!(matches!(crate::capture::token(&request, None), Err(Rejection::NoToken)));
}

/// Whoever reads the log refuses deeper nesting, so nothing of it may be accepted.
#[test]
fn folding_keeps_the_depth() {
    let nested = |depth: usize| {
        let properties =
            format!("{{\"$ai_model\":\"m\",\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        send(&form(&[("event", EVENT), ("event.properties", &properties)]))
    };
    assert!(nested(limit::JSON_DEPTH - 1).is_ok());
    assert_eq!(nested(limit::JSON_DEPTH).unwrap_err().tag(), "req_parsing");
}

proptest! {
    #[test]
    fn any_body_is_read_without_panic(event in ".{0,80}", properties in ".{0,80}", junk in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = send(&form(&[("event", &event), ("event.properties", &properties)]));
        let _ = send(&junk);
    }
}
