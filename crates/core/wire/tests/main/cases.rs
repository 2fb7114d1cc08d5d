use event::normalize::{self, Context};
use event::{CapturedEvent, Received, Rejection, Route, event_size};
use serde::Deserialize;
use serde_json::{Map, Value};
use wire::answer::{self, Answer};
use wire::capture_query::Query;
use wire::encoding::{Codec, Encoded, decode, decode_stored};
use wire::{ai, capture, json, replay, v1};

const TOKEN: &str = "phc_fixture";
const NOW: &str = "2026-11-20T12:00:00Z";
const BUDGET: usize = 50 * 1024 * 1024;

#[derive(Deserialize)]
struct Case {
    id: String,
    title: String,
    #[serde(default)]
    needs: Vec<String>,
    request: Request,
    expect: Expect,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    path: String,
    headers: Map<String, Value>,
    body: Option<Body>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Text(String),
    Base64(String),
    Fill { prefix: String, unit: String, times: usize, suffix: String },
    Stall {},
}

#[derive(Deserialize)]
struct Expect {
    status: u16,
    body: Option<String>,
    body_contains: Option<Value>,
    json: Option<Value>,
    events: Option<Vec<Map<String, Value>>>,
    recordings: Option<Vec<Map<String, Value>>>,
}

impl Body {
    fn bytes(&self) -> Vec<u8> {
        use base64::Engine;
        match self {
            Self::Text(text) => bind(text).into_bytes(),
            Self::Base64(text) => base64::engine::general_purpose::STANDARD.decode(text).unwrap(),
            Self::Fill { prefix, unit, times, suffix } => {
                format!("{}{}{suffix}", bind(prefix), unit.repeat(*times)).into_bytes()
            }
            Self::Stall {} => Vec::new(),
        }
    }
}

fn bind(text: &str) -> String {
    text.replace("$TOKEN", TOKEN).replace("$NOW", NOW)
}

fn bind_value(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(bind(text)),
        Value::Array(items) => items.iter().map(bind_value).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), bind_value(value))).collect(),
        other => other.clone(),
    }
}

fn route(path: &str) -> Option<Route> {
    Some(match path.trim_end_matches('/') {
        "/e" | "/capture" | "/track" | "/i/v0/e" | "/batch" => Route::Events,
        "/engage" => Route::Engage,
        "/identify" => Route::Identify,
        "/alias" => Route::Alias,
        "/groups" => Route::Groups,
        "/i/v0/ai/batch" => Route::AiBatch,
        "/s" => Route::Replay,
        "/i/v1/analytics/events" => Route::V1,
        "/i/v1/ai/events" => Route::V1Ai,
        _ => return None,
    })
}

/// What a request left behind.
#[derive(Default)]
struct Stored {
    events: Vec<CapturedEvent>,
    recordings: Vec<Map<String, Value>>,
}

