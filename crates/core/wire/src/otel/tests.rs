use super::*;
use crate::otel::proto::{
    AnyValue, ArrayValue, KeyValue, KeyValueList, Kind, Resource, ResourceSpans, Scope, ScopeSpans, Span,
    SpanEvent, Status,
};
use proptest::prelude::*;
use prost::Message;
use serde_json::{Value, json};
use std::io::Write;

const START: u64 = 1_795_176_000_000_000_000;

fn written(value: &Value) -> AnyValue {
    let kind = match value {
        Value::String(text) => Kind::Text(text.clone()),
        Value::Bool(flag) => Kind::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(int) => Kind::Int(int),
            None => Kind::Double(number.as_f64().unwrap()),
        },
        Value::Array(values) => Kind::Array(ArrayValue { values: values.iter().map(written).collect() }),
        Value::Object(_) => Kind::Object(KeyValueList { values: attributes(value) }),
        Value::Null => return AnyValue::default(),
    };
    AnyValue { kind: Some(kind) }
}

fn attributes(values: &Value) -> Vec<KeyValue> {
    let pairs = values.as_object().unwrap().iter();
    pairs.map(|(key, value)| KeyValue { key: key.clone(), value: Some(written(value)) }).collect()
}

fn span(values: Value) -> Span {
    Span {
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        parent_span_id: vec![9; 8],
        name: "chat gpt".to_owned(),
        start_time_unix_nano: START,
        end_time_unix_nano: START + 1_500_000_000,
        attributes: attributes(&values),
        ..Span::default()
    }
}

fn export(resource: Value, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { scope: Some(Scope { version: "2.1".to_owned() }), spans }];
    let resource = Some(Resource { attributes: attributes(&resource) });
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
}

fn request<'a>(body: &'a [u8], content_type: &'a str) -> Request<'a> {
    Request {
        body,
        content_type: Some(content_type),
        content_encoding: None,
        authorization: Some("Bearer phc_test"),
    }
}

fn protobuf(body: &[u8]) -> Result<Traces, Rejection> {
    parse(&request(body, "application/x-protobuf"), &Limits::default())
}

fn json(body: &str) -> Result<Traces, Rejection> {
    parse(&request(body.as_bytes(), "application/json; charset=utf-8"), &Limits::default())
}

fn events(resource: Value, spans: Vec<Span>) -> Vec<Value> {
    let traces = protobuf(&export(resource, spans).encode_to_vec()).unwrap();
    let events: Vec<Value> = serde_json::from_str(&traces.json).unwrap();
    assert_eq!(events.len(), traces.events);
    events
}

fn event(values: Value) -> Value {
    events(json!({}), vec![span(values)]).remove(0)
}

#[test]
fn generation() {
    let resource = json!({"service.name": "app", "posthog.distinct_id": "u", "host.name": "h", "os.type": "linux",
        "process.pid": 4, "telemetry.sdk.language": "python", "foo": "bar"});
    let values = json!({
        "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt",
        "gen_ai.response.model": "gpt-1", "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3,
        "gen_ai.input.messages": "[{\"role\":\"user\",\"content\":\"hi\"}]",
        "gen_ai.output.messages": "[{\"role\":\"assistant\"}]", "gen_ai.request.temperature": 0.5,
        "server.address": "api", "custom": ["a", 1, {"b": true}],
    });
    let event = events(resource, vec![span(values)]).remove(0);
    assert_eq!(
        event,
        json!({
            "uuid": event["uuid"],
            "event": "$ai_generation",
            "distinct_id": "u",
            "timestamp": "2026-11-20T12:00:00Z",
            "properties": {
                "service.name": "app", "foo": "bar", "gen_ai.request.temperature": 0.5,
                "custom": ["a", 1, {"b": true}], "$geoip_disable": true,
                "$ai_trace_id": "0102030405060708090a0b0c0d0e0f10", "$ai_span_id": "0102030405060708",
                "$ai_parent_id": "0909090909090909", "$ai_ingestion_source": "otel", "$lib": "posthog-otel",
                "$lib_version": "2.1", "$ai_span_name": "chat gpt", "$ai_latency": 1.5,
                "$ai_input": [{"role": "user", "content": "hi"}], "$ai_output_choices": [{"role": "assistant"}],
                "$ai_input_tokens": 12, "$ai_output_tokens": 3, "$ai_model": "gpt-1", "$ai_provider": "openai",
                "$ai_base_url": "api",
            }
        })
    );
}

