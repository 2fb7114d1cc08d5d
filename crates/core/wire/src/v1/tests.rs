use super::*;
use event::event_size::Limits;
use event::{CapturedEvent, ProjectId, Received, Resource, Route};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write;

const NOW: &str = "2026-11-20T12:00:00Z";
const ID: &str = "0190a0b0-0000-7000-8000-000000000001";

fn accepted(json: &str, received: &Received, limits: &Limits) -> Result<Vec<CapturedEvent>, Error> {
    super::accepted(json, received, limits).map(Iterator::collect)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn received() -> Received {
    Received {
        route: Route::V1,
        project: ProjectId(1),
        token: "phc_test".to_owned(),
        at: at(NOW),
        sent_at: Some(at(NOW)),
        ip: Some("1.2.3.4".to_owned()),
        user_agent: None,
        sdk: Some(("posthog-rs".to_owned(), "1.0.0".to_owned())),
        place: None,
        limited: Vec::new(),
        limits: None,
        seed: 7,
    }
}

fn event(changes: Value) -> Value {
    let mut event =
        json!({"event": "e", "uuid": ID, "distinct_id": "u", "timestamp": "2026-11-20T11:00:00Z"});
    for (key, value) in changes.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

fn body(events: &[Value]) -> String {
    json!({"created_at": NOW, "batch": events}).to_string()
}

const HEADERS: [(&str, &str); 7] = [
    ("authorization", "Bearer phc_test"),
    ("posthog-sdk-info", "posthog-rs/1.0.0"),
    ("posthog-attempt", "1"),
    ("posthog-request-id", "0190a0b0-0000-7000-8000-00000000ABCD"),
    ("posthog-request-timestamp", NOW),
    ("content-type", "application/json"),
    ("user-agent", "posthog-rs/1.0.0"),
];

/// The headers with one changed, added (`Some`) or removed (`None`).
fn check(name: &str, value: Option<&str>) -> Result<Head, Error> {
    headers(|wanted| {
        if wanted.eq_ignore_ascii_case(name) {
            return value;
        }
        HEADERS.iter().find(|(name, _)| wanted.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    })
}

#[test]
fn good_headers() {
    let head = check("", None).unwrap();
    assert_eq!(head.token, "phc_test");
    assert_eq!(head.request_id, "0190a0b0-0000-7000-8000-00000000ABCD");
    assert_eq!((head.attempt, head.sent_at), (1, at(NOW)));
    assert_eq!(head.sdk, Some(("posthog-rs".to_owned(), "1.0.0".to_owned())));
    assert_eq!(head.encoding, None);
    for (name, value) in [
        ("authorization", "bEaReR phc_test"),
        ("authorization", "BEARER   phc_test  "),
        ("content-type", "application/json; charset=utf-8"),
        ("content-type", "Application/JSON"),
        ("content-encoding", "identity"),
        ("posthog-attempt", "4294967295"),
        ("posthog-request-id", "0190a0b000007000800000000000abcd"),
        ("posthog-sdk-info", ""),
        ("posthog-sdk-info", "nonsense"),
        ("user-agent", ""),
    ] {
        assert!(check(name, Some(value)).is_ok(), "{name}: {value}");
    }
    for (value, encoding) in [
        ("gzip", Encoding::Gzip),
        (" GZIP ", Encoding::Gzip),
        ("deflate", Encoding::Deflate),
        ("br", Encoding::Brotli),
        ("zstd", Encoding::Zstd),
    ] {
        assert_eq!(check("content-encoding", Some(value)).unwrap().encoding, Some(encoding));
    }
}

#[test]
fn sdk_info() {
    let pair = |library: &str, version: &str| Some((library.to_owned(), version.to_owned()));
    let long = format!("x/{}", "9".repeat(300));
    for (value, expected) in [
        ("a/b/2.3", pair("a/b", "2.3")),
        (" a / 1 ", pair("a", "1")),
        ("a", None),
        ("/1", None),
        ("a/", None),
        (" / ", None),
        (&long, None),
    ] {
        assert_eq!(check("posthog-sdk-info", Some(value)).unwrap().sdk, expected, "{value}");
    }
}

#[test]
fn refused_headers() {
    for (name, value, status, tag) in [
        ("authorization", None, 401, "missing_authorization"),
        ("authorization", Some("Basic abc"), 400, "invalid_header_value"),
        ("authorization", Some("Bearer"), 400, "invalid_header_value"),
        ("authorization", Some("Bearer phx_secret"), 401, "invalid_api_token"),
        ("authorization", Some("Bearer  "), 401, "invalid_api_token"),
        ("content-type", Some("text/plain"), 415, "unsupported_content_type"),
        ("content-type", Some(""), 415, "unsupported_content_type"),
        ("content-type", None, 400, "missing_required_headers"),
        ("user-agent", None, 400, "missing_required_headers"),
        ("content-encoding", Some("lz4"), 415, "unsupported_encoding"),
        ("content-encoding", Some("gzip, br"), 415, "unsupported_encoding"),
        ("posthog-attempt", Some("0"), 400, "invalid_header_value"),
        ("posthog-attempt", Some("abc"), 400, "invalid_header_value"),
        ("posthog-attempt", Some("+1"), 400, "invalid_header_value"),
        ("posthog-attempt", Some("4294967296"), 400, "invalid_header_value"),
        ("posthog-request-id", Some("not-a-uuid"), 400, "invalid_header_value"),
        ("posthog-request-timestamp", Some("yesterday"), 400, "invalid_header_value"),
        ("posthog-request-timestamp", Some("1700000000"), 400, "invalid_header_value"),
    ] {
        let error = check(name, value).unwrap_err();
        assert_eq!((error.status(), error.tag()), (status, tag), "{name}: {value:?}");
    }
    // every missing name is told
    let error = headers(|name| name.eq_ignore_ascii_case("authorization").then_some("Bearer x")).unwrap_err();
    for name in ["PostHog-Sdk-Info", "PostHog-Attempt", "PostHog-Request-Id", "Content-Type", "User-Agent"] {
        assert!(error.to_string().contains(name), "{name}");
    }
    // without authorization nothing else matters
    assert_eq!(headers(|_| None).unwrap_err(), Error::MissingAuthorization);
}

#[test]
fn request_id_is_repeated_in_refusals() {
    assert_eq!(request_id(|_| Some(ID)).as_deref(), Some(ID));
    assert_eq!(request_id(|_| Some("x")), None);
    assert_eq!(request_id(|_| None), None);
}

#[test]
fn errors_have_status_body_and_retry_after() {
    let text = String::new;
    for (error, status, retry) in [
        (Error::MissingAuthorization, 401, false),
        (Error::InvalidApiToken(text()), 401, false),
        (Error::EmptyBatch, 400, false),
        (Error::BodyReadTimeout(3), 408, true),
        (Error::RequestTimeout, 408, true),
        (Error::PayloadTooLarge(text()), 413, false),
        (Error::UnsupportedContentType(text()), 415, false),
        (Error::UnsupportedEncoding(text()), 415, false),
        (Error::Internal, 500, true),
        (Error::ServiceUnavailable, 503, true),
    ] {
        assert_eq!(error.status(), status, "{error:?}");
        assert_eq!(error.retry_after(), retry.then_some(1), "{error:?}");
    }
    assert_eq!(
        Error::EmptyBody.body(),
        r#"{"error":"empty_body","error_description":"the request body is empty","error_uri":"https://posthog.com/docs/api"}"#
    );
}

fn compressed(encoding: Encoding, zlib: bool, plain: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    match encoding {
        Encoding::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        Encoding::Deflate if zlib => {
            let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        Encoding::Deflate => {
            let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), level);
            writer.write_all(plain).unwrap();
            writer.finish().unwrap()
        }
        Encoding::Zstd => {
            ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest)
        }
        // "hello" as an uncompressed brotli meta-block
        Encoding::Brotli => [&[0x0b, 0x02, 0x80], plain, &[0x03]].concat(),
    }
}

#[test]
fn bodies() {
    let cases = [
        (Encoding::Gzip, false),
        (Encoding::Deflate, true),
        (Encoding::Deflate, false),
        (Encoding::Zstd, false),
    ];
    let plain = vec![b'x'; 10_000];
    for (encoding, zlib) in cases {
        let bytes = compressed(encoding, zlib, &plain);
        assert_eq!(decode(&bytes, Some(encoding), 10_000).unwrap().as_ref(), plain, "{encoding:?}");
        assert_eq!(decode(&bytes, Some(encoding), 9_999).unwrap_err().tag(), "payload_too_large");
        assert_eq!(Encoding::named(encoding.name()), Some(encoding));
        let cut = decode(&bytes[..bytes.len() / 2], Some(encoding), 10_000).unwrap_err();
        assert_eq!(cut.tag(), "request_decoding_error", "{encoding:?}");
        assert_eq!(decode(b"", Some(encoding), 9).unwrap_err(), Error::EmptyBody);
        let junk = decode(b"junk, not compressed", Some(encoding), 9).unwrap_err();
        assert_eq!(junk.tag(), "request_decoding_error", "{encoding:?}");
        let nothing = compressed(encoding, zlib, b"");
        assert_eq!(decode(&nothing, Some(encoding), 9).unwrap_err(), Error::EmptyBody);
    }
    let bytes = compressed(Encoding::Brotli, false, b"hello");
    assert_eq!(decode(&bytes, Some(Encoding::Brotli), 5).unwrap().as_ref(), b"hello");
    assert_eq!(decode(&bytes, Some(Encoding::Brotli), 4).unwrap_err().status(), 413);
    assert_eq!(decode(b"{}", None, 2).unwrap().as_ref(), b"{}");
    assert_eq!(decode(b"{} ", None, 2).unwrap_err().status(), 413);
}

#[test]
fn refused_batches() {
    let other = "0190a0b0-0000-7000-8000-000000000002";
    let same = event(json!({"uuid": ID.to_uppercase()}));
    for (json, tag) in [
        (String::new(), "request_parsing_error"),
        ("not json".to_owned(), "request_parsing_error"),
        ("[]".to_owned(), "request_parsing_error"),
        (json!({"created_at": NOW}).to_string(), "request_parsing_error"),
        (json!({"batch": [event(json!({}))]}).to_string(), "request_parsing_error"),
        (body(&[]), "empty_batch"),
        (json!({"created_at": "today", "batch": []}).to_string(), "empty_batch"),
        (json!({"created_at": "today", "batch": [event(json!({}))]}).to_string(), "invalid_batch"),
        (body(&[event(json!({"uuid": ""}))]), "missing_event_uuid"),
        (body(&[event(json!({"uuid": " "}))]), "missing_event_uuid"),
        (body(&[json!({"event": "e", "distinct_id": "u", "timestamp": NOW})]), "missing_event_uuid"),
        (body(&[event(json!({"uuid": "x"}))]), "invalid_event_uuid"),
        (body(&[event(json!({})), event(json!({"uuid": other})), same]), "duplicate_event_uuid"),
        (body(&[event(json!({"event": null}))]), "request_parsing_error"),
        (body(&[event(json!({"distinct_id": 5}))]), "request_parsing_error"),
        (body(&[event(json!({"timestamp": 5}))]), "request_parsing_error"),
        (body(&[event(json!({"session_id": 5}))]), "request_parsing_error"),
        (body(&[Value::Null]), "request_parsing_error"),
        (format!("{} x", body(&[event(json!({}))])), "request_parsing_error"),
    ] {
        let error = parse(&json).unwrap_err();
        assert_eq!((error.status(), error.tag()), (400, tag), "{json}");
    }
}

#[test]
fn good_batch() {
    let json = json!({"created_at": NOW, "historical_migration": true, "capture_internal": null, "other": [1],
        "batch": [event(json!({"distinct_id": "  u\t", "session_id": null, "properties": {"a": 1}, "x": 1}))]})
    .to_string();
    let batch = parse(&json).unwrap();
    assert_eq!(
        (batch.historical_migration, batch.capture_internal, batch.created_at),
        (true, false, at(NOW))
    );
    let event = &batch.events[0];
    assert_eq!((event.distinct_id.as_ref(), event.uuid.to_string().as_str()), ("u", ID));
    assert_eq!(event.properties.unwrap().get(), r#"{"a":1}"#);
    assert!(matches!(event.name, std::borrow::Cow::Borrowed(_)));
}

fn judged(changes: Value, received: &Received) -> (Outcome, Option<&'static str>) {
    let json = body(&[event(changes)]);
    let batch = parse(&json).unwrap();
    let verdict = verdicts(&batch, received, &Limits { analytics: 2_000, ai: 3_000 })[0];
    assert_eq!(verdict.uuid.to_string(), ID);
    (verdict.outcome, verdict.details)
}

#[test]
fn drops() {
    let large = json!({"a": "x".repeat(2_000)});
    let larger = json!({"a": "x".repeat(3_000)});
    for (changes, reason) in [
        (json!({"event": ""}), "missing_event_name"),
        (json!({"event": "é".repeat(101)}), "event_name_too_long"),
        (json!({"distinct_id": " "}), "missing_distinct_id"),
        (json!({"distinct_id": "é".repeat(101)}), "distinct_id_too_large"),
        (json!({"timestamp": "2026-11-20"}), "invalid_event_timestamp"),
        (json!({"timestamp": ""}), "invalid_event_timestamp"),
        (json!({"properties": [1]}), "malformed_event_properties"),
        (json!({"properties": null}), "malformed_event_properties"),
        (json!({"properties": "{}"}), "malformed_event_properties"),
        (json!({"event": "$performance_event"}), "dropped_performance_event"),
        (json!({"options": []}), "invalid_options"),
        (json!({"options": {"cookieless_mode": "maybe"}}), "invalid_options"),
        (json!({"properties": large.clone()}), "event_too_big"),
        (json!({"event": "$ai_span", "properties": larger}), "ai_event_too_big"),
        // the first reason counts
        (json!({"event": "", "distinct_id": "", "timestamp": ""}), "missing_event_name"),
    ] {
        assert_eq!(judged(changes.clone(), &received()), (Outcome::Drop, Some(reason)), "{changes}");
    }
    for changes in [
        json!({"event": "é".repeat(100)}),
        json!({"distinct_id": "é".repeat(100)}),
        json!({"properties": {}}),
        json!({"options": null}),
        json!({"options": {"cookieless_mode": null, "other": {}}}),
        json!({"event": "$ai_span", "properties": large}),
    ] {
        assert_eq!(judged(changes.clone(), &received()), (Outcome::Ok, None), "{changes}");
    }
}

#[test]
fn illegal_ids_are_kept_without_person() {
    for id in ["undefined", "NULL", " guest ", "[object Object]", "00000000-0000-0000-0000-000000000000"] {
        let verdict = judged(json!({"distinct_id": id}), &received());
        assert_eq!(verdict, (Outcome::Ok, Some("person_processing_disabled")), "{id}");
        let json = body(&[event(json!({"distinct_id": id}))]);
        assert!(accepted(&json, &received(), &Limits::default()).unwrap()[0].force_personless);
    }
}

#[test]
fn ai_route_takes_ai_events_only() {
    let received = Received { route: Route::V1Ai, ..received() };
    assert_eq!(judged(json!({"event": "$ai_trace"}), &received), (Outcome::Ok, None));
    assert_eq!(judged(json!({"event": "click"}), &received), (Outcome::Drop, Some("non_ai_event")));
}

#[test]
fn quotas_drop_what_they_cover() {
    let names = ["click", "$exception", "$ai_span", "survey sent", "survey shown"];
    for (limited, dropped) in [
        (vec![], vec![]),
        (vec![Resource::Events], vec!["click"]),
        (vec![Resource::Exceptions], vec!["$exception"]),
        (vec![Resource::LlmEvents, Resource::Events], vec!["click", "$ai_span"]),
        (vec![Resource::Surveys], vec!["survey sent", "survey shown"]),
        (vec![Resource::Recordings], vec![]),
    ] {
        let received = Received { limited, ..received() };
        for name in names {
            let expected = match dropped.contains(&name) {
                true => (Outcome::Drop, Some("billing_limit_exceeded")),
                false => (Outcome::Ok, None),
            };
            assert_eq!(judged(json!({"event": name}), &received), expected, "{name} {:?}", received.limited);
        }
    }
    // a survey of a product tour is an ordinary event
    let received = Received { limited: vec![Resource::Surveys], ..received() };
    for changes in [
        json!({"event": "survey sent", "properties": {"$product_tour_id": "t"}}),
        json!({"event": "survey sent", "options": {"product_tour_id": 4}}),
    ] {
        assert_eq!(judged(changes, &received), (Outcome::Ok, None));
    }
}

#[test]
fn answers() {
    let second = "0190a0b0-0000-7000-8000-000000000002";
    let events = [event(json!({"uuid": second})), event(json!({"event": ""}))];
    let json = body(&events);
    let batch = parse(&json).unwrap();
    let verdicts = verdicts(&batch, &received(), &Limits::default());
    assert_eq!(
        results(&verdicts),
        format!(
            r#"{{"results":{{"{second}":{{"result":"ok"}},"{ID}":{{"result":"drop","details":"missing_event_name"}}}}}}"#
        )
    );
}

#[test]
fn what_was_accepted_is_what_is_read() {
    let second = "0190a0b0-0000-7000-8000-000000000002";
    let json = body(&[event(json!({"properties": [1]})), event(json!({"uuid": second}))]);
    let events = accepted(&json, &received(), &Limits::default()).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].uuid.to_string(), second);
    assert_eq!(events, accepted(&json, &received(), &Limits::default()).unwrap());
}

