use event::{Received, Rejection, Route, normalize};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;
use wire::encoding::{Codec, Encoded, decode, decode_stored};
use wire::{capture, json, replay};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn received(route: Route) -> Received {
    let envelope = serde_json::json!({"route": route, "project": 1, "token": "T", "at": "2026-11-20T12:00:00Z", "seed": 7});
    serde_json::from_value(envelope).unwrap()
}

/// Bytes that get past the first look: right magic, JSON-like, or anything.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..400);
    let magic = prop_oneof![
        Just(vec![0x1f, 0x8b, 8, 0]),
        Just(vec![0x1f, 0x8b, 8, 0x1e]),
        Just(vec![0x28, 0xb5, 0x2f, 0xfd]),
        Just(b"data=".to_vec()),
        Just(b"{\"batch\":[{\"event\":\"".to_vec()),
    ];
    prop_oneof![
        bytes(),
        (magic, bytes()).prop_map(|(mut magic, rest)| {
            magic.extend(rest);
            magic
        }),
        bytes().prop_map(|bytes| gzip(&bytes)),
        (bytes(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(bytes, at, byte)| {
            let mut packed = gzip(&bytes);
            let place = at.index(packed.len());
            packed[place] = byte;
            packed
        }),
        "[A-Za-z0-9+/=_-]{0,200}".prop_map(String::into_bytes),
    ]
}