#[test]
fn which_event_a_span_becomes() {
    for (values, is_root, expected) in [
        (json!({"gen_ai.operation.name": "chat"}), true, Some("$ai_generation")),
        (json!({"gen_ai.operation.name": "text_completion"}), false, Some("$ai_generation")),
        (json!({"gen_ai.operation.name": "embeddings"}), false, Some("$ai_embedding")),
        (json!({"gen_ai.operation.name": "execute_tool"}), false, Some("$ai_span")),
        (json!({"gen_ai.operation.name": "invoke_agent"}), true, Some("$ai_trace")),
        (json!({"gen_ai.system": "x"}), false, Some("$ai_span")),
        (json!({"gen_ai.operation.name": "chat", "ai.operationId": "ai.toolCall"}), false, Some("$ai_span")),
        (json!({"gen_ai.operation.name": "chat", "ai.usage.x": 1}), false, Some("$ai_generation")),
        (json!({"ai.operationId": "ai.generateText.doGenerate"}), false, Some("$ai_generation")),
        (json!({"ai.operationId": "ai.streamText.doStream"}), false, Some("$ai_generation")),
        (json!({"ai.operationId": "ai.embed.doEmbed"}), false, Some("$ai_embedding")),
        (json!({"ai.operationId": "ai.generateText"}), true, Some("$ai_trace")),
        (json!({"eve.session.id": "s"}), false, Some("$ai_span")),
        (json!({"pydantic_ai.agent_name": "a"}), false, Some("$ai_span")),
        (json!({"traceloop.workflow.name": "w"}), false, Some("$ai_span")),
        (json!({"llm.request.type": "chat"}), false, Some("$ai_generation")),
        (json!({"llm.request.type": "embedding", "gen_ai.system": "x"}), false, Some("$ai_embedding")),
        (json!({"llm.request.type": "rerank"}), false, Some("$ai_span")),
        (json!({"http.request.method": "POST"}), true, None),
        (json!({"logfire.msg": "x", "llm.model": "y"}), true, None),
        (json!({}), true, None),
    ] {
        let mut span = span(values.clone());
        if is_root {
            span.parent_span_id = vec![0; 8];
        }
        let events = events(json!({}), vec![span]);
        let name = events.first().map(|event| event["event"].as_str().unwrap());
        assert_eq!(name, expected, "{values}");
        let parent = events.first().and_then(|event| event["properties"].get("$ai_parent_id"));
        assert_eq!(parent.is_some(), !is_root && expected.is_some(), "{values}");
    }
}

#[test]
fn whom_it_belongs_to() {
    let nobody = "0102030405060708090a0b0c0d0e0f10";
    for (resource, values, expected) in [
        (json!({}), json!({}), nobody),
        (json!({"user.id": "r"}), json!({}), "r"),
        (json!({"user.id": "r", "posthog.distinct_id": "p"}), json!({}), "p"),
        (json!({"posthog.distinct_id": "p"}), json!({"user.id": "s"}), "s"),
        (json!({}), json!({"enduser.id": "e"}), "e"),
        (json!({}), json!({"user.id": "s", "posthog.distinct_id": "d"}), "d"),
        (
            json!({}),
            json!({"posthog.distinct_id": "d", "ai.telemetry.metadata.posthog_distinct_id": "m"}),
            "m",
        ),
        (json!({"user.id": "r"}), json!({"user.id": " "}), "r"),
        (json!({}), json!({"user.id": 42}), nobody),
    ] {
        let mut values = values;
        values["gen_ai.system"] = json!("x");
        let event = events(resource, vec![span(values.clone())]).remove(0);
        assert_eq!(event["distinct_id"], expected, "{values}");
        let properties = event["properties"].as_object().unwrap();
        let personless = properties.get("$process_person_profile") == Some(&json!(false));
        assert_eq!(personless, expected == nobody, "{values}");
        assert!(!properties.contains_key("user.id") && !properties.contains_key("posthog.distinct_id"));
    }
}