fn captured(changes: Value, received: &Received) -> event::CapturedEvent {
    accepted(&body(&[event(changes)]), received, &Limits::default()).unwrap().remove(0)
}

#[test]
fn envelope_becomes_properties_and_wins() {
    let properties = json!({"$lib": "mine", "a": 1, "token": "T", "$session_id": "mine", "$set": {"b": 1}});
    let options = json!({"cookieless_mode": "1", "disable_skew_correction": 0, "process_person_profile": false,
        "product_tour_id": 17});
    let changes = json!({"properties": properties, "options": options, "session_id": "s", "window_id": "w"});
    let event = captured(changes, &received());
    assert_eq!(
        event.properties.to_json(),
        json!({"a": 1, "$set": {"b": 1}, "$session_id": "s", "$window_id": "w", "$cookieless_mode": true,
            "$ignore_sent_at": false, "$product_tour_id": "17", "$process_person_profile": false,
            "$lib": "posthog-rs", "$lib_version": "1.0.0"})
        .to_string()
    );
    assert_eq!((event.api_key.as_str(), event.ip.as_deref()), ("phc_test", Some("1.2.3.4")));
    assert!(!event.force_personless && !event.historical && event.warnings.is_empty());
    // nothing is invented
    let event = captured(json!({"properties": {"$lib": "mine"}}), &Received { sdk: None, ..received() });
    assert_eq!(json!(event.properties), json!({"$lib": "mine"}));
}