fn json_like() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?[0-9]{1,20}(\\.[0-9]{1,3})?(e[0-9]{1,3})?".prop_filter("leading zero", |number| {
            let digits = number.trim_start_matches('-');
            !digits.starts_with('0')
                || digits.len() == 1
                || digits.starts_with("0.")
                || digits.starts_with("0e")
        }),
        "\"([a-zA-Z0-9 :/é🦀-]|\\\\u[0-9a-f]{4}|\\\\\"|\\\\\\\\){0,12}\"",
    ];
    let key = prop_oneof![
        Just("token"),
        Just("api_key"),
        Just("event"),
        Just("distinct_id"),
        Just("uuid"),
        Just("timestamp"),
        Just("offset"),
        Just("sent_at"),
        Just("properties"),
        Just("$set"),
        Just("$unset"),
        Just("batch"),
        Just("data"),
        Just("$session_id"),
        Just("$snapshot_data"),
        Just("alias"),
        Just("group_type"),
        Just("group_key"),
        Just("$cookieless_mode"),
        Just("k"),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let object = prop::collection::vec((key.clone(), inner.clone()), 0..8).prop_map(|fields| {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
            format!("{{{}}}", fields.join(","))
        });
        prop_oneof![
            3 => object,
            1 => prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decoding_never_panics_and_stays_in_its_budget(
        body in body(),
        compression in prop::option::of(prop::sample::select(vec!["gzip", "lz64", "base64", "br", "deflate", "x"])),
        form in any::<bool>(),
        budget in 0usize..2_000,
    ) {
        let content_type = form.then_some("application/x-www-form-urlencoded");
        let input = Encoded { compression, content_type, body: &body, budget, ..Encoded::default() };
        if let Ok(decoded) = decode(&input) {
            prop_assert!(decoded.json.len() <= budget.max(body.len()));
            if decoded.stored == Codec::Gzip {
                prop_assert_eq!(decode_stored(Codec::Gzip, &body, budget).unwrap(), decoded.json.clone());
            }
            let _ = json::clean(&decoded.json);
        }
    }

    #[test]
    fn what_the_door_takes_the_pump_can_read(text in json_like()) {
        let text = json::text(text.as_bytes()).unwrap();
        for route in [Route::Events, Route::Engage, Route::Alias, Route::Groups] {
            let received = received(route);
            let Ok(request) = capture::parse(route, &text) else { continue };
            let _ = capture::token(&request, None);
            for raw in &request.events {
                let head = normalize::head(raw, &received, normalize::Context::default());
                let event = normalize::capture(raw, &received, normalize::Context::default());
                prop_assert_eq!(head.as_ref().err(), event.as_ref().err());
                if let (Ok(head), Ok(event)) = (head, event) {
                    prop_assert_eq!(head.uuid, event.uuid);
                    prop_assert_eq!(&*head.distinct_id, &event.distinct_id);
                    prop_assert_eq!(head.timestamp, event.timestamp);
                }
            }
        }
        if let Ok(request) = replay::parse(&text) {
            let _ = replay::recordings(&request, &received(Route::Replay));
        }
    }

    #[test]
    fn cleaned_text_is_read_by_a_full_parser(text in json_like()) {
        let cleaned = json::clean(text.as_bytes()).unwrap();
        let full = serde_json::from_str::<serde_json::Value>(&cleaned);
        prop_assert!(full.is_ok() || cleaned.contains('e'), "{cleaned}");
    }
}

#[test]
fn a_bomb_of_every_kind_stops_at_the_budget() {
    let zeros = vec![b' '; 1 << 20];
    let once = gzip(&zeros);
    let mut deflated = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
    deflated.write_all(&zeros).unwrap();
    let deflated = deflated.finish().unwrap();
    let zstd =
        ruzstd::encoding::compress_to_vec(zeros.as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    for (name, body, compression) in [
        ("gzip", once.clone(), None),
        ("gzip in gzip", gzip(&once), None),
        ("deflate", deflated, Some("deflate")),
        ("zstd", zstd, None),
        ("lz64", lz_str::compress_to_base64(" ".repeat(200_000).as_str()).into_bytes(), Some("lz64")),
    ] {
        let input = Encoded { body: &body, compression, budget: 1 << 16, ..Encoded::default() };
        assert!(matches!(decode(&input), Err(Rejection::TooLarge(_))), "{name}");
    }
}

#[test]
fn many_empty_pieces_are_refused_and_many_small_ones_join() {
    let input = |body| Encoded { body, budget: 1 << 20, ..Encoded::default() };
    let empty = gzip(b"").repeat(2_000);
    assert!(matches!(decode(&input(&empty)), Err(Rejection::TooLarge(_))));
    let zstd = ruzstd::encoding::compress_to_vec(&b""[..], ruzstd::encoding::CompressionLevel::Fastest)
        .repeat(2_000);
    assert!(matches!(decode(&input(&zstd)), Err(Rejection::TooLarge(_))));
    let small = gzip(&[b' '; 700]).repeat(1_000);
    let decoded = decode(&input(&small)).unwrap();
    assert_eq!((decoded.json.len(), decoded.stored), (700_000, Codec::Plain));
}

#[test]
fn repeated_names_cost_no_more_than_others() {
    let fields: String = (0..200_000).map(|number| format!("\"k{number}\":1,")).collect();
    let unset: Vec<String> = (0..60_000).map(|number| format!("\"k{number}\"")).collect();
    let unset = unset.join(",");
    let text = format!(
        "{{{fields}\"event\":\"a\",\"distinct_id\":\"b\",\"$unset\":[{unset}],\"properties\":{{\"$unset\":[{unset}]}}}}"
    );
    let request = capture::parse(Route::Events, &text).unwrap();
    let event =
        normalize::capture(&request.events[0], &received(Route::Events), normalize::Context::default());
    let event = event.unwrap();
    assert_eq!(event.extra.len(), 200_000);
    assert_eq!(event.properties.value("$unset").as_array().unwrap().len(), 60_000);
    let snapshot = |number: usize| {
        format!(
            "{{\"distinct_id\":\"a\",\"properties\":{{\"$session_id\":\"s{number}\",\"$snapshot_data\":[]}}}}"
        )
    };
    let body = format!("[{}]", (0..30_000).map(snapshot).collect::<Vec<_>>().join(","));
    let request = replay::parse(&body).unwrap();
    assert_eq!(replay::recordings(&request, &received(Route::Replay)).unwrap().len(), 30_000);
}

#[test]
fn counts_are_bounded_before_they_cost_memory() {
    use event::limit::{BATCH_EVENTS, EXTRA_FIELDS, SNAPSHOT_ITEMS};
    let refused = |json: &str| match capture::parse(Route::Engage, json) {
        Err(Rejection::TooLarge(text)) => text,
        other => panic!("{:?}", other.map(|request| request.events.len())),
    };
    let list = |unit: &str, times: usize| format!("[{unit}{}]", format!(",{unit}").repeat(times - 1));
    assert!(refused(&list("{}", BATCH_EVENTS + 1)).contains("in several"));
    assert!(refused(&format!(r#"{{"batch":{}}}"#, list("{}", 3 * BATCH_EVENTS))).contains("in several"));
    assert_eq!(capture::parse(Route::Engage, &list("{}", BATCH_EVENTS)).unwrap().events.len(), BATCH_EVENTS);
    let fields = |times: usize| format!(r#"{{"event":"e"{}}}"#, r#","k":1"#.repeat(times));
    assert!(refused(&fields(EXTRA_FIELDS + 1)).contains("unknown fields"));
    assert!(refused(&list(&fields(10), EXTRA_FIELDS / 10 + 1)).contains("unknown fields"));
    assert!(capture::parse(Route::Events, &fields(EXTRA_FIELDS)).is_ok());
    let snapshot = |items: usize| {
        let properties =
            format!(r#"{{"$session_id":"s","distinct_id":"d","$snapshot_data":{}}}"#, list("0", items));
        format!(r#"[{{"event":"$snapshot","properties":{properties}}}]"#)
    };
    let read = |json: &str| {
        let request = replay::parse(json).unwrap();
        replay::recordings(&request, &received(Route::Replay)).map(|groups| groups[0].items.len())
    };
    assert_eq!(read(&snapshot(SNAPSHOT_ITEMS)), Ok(SNAPSHOT_ITEMS));
    assert!(matches!(read(&snapshot(SNAPSHOT_ITEMS + 5)), Err(Rejection::TooLarge(_))));
    assert!(matches!(replay::parse(&list("{}", BATCH_EVENTS + 1)), Err(Rejection::TooLarge(_))));
    let event = r#"{"event":"","distinct_id":"","timestamp":""}"#;
    let v1 = format!(r#"{{"created_at":"2026-01-01T00:00:00Z","batch":{}}}"#, list(event, BATCH_EVENTS + 1));
    assert_eq!(wire::v1::parse(&v1).unwrap_err().status(), 413);
}