#[test]
fn an_export_sent_again_has_the_same_uuids() {
    let values = json!({"gen_ai.system": "x"});
    let first = events(json!({"user.id": "u"}), vec![span(values.clone())]);
    let again = events(json!({"user.id": "u"}), vec![span(json!({"gen_ai.system": "x", "late": 1}))]);
    assert_eq!(first[0]["uuid"], again[0]["uuid"]);
    let other = Span { span_id: vec![8; 8], ..span(values.clone()) };
    assert_ne!(first[0]["uuid"], events(json!({}), vec![other])[0]["uuid"]);
    // without ids the content decides
    let bare = |name: &str| Span {
        trace_id: vec![],
        span_id: vec![],
        name: name.to_owned(),
        ..span(values.clone())
    };
    let bare = events(json!({}), vec![bare("a"), bare("a"), bare("b")]);
    assert_eq!(bare[0]["uuid"], bare[1]["uuid"]);
    assert_ne!(bare[0]["uuid"], bare[2]["uuid"]);
    assert_eq!(bare[0]["uuid"], bare[0]["distinct_id"]);
}

#[test]
fn failures() {
    let failed = |message: &str, event: Option<Value>, values: Value| {
        let mut values = values;
        values["gen_ai.system"] = json!("x");
        let events =
            event.map(|event| SpanEvent { name: "exception".to_owned(), attributes: attributes(&event) });
        let status = Some(Status { message: message.to_owned(), code: 2 });
        let span = Span { status, events: events.into_iter().collect(), ..span(values) };
        let event = events_of(span);
        (event["$ai_error"].clone(), event["$ai_http_status"].clone(), event["$ai_is_error"].clone())
    };
    for (got, error, code) in [
        (failed("provider failed", None, json!({})), "provider failed", 500),
        (failed("", None, json!({})), "OpenTelemetry span status error", 500),
        (failed("Status code: 429", None, json!({})), "Status code: 429", 429),
        (failed("x", None, json!({"http.status_code": "503"})), "x", 503),
        (failed("x", Some(json!({"exception.type": "T", "exception.message": "m"})), json!({})), "T: m", 500),
        (
            failed("HTTP 401", Some(json!({"exception.message": "got HTTP 429 back"})), json!({})),
            "got HTTP 429 back",
            429,
        ),
        (failed("x", Some(json!({"exception.type": "T", "status_code": 404})), json!({})), "T", 404),
        (failed("x", None, json!({"$ai_error": "mine", "$ai_http_status": 418})), "mine", 418),
    ] {
        assert_eq!(got, (json!(error), json!(code), json!(true)));
    }
    let fine = Span {
        status: Some(Status { message: "x".to_owned(), code: 1 }),
        ..span(json!({"gen_ai.system": "x"}))
    };
    assert_eq!(events_of(fine).get("$ai_is_error"), None);
}

fn events_of(span: Span) -> Value {
    events(json!({}), vec![span]).remove(0)["properties"].take()
}