/// What the server does, without the server.
fn accept(request: &Request, route: Route) -> (Answer, Stored) {
    let header = |name: &str| request.headers.get(name).and_then(Value::as_str);
    let (_, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let query_text = bind(query);
    let query = Query::parse(&query_text);
    let body = request.body.as_ref().map(Body::bytes).unwrap_or_default();
    let input = Encoded {
        data: query.data.as_deref(),
        compression: query.compression.as_deref(),
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        body: &body,
        budget: BUDGET,
    };
    let envelope = serde_json::json!({"route": route, "project": 1, "token": TOKEN, "at": NOW, "seed": 7,
        "ip": "203.0.113.7", "user_agent": header("user-agent"), "sent_at": query.sent_at});
    let mut received: Received = serde_json::from_value(envelope).unwrap();
    match read(&input, &query, &mut received) {
        Ok(stored) => (answer::ok(query.beacon), stored),
        Err(rejection) => (answer::refusal(&rejection), Stored::default()),
    }
}

fn read(input: &Encoded<'_>, query: &Query<'_>, received: &mut Received) -> Result<Stored, Rejection> {
    let decoded = decode(input)?;
    received.sent_at = received.sent_at.or(decoded.form.sent_at);
    let text = json::text(&decoded.json)?;
    let log = match decoded.stored {
        Codec::Gzip => input.body,
        Codec::Plain => &decoded.json,
    };
    assert_eq!(
        decode_stored(decoded.stored, log, BUDGET).unwrap(),
        decoded.json,
        "the log reads as the door did"
    );
    if received.route == Route::Replay {
        let request = replay::parse(&text)?;
        assert_eq!(replay::token(&request, query.token.as_deref())?, TOKEN);
        let recordings = replay::recordings(&request, received)?;
        return Ok(Stored { events: Vec::new(), recordings: recordings.iter().map(shown).collect() });
    }
    let request = capture::parse(received.route, &text)?;
    assert_eq!(capture::token(&request, query.token.as_deref())?, TOKEN);
    let context = Context { sent_at: request.sent_at, historical: request.historical_migration, index: 0 };
    let mut events = Vec::new();
    for (index, raw) in request.events.iter().enumerate() {
        if normalize::is_discarded(raw) {
            continue;
        }
        event_size::check(raw, &event_size::Limits::default())?;
        let head = normalize::head(raw, received, context.at(index))?;
        let event =
            normalize::capture(raw, received, context.at(index)).expect("capture takes what head took");
        assert_eq!((event.uuid, &*event.event), (head.uuid, &*head.event));
        assert_eq!((event.timestamp, &*event.distinct_id), (head.timestamp, &*head.distinct_id));
        events.push(event);
    }
    Ok(Stored { events, recordings: Vec::new() })
}

/// The same for capture v1, whose whole contract is in `wire::v1`.
fn accept_v1(request: &Request, route: Route) -> (Answer, Stored) {
    let (status, body, events) = match read_v1(request, route) {
        Ok((body, events)) => (200, body, events),
        Err(error) => (error.status(), error.body(), Vec::new()),
    };
    let answer = Answer { status, content_type: Some("application/json"), body: body.into() };
    (answer, Stored { events, recordings: Vec::new() })
}

fn read_v1(request: &Request, route: Route) -> Result<(String, Vec<CapturedEvent>), v1::Error> {
    let headers: Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), bind_value(value))).collect();
    let head = v1::headers(|name| headers.get(&name.to_ascii_lowercase()).and_then(Value::as_str))?;
    let body = request.body.as_ref().map(Body::bytes).unwrap_or_default();
    let decoded = v1::decode(&body, head.encoding, BUDGET)?;
    let text = json::clean(&decoded)?;
    let batch = v1::parse(&text)?;
    let envelope = serde_json::json!({"route": route, "project": 1, "token": head.token, "at": NOW, "seed": 7,
        "sent_at": head.sent_at, "sdk": head.sdk});
    let received: Received = serde_json::from_value(envelope).unwrap();
    let limits = event_size::Limits::default();
    let verdicts = v1::verdicts(&batch, &received, &limits);
    Ok((v1::results(&verdicts), v1::accepted(&text, &received, &limits)?.collect()))
}

fn shown(recording: &replay::Recording<'_>) -> Map<String, Value> {
    let value = serde_json::json!({
        "session_id": recording.session_id, "window_id": recording.window_id,
        "distinct_id": recording.distinct_id, "snapshot_source": recording.snapshot_source,
        "host": recording.host, "lib": recording.lib, "lib_version": recording.lib_version,
        "items": recording.items.iter().map(|item| item.get()).collect::<Vec<_>>(),
    });
    value.as_object().cloned().unwrap()
}

/// Whether `found` has all of `wanted`: objects by the fields named, lists item by item.
fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| holds(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(found, wanted)| holds(found, wanted))
        }
        _ => found == wanted,
    }
}

/// The same for AI multipart, whose parts become the body of an ordinary single event.
fn accept_ai(request: &Request) -> (Answer, Stored) {
    let headers: Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), bind_value(value))).collect();
    let header = |name: &str| headers.get(name).and_then(Value::as_str);
    let body = request.body.as_ref().map(Body::bytes).unwrap_or_default();
    let request = ai::Request {
        body: &body,
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        authorization: header("authorization"),
    };
    let event = match ai::parse(&request, &ai::Limits::default()) {
        Ok(event) => event,
        Err(rejection) => return (answer::refusal(&rejection), Stored::default()),
    };
    assert_eq!(event.token, TOKEN);
    let envelope =
        serde_json::json!({"route": "ai_batch", "project": 1, "token": TOKEN, "at": NOW, "seed": 7});
    let received: Received = serde_json::from_value(envelope).unwrap();
    let parsed = capture::parse(Route::AiBatch, &event.json).unwrap();
    let events = vec![normalize::capture(&parsed.events[0], &received, Context::default()).unwrap()];
    let answer = Answer { status: 200, content_type: Some("application/json"), body: event.answer().into() };
    (answer, Stored { events, recordings: Vec::new() })
}