#[test]
fn flags_of_the_batch() {
    let json = json!({"created_at": NOW, "historical_migration": true, "capture_internal": true,
        "batch": [event(json!({}))]})
    .to_string();
    let event = accepted(&json, &received(), &Limits::default()).unwrap().remove(0);
    assert!(event.historical);
    assert_eq!(event.ip.as_deref(), Some("127.0.0.1"));
}

#[test]
fn unreadable_values_do_not_lose_the_event() {
    let json = body(&[event(json!({"properties": {"a": 0}}))]).replace("\"a\":0", "\"a\":1e999,\"b\":1");
    let event = accepted(&json, &received(), &Limits::default()).unwrap().remove(0);
    assert_eq!(
        json!(event.properties),
        json!({"a": "1e999", "b": 1, "$lib": "posthog-rs", "$lib_version": "1.0.0"})
    );
    assert_eq!(event.warnings[0].kind, "unreadable_property");
    let event = captured(json!({"distinct_id": "a\u{0}b"}), &received());
    assert_eq!(event.distinct_id, "a\u{fffd}b");
}

#[test]
fn half_a_surrogate_pair_is_mended_on_the_way() {
    let sent = body(&[event(json!({"properties": {"a": "@"}}))]).replace('@', "\\ud83d");
    let decoded = decode(sent.as_bytes(), None, 10_000).unwrap();
    let text = crate::json::clean(&decoded).unwrap();
    let event = accepted(&text, &received(), &Limits::default()).unwrap().remove(0);
    assert_eq!(event.properties.value("a"), "\u{fffd}");
    let broken: Error = crate::json::clean(b"\xff").unwrap_err().into();
    assert_eq!(broken.tag(), "request_decoding_error");
}