#[test]
fn older_ways_to_write_messages() {
    let event_list = json!([
        {"event.name": "gen_ai.user.message", "content": "second", "gen_ai.message.index": 1},
        {"event.name": "gen_ai.system.message", "content": "first", "gen_ai.message.index": 0},
        {"event.name": "gen_ai.choice", "message": {"role": "assistant", "content": "yes"}},
        {"event.name": "gen_ai.choice", "content": "no", "index": 1},
        {"event.name": "other"}, 5,
    ]);
    let properties =
        event(json!({"gen_ai.system": "x", "events": event_list.to_string()}))["properties"].take();
    assert_eq!(
        properties["$ai_input"],
        json!([{"role": "system", "content": "first"}, {"role": "user", "content": "second"}])
    );
    assert_eq!(
        properties["$ai_output_choices"],
        json!([{"role": "assistant", "content": "yes"}, {"content": "no"}])
    );
    assert_eq!(properties.get("events"), None);

    let properties = event(
        json!({"gen_ai.system": "x", "gen_ai.prompt.1.content": "b", "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "a", "gen_ai.completion.0.content": "c", "gen_ai.prompt.x": "kept"}),
    )["properties"]
        .take();
    assert_eq!(properties["$ai_input"], json!([{"role": "user", "content": "a"}, {"content": "b"}]));
    assert_eq!(properties["$ai_output_choices"], json!([{"content": "c"}]));
    assert_eq!(properties["gen_ai.prompt.x"], "kept");
    assert_eq!(properties.get("gen_ai.prompt.1.content"), None);

    let properties = event(json!({"ai.prompt.messages": "[1]", "ai.response.text": "t", "ai.model.id": "m",
        "ai.usage.promptTokens": 4, "ai.model.provider": "p"}))["properties"]
        .take();
    assert_eq!(properties["$ai_input"], json!([1]));
    assert_eq!(properties["$ai_output_choices"], json!([{"role": "assistant", "content": "t"}]));
    assert_eq!((&properties["$ai_model"], &properties["$ai_input_tokens"]), (&json!("m"), &json!(4)));
}

#[test]
fn system_instructions_come_first() {
    let parts =
        json!([{"type": "text", "content": "a"}, {"type": "image"}, {"type": "text", "content": "b"}])
            .to_string();
    for (written, input, expected) in [
        (json!("be kind"), None, json!([{"role": "system", "content": "be kind"}])),
        (json!(parts), None, json!([{"role": "system", "content": "a\n\nb"}])),
        (
            json!("s"),
            Some("[{\"role\":\"user\"}]"),
            json!([{"role": "system", "content": "s"}, {"role": "user"}]),
        ),
        (json!("s"), Some("[{\"role\":\"system\"}]"), json!([{"role": "system"}])),
        (json!("s"), Some("not json"), json!("not json")),
        (json!(""), None, Value::Null),
    ] {
        let mut values = json!({"gen_ai.system_instructions": written});
        if let Some(input) = input {
            values["gen_ai.input.messages"] = json!(input);
        }
        assert_eq!(event(values)["properties"]["$ai_input"], expected, "{written}");
    }
}

#[test]
fn small_rules() {
    let get = |values: Value, key: &str| {
        let mut values = values;
        values["gen_ai.system"] = json!("x");
        event(values)["properties"].get(key).cloned()
    };
    assert_eq!(get(json!({"posthog.geoip_disable": false}), "$geoip_disable"), Some(json!(false)));
    assert_eq!(get(json!({"$geoip_disable": false}), "$geoip_disable"), Some(json!(false)));
    assert_eq!(get(json!({"$lib": "mine"}), "$lib"), Some(json!("mine")));
    assert_eq!(get(json!({"$ai_gateway_verified": true}), "$ai_gateway_verified"), None);
    assert_eq!(get(json!({"gen_ai.conversation.id": "c"}), "$ai_session_id"), Some(json!("c")));
    assert_eq!(
        get(json!({"$ai_session_id": "s", "gen_ai.conversation.id": "c"}), "$ai_session_id"),
        Some(json!("s"))
    );
    assert_eq!(get(json!({"nan": f64::NAN}), "nan"), None);
    let timeless = Span { start_time_unix_nano: 0, ..span(json!({"gen_ai.system": "x"})) };
    let event = events(json!({}), vec![timeless]).remove(0);
    assert_eq!((event.get("timestamp"), event["properties"].get("$ai_latency")), (None, None));
    let backwards = Span { end_time_unix_nano: 5, ..span(json!({"gen_ai.system": "x"})) };
    assert_eq!(events_of(backwards).get("$ai_latency"), None);
}

/// The pump reads the stored text as a v0 body.
#[test]
fn what_comes_out_is_a_v0_batch() {
    let values = json!({"gen_ai.operation.name": "chat", "token": "other", "user.id": "u"});
    let traces =
        protobuf(&export(json!({}), vec![span(values.clone()), span(values)]).encode_to_vec()).unwrap();
    let request = crate::capture::parse(event::Route::AiBatch, &traces.json).unwrap();
    assert_eq!(request.events.len(), 2);
    assert!(request.events.iter().all(|raw| raw.event.as_deref() == Some("$ai_generation")));
    assert!(matches!(crate::capture::token(&request, None), Err(Rejection::NoToken)));
}

#[test]
fn json_and_protobuf_agree() {
    let text = json!({"resourceSpans": [{"resource": {"attributes": [{"key": "user.id", "value": {"stringValue": "u"}}]},
        "scopeSpans": [{"scope": {"name": "n", "version": "2.1"}, "spans": [{
            "traceId": "0102030405060708090A0B0C0D0E0F10", "spanId": "0102030405060708", "parentSpanId": "0909090909090909",
            "name": "chat gpt", "kind": 3, "startTimeUnixNano": START.to_string(), "endTimeUnixNano": START + 1_500_000_000,
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                {"key": "int", "value": {"intValue": "7"}}, {"key": "int2", "value": {"intValue": 8}},
                {"key": "double", "value": {"doubleValue": 1.5}}, {"key": "bool", "value": {"boolValue": false}},
                {"key": "bytes", "value": {"bytesValue": "q80="}},
                {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {}]}}},
                {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}}},
                {"key": "none", "value": {}}, {"key": "null", "value": null}, {"key": "absent"},
                {"key": "nulls", "value": {"doubleValue": null, "stringValue": "s"}}, {"key": "new", "value": {"x": [1]}},
            ],
            "events": null, "links": [{}], "droppedAttributesCount": 0,
            "status": {"code": "STATUS_CODE_ERROR", "message": "bad"}}]}]}]})
    .to_string();
    let from_json = json(&text).unwrap();
    assert_eq!((from_json.spans, from_json.events, from_json.format), (1, 1, Format::Json));

    let mut values = json!({"gen_ai.operation.name": "chat", "int": 7, "int2": 8, "double": 1.5, "bool": false, "bytes": 0,
        "list": ["a", null], "map": {"k": 1}, "none": null, "nulls": "s"});
    values.as_object_mut().unwrap().shift_remove("none");
    let mut span = span(values);
    span.attributes[5].value = Some(AnyValue { kind: Some(Kind::Bytes(vec![0xab, 0xcd])) });
    span.status = Some(Status { code: 2, message: "bad".to_owned() });
    let from_protobuf = protobuf(&export(json!({"user.id": "u"}), vec![span]).encode_to_vec()).unwrap();
    assert_eq!(from_json.json, from_protobuf.json);
    assert_eq!(from_protobuf.format, Format::Protobuf);
    assert!(
        from_json.json.contains(r#""bytes":"abcd","list":["a"],"map":{"k":1},"nulls":"s""#),
        "{}",
        from_json.json
    );
}