/// What is wrong with one stored event, compared with the fields that the case names.
fn differs(event: &CapturedEvent, expect: &Map<String, Value>) -> Option<String> {
    let subset = |part: &Map<String, Value>, of: &Value| {
        let wanted = of.as_object().unwrap();
        wanted.iter().all(|(key, value)| part.get(key) == Some(value))
    };
    let absent = |part: &Map<String, Value>, keys: &Value| {
        keys.as_array().unwrap().iter().all(|key| !part.contains_key(key.as_str().unwrap()))
    };
    for (key, value) in expect {
        let value = &bind_value(value);
        let right = match key.as_str() {
            "event" => value == &event.event,
            "distinct_id" => value == &event.distinct_id,
            "uuid" => value == &event.uuid.to_string(),
            "timestamp" => value == &event.timestamp.to_string(),
            "uuid_v7_at" => {
                let millis = value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond();
                event.uuid.get_version_num() == 7 && (event.uuid.as_u128() >> 80) as i64 == millis
            }
            "properties" => subset(&event.properties.to_map(), value),
            "properties_absent" => absent(&event.properties.to_map(), value),
            "extra" => subset(&event.extra, value),
            "extra_absent" => absent(&event.extra, value),
            "force_personless" => *value == event.force_personless,
            "historical" => *value == event.historical,
            "ip" => value.as_str() == event.ip.as_deref(),
            "context" => value.as_str() == event.context.as_deref(),
            "warnings" => {
                value.as_array().unwrap().iter().eq(event.warnings.iter().map(|warning| &warning.kind))
            }
            other => panic!("no such expectation: {other}"),
        };
        if !right {
            return Some(format!("{key} should be {value} in {event:?}"));
        }
    }
    None
}

fn check(case: &Case, answer: &Answer, stored: &Stored) -> Result<(), String> {
    let expect = &case.expect;
    if answer.status != expect.status {
        return Err(format!("status {} instead of {}: {}", answer.status, expect.status, answer.body));
    }
    if expect.body.as_ref().is_some_and(|body| *body != answer.body) {
        return Err(format!("body {:?}", answer.body));
    }
    let parts = match &expect.body_contains {
        Some(Value::Array(parts)) => parts.as_slice(),
        Some(part) => std::slice::from_ref(part),
        None => &[],
    };
    if let Some(part) = parts.iter().filter_map(Value::as_str).find(|part| !answer.body.contains(*part)) {
        return Err(format!("body {:?} lacks {part:?}", answer.body));
    }
    if let Some(json) = &expect.json
        && !holds(&serde_json::from_str(&answer.body).unwrap_or_default(), json)
    {
        return Err(format!("body {:?}", answer.body));
    }
    if let Some(events) = &expect.events {
        if events.len() != stored.events.len() {
            return Err(format!("{} events instead of {}", stored.events.len(), events.len()));
        }
        for (event, expect) in stored.events.iter().zip(events) {
            differs(event, expect).map_or(Ok(()), Err)?;
        }
    }
    if let Some(recordings) = &expect.recordings {
        let fits = |(found, wanted): (&Map<String, Value>, &Map<String, Value>)| {
            wanted.iter().all(|(key, value)| found.get(key) == Some(&bind_value(value)))
        };
        if recordings.len() != stored.recordings.len() || !stored.recordings.iter().zip(recordings).all(fits)
        {
            return Err(format!("recordings {:?}", stored.recordings));
        }
    }
    Ok(())
}

#[test]
fn every_case_that_needs_no_server_holds() {
    let text = include_str!("../../../../../fixtures/capture/cases.json");
    let cases: Vec<Case> = serde_json::from_str(text).unwrap();
    let mut ran = 0;
    let mut wrong = Vec::new();
    for case in &cases {
        let decidable = case
            .needs
            .iter()
            .all(|need| matches!(need.as_str(), "replay" | "v1" | "ai" | "large" | "dedup" | "cookieless"));
        let path = case.request.path.split('?').next().unwrap_or_default();
        let decidable = decidable && matches!(case.request.method.as_str(), "GET" | "POST");
        let (answer, stored) = match route(path).filter(|_| decidable) {
            Some(route) if route.is_v1() => accept_v1(&case.request, route),
            Some(route) => accept(&case.request, route),
            None if decidable && path == "/i/v0/ai" => accept_ai(&case.request),
            None => continue,
        };
        ran += 1;
        if let Err(reason) = check(case, &answer, &stored) {
            wrong.push(format!("{} {}: {reason}", case.id, case.title));
        }
    }
    assert!(wrong.is_empty(), "{} of {ran}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(cases.len() >= 120 && ran >= 260, "{ran} of {} cases ran", cases.len());
}