#[test]
fn only_ai_events_lose_gateway_properties() {
    let properties = json!({"$ai_gateway": 1, "$ai_gateway_verified": true, "$ai_model": "m"});
    let event = captured(
        json!({"event": "$ai_span", "properties": properties}),
        &Received { sdk: None, ..received() },
    );
    assert_eq!(json!(event.properties), json!({"$ai_model": "m"}));
    let event = captured(json!({"properties": properties}), &Received { sdk: None, ..received() });
    assert_eq!(event.properties.len(), 3);
}

#[test]
fn times() {
    // sent_at, timestamp, disable_skew_correction -> time
    for (sent_at, timestamp, raw, expected) in [
        ("2026-11-20T12:00:00Z", "2026-11-20T11:00:00Z", false, "2026-11-20T11:00:00Z"),
        ("2026-11-20T12:10:00Z", "2026-11-20T11:00:00Z", false, "2026-11-20T10:52:30Z"),
        ("2026-11-20T11:50:00Z", "2026-11-20T11:00:00Z", false, "2026-11-20T11:07:30Z"),
        ("2026-11-20T11:59:20Z", "2026-11-20T11:00:00Z", false, "2026-11-20T11:00:00Z"),
        ("2026-11-20T12:10:00Z", "2026-11-20T11:00:00Z", true, "2026-11-20T11:00:00Z"),
        ("2026-11-20T12:00:00Z", "2026-11-21T11:00:00Z", false, "2026-11-21T11:00:00Z"),
        ("2026-11-20T12:00:00Z", "2026-11-21T11:00:01Z", false, "2026-11-20T12:00:00Z"),
        ("2026-11-20T12:00:00Z", "2030-01-01T00:00:00Z", true, "2030-01-01T00:00:00Z"),
        ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00.25+03:00", false, "2026-11-20T09:00:00.25Z"),
    ] {
        let received = Received { sent_at: Some(at(sent_at)), ..received() };
        let options = json!({"disable_skew_correction": raw});
        let event = captured(json!({"timestamp": timestamp, "options": options}), &received);
        assert_eq!(event.timestamp, at(expected), "{sent_at} {timestamp} {raw}");
        assert_eq!((event.received_at, event.sent_at), (at(NOW), Some(at(sent_at))));
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_without_panic(json in ".{0,200}") {
        let _ = accepted(&json, &received(), &Limits::default());
    }

    #[test]
    fn any_event_gets_one_verdict_and_the_pump_agrees(
        name in ".{0,12}", id in ".{0,12}", time in "[0-9TZ:.+-]{0,30}", properties in "[\\[\\]{}:,\"a1]{0,12}",
    ) {
        let Ok(properties) = serde_json::from_str::<Value>(&properties) else { return Ok(()) };
        let json = body(&[event(json!({"event": name, "distinct_id": id, "timestamp": time, "properties": properties, "options": properties}))]);
        let batch = parse(&json).unwrap();
        let verdicts = verdicts(&batch, &received(), &Limits::default());
        prop_assert_eq!(verdicts.len(), 1);
        let kept = verdicts.iter().filter(|verdict| verdict.is_accepted()).count();
        prop_assert_eq!(accepted(&json, &received(), &Limits::default()).unwrap().len(), kept);
    }

    #[test]
    fn any_bytes_are_decoded_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd] {
            if let Ok(decoded) = decode(&bytes, Some(encoding), 1_000) {
                prop_assert!(decoded.len() <= 1_000);
            }
        }
    }

    #[test]
    fn any_header_is_checked_without_panic(index in 0..HEADERS.len(), value in ".{0,60}") {
        let _ = check(HEADERS[index].0, Some(&value));
    }
}