#[test]
fn answers_are_empty_exports() {
    assert_eq!(
        (Format::Protobuf.content_type(), Format::Protobuf.answer()),
        ("application/x-protobuf", &b""[..])
    );
    assert_eq!((Format::Json.content_type(), Format::Json.answer()), ("application/json", &b"{}"[..]));
    let none = json("{}").unwrap();
    assert_eq!((none.events, none.json.as_str(), none.token.as_str()), (0, "[]", "phc_test"));
    assert_eq!(
        json(r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{},{"name":"GET /"}]}]}]}"#).unwrap().spans,
        2
    );
}

#[test]
fn refusals() {
    let body = export(json!({}), vec![span(json!({"gen_ai.system": "x"}))]).encode_to_vec();
    let good = request(&body, "application/x-protobuf");
    for (request, tag) in [
        (Request { body: b"", ..good }, "empty_payload"),
        (Request { authorization: None, ..good }, "no_token"),
        (Request { authorization: Some("Basic x"), ..good }, "no_token"),
        (Request { authorization: Some("Bearer phx_x"), ..good }, "invalid_token"),
        (Request { content_type: None, ..good }, "req_decoding"),
        (Request { content_type: Some("text/plain"), ..good }, "req_decoding"),
        (Request { content_encoding: Some("br"), ..good }, "req_decoding"),
        (Request { content_encoding: Some("gzip"), ..good }, "req_decoding"),
        (Request { body: b"\xff\xff", ..good }, "req_parsing"),
        (Request { body: &body[..body.len() - 1], ..good }, "req_parsing"),
        (Request { body: b"\xff", content_type: Some("application/json"), ..good }, "req_decoding"),
    ] {
        let rejection = parse(&request, &Limits::default()).unwrap_err();
        assert_eq!(rejection.tag(), tag, "{request:?}");
    }
    for text in [
        "[]",
        "nope",
        r#"{"resourceSpans":5}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#,
    ] {
        assert_eq!(json(text).unwrap_err().tag(), "req_parsing", "{text}");
    }
}

#[test]
fn gzip() {
    let body = export(json!({}), vec![span(json!({"gen_ai.system": "x"}))]).encode_to_vec();
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(&body).unwrap();
    let zipped = writer.finish().unwrap();
    let named = Request { content_encoding: Some("gzip"), ..request(&zipped, "application/x-protobuf") };
    assert_eq!(parse(&named, &Limits::default()), protobuf(&body));
    let small = Limits { body: body.len() - 1, ..Limits::default() };
    assert_eq!(parse(&named, &small).unwrap_err().tag(), "oversize_event");
}

#[test]
fn bounds() {
    let values = json!({"gen_ai.system": "x"});
    let body = export(json!({}), vec![span(values.clone()); 3]).encode_to_vec();
    let with = |limits: Limits| parse(&request(&body, "application/x-protobuf"), &limits);
    assert_eq!(with(Limits { spans: 3, ..Limits::default() }).unwrap().events, 3);
    assert_eq!(with(Limits { spans: 2, ..Limits::default() }).unwrap_err().tag(), "req_parsing");
    assert_eq!(with(Limits { event: 100, ..Limits::default() }).unwrap_err().tag(), "oversize_event");
    assert_eq!(with(Limits { events: 600, ..Limits::default() }).unwrap_err().tag(), "oversize_event");
    // attributes of the resource are copied into every event, also those that do not stay
    let shared = json!({"gen_ai.system_instructions": "x".repeat(600_000)});
    let body = export(shared, vec![span(values.clone()); 3]).encode_to_vec();
    let with = |limits: Limits| parse(&request(&body, "application/x-protobuf"), &limits);
    assert!(with(Limits::default()).is_ok());
    assert_eq!(with(Limits { events: 1_500_000, ..Limits::default() }).unwrap_err().tag(), "oversize_event");
    let text = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{},{},{}]}]}]}"#;
    let limits = Limits { spans: 2, ..Limits::default() };
    assert_eq!(
        parse(&request(text.as_bytes(), "application/json"), &limits).unwrap_err().tag(),
        "req_parsing"
    );

    // two bytes each on the wire, hundreds in memory
    let framed = |key: u8, body: Vec<u8>| {
        let mut message = vec![key];
        prost::encoding::encode_varint(body.len() as u64, &mut message);
        [message, body].concat()
    };
    let bomb = framed(0x0a, framed(0x12, [0x12u8, 0].repeat(1_000_000)));
    assert!(protobuf(&bomb).unwrap_err().to_string().contains("Too many spans"));
    let bomb =
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#, "{},".repeat(600_000));
    assert!(json(&bomb).unwrap_err().to_string().contains("too many parts"));
}

#[test]
fn deep_values_are_cut() {
    let mut deep = json!("core");
    for _ in 0..40 {
        deep = json!([deep]);
    }
    let body = export(json!({}), vec![span(json!({"gen_ai.system": "x", "deep": deep}))]).encode_to_vec();
    assert!(protobuf(&body).unwrap_err().to_string().contains("deeper"));
    let mut deep = json!("core");
    for _ in 0..26 {
        deep = json!([deep]);
    }
    let properties = event(json!({"gen_ai.system": "x", "deep": deep}))["properties"].take();
    assert!(properties["deep"].to_string().contains("null"));
    for (depth, is_text) in [(64, false), (65, true), (120, true)] {
        let text = "[".repeat(depth) + &"]".repeat(depth);
        let values = json!({"gen_ai.system": "x", "gen_ai.input.messages": [text]});
        let traces = protobuf(&export(json!({}), vec![span(values)]).encode_to_vec()).unwrap();
        assert!(crate::json::clean(traces.json.as_bytes()).is_ok());
        assert_eq!(traces.json.contains("\"$ai_input\":[\"[["), is_text, "{depth}");
    }
    let text = format!(r#"{{"resourceSpans":[{}1"#, "[".repeat(500));
    assert_eq!(json(&text).unwrap_err().tag(), "req_parsing");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = protobuf(&bytes);
        let _ = parse(&request(&bytes, "application/json"), &Limits::default());
    }

    #[test]
    fn damaged_exports_are_read_without_panic(at in 0usize..200, byte in any::<u8>()) {
        let mut body = export(json!({"user.id": "u"}), vec![span(json!({"gen_ai.system": "x", "l": [1, {"a": "b"}]}))]).encode_to_vec();
        let at = at % body.len();
        body[at] = byte;
        if let Ok(traces) = protobuf(&body) {
            let events: Vec<Value> = serde_json::from_str(&traces.json).unwrap();
            prop_assert_eq!(events.len(), traces.events);
        }
    }

    #[test]
    fn any_attribute_is_converted_without_panic(key in "(gen_ai|ai|events|llm|gen_ai.prompt)[.a-z0-9]{0,12}", text in ".{0,30}") {
        let span = span(json!({"gen_ai.system": "x", key: text.clone(), "events": text.clone(), "gen_ai.system_instructions": text}));
        let _ = protobuf(&export(json!({}), vec![span]).encode_to_vec());
    }
}
