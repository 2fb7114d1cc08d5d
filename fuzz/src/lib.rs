//! Every reader of strangers' bytes as a function of bytes: none may panic, none may take more than its budget.
//!
//! Takes: any bytes. Gives: nothing, or a panic that is a finding.
//! Never: runs a server; `cargo xtask torture R9` sends damaged requests to a real one.

use event::{Received, Route, normalize};
use eventlog::{EventLog, Offset, Payload, Segments};
use std::path::Path;
use wire::encoding::{Codec, Encoded};

/// Bytes that a body may unpack to.
const BUDGET: usize = 1 << 20;

/// A target's name and entry point.
pub type Entry = (&'static str, fn(&[u8]));

/// Every entry point.
pub const ENTRIES: &[Entry] = &[
    ("decode", decode),
    ("gzip", gzip),
    ("lz64", lz64),
    ("batch", batch),
    ("replay", replay),
    ("v1", v1),
    ("multipart", multipart),
    ("traces", traces),
    ("log", log),
];

fn received(route: Route) -> Received {
    let envelope = serde_json::json!({
        "route": route, "project": 1, "token": "phc_fixture", "at": "2026-11-20T12:00:00Z", "seed": 7
    });
    serde_json::from_value(envelope).expect("an envelope")
}

/// Whatever wraps a body, undone; what the log would store must give the same again.
pub fn decode(data: &[u8]) {
    let input = Encoded { body: data, budget: BUDGET, ..Encoded::default() };
    let Ok(decoded) = wire::encoding::decode(&input) else { return };
    assert!(decoded.json.len() <= BUDGET.max(data.len()), "over budget");
    if decoded.stored == Codec::Gzip {
        let again = wire::encoding::decode_stored(Codec::Gzip, data, BUDGET).expect("what was taken can be read");
        assert_eq!(again, decoded.json);
    }
    batch(&decoded.json);
}

/// One gzip file.
pub fn gzip(data: &[u8]) {
    if let Ok(plain) = wire::encoding::decode_stored(Codec::Gzip, data, BUDGET) {
        assert!(plain.len() <= BUDGET, "over budget");
    }
}

/// lz-string in base64, as old SDKs send it.
pub fn lz64(data: &[u8]) {
    let input = Encoded { body: data, compression: Some("lz64"), budget: BUDGET, ..Encoded::default() };
    let _ = wire::encoding::decode(&input);
}

/// A v0 body, and every event of it: what the door takes, the pump can build.
pub fn batch(data: &[u8]) {
    let Ok(text) = wire::json::text(data) else { return };
    for route in [Route::Events, Route::Engage, Route::AiBatch] {
        let Ok(request) = wire::capture::parse(route, &text) else { continue };
        let _ = wire::capture::token(&request, None);
        let received = received(route);
        let context =
            normalize::Context { sent_at: request.sent_at, historical: request.historical_migration, index: 0 };
        for (index, raw) in request.events.iter().enumerate() {
            let at = context.at(index);
            if normalize::head(raw, &received, at).is_ok() {
                assert!(normalize::capture(raw, &received, at).is_ok(), "taken, and cannot be built");
            }
        }
    }
}

/// A replay body.
pub fn replay(data: &[u8]) {
    let Ok(text) = wire::json::text(data) else { return };
    let Ok(request) = wire::replay::parse(&text) else { return };
    let _ = wire::replay::token(&request, None);
    let _ = wire::replay::recordings(&request, &received(Route::Replay));
}

/// A v1 body, plain and compressed.
pub fn v1(data: &[u8]) {
    use wire::v1;
    for encoding in [None, Some(v1::Encoding::Gzip), Some(v1::Encoding::Zstd), Some(v1::Encoding::Brotli)] {
        let Ok(json) = v1::decode(data, encoding, BUDGET) else { continue };
        let Ok(text) = wire::json::clean(&json) else { continue };
        let received = received(Route::V1);
        let limits = event::event_size::Limits::default();
        if let Ok(batch) = v1::parse(&text) {
            let _ = v1::verdicts(&batch, &received, &limits);
            let _ = v1::accepted(&text, &received, &limits).map(Iterator::count);
        }
    }
}

/// A multipart AI event.
pub fn multipart(data: &[u8]) {
    let request = wire::ai::Request {
        body: data,
        content_type: Some("multipart/form-data; boundary=----fixture"),
        content_encoding: None,
        authorization: Some("Bearer phc_fixture"),
    };
    let _ = wire::ai::parse(&request, &wire::ai::Limits::default());
}

/// OTLP, protobuf and JSON.
pub fn traces(data: &[u8]) {
    for content_type in ["application/x-protobuf", "application/json"] {
        let request = wire::otel::Request {
            body: data,
            content_type: Some(content_type),
            content_encoding: None,
            authorization: Some("Bearer phc_fixture"),
        };
        let _ = wire::otel::parse(&request, &wire::otel::Limits::default());
    }
}

/// The SQL front. Its seeds and a stable driver are beside it, in `query`.
#[cfg(feature = "sql")]
pub fn sql(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        query::examine(text);
    }
}

/// A log whose file was damaged: the first two bytes say where, the rest is written there. It opens with whole records
/// or not at all.
pub fn log(data: &[u8]) {
    let Some((place, damage)) = data.split_first_chunk::<2>() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    runtime.block_on(async {
        let log = open(folder.path()).expect("a new log");
        for number in 0..8_u8 {
            log.append(Payload::from(vec![number; 40 + usize::from(number) * 300])).await.expect("appended");
        }
        log.close().await.expect("closed");
        damage_file(folder.path(), usize::from(u16::from_le_bytes(*place)), damage);
        let Ok(log) = open(folder.path()) else { return };
        let Ok(records) = log.read(log.first(), 1 << 20).await else { return };
        for record in records {
            let number = record.bytes.first().copied().unwrap_or(u8::MAX);
            let whole = record.bytes.iter().all(|byte| *byte == number);
            assert!(whole && record.bytes.len() == 40 + usize::from(number) * 300, "a record that was never written");
        }
    });
}

fn open(folder: &Path) -> eventlog::Result<Segments> {
    let settings = eventlog::Settings {
        segment_bytes: 64 << 10,
        max_bytes: 64 << 20,
        min_free_bytes: 0,
        max_record_bytes: 16 << 10,
        max_queue_bytes: 1 << 20,
        ..eventlog::Settings::default()
    };
    Segments::open_at(folder, settings, Offset(0))
}

/// Overwrites part of the largest file.
fn damage_file(folder: &Path, place: usize, damage: &[u8]) {
    let files = std::fs::read_dir(folder).expect("readable").flatten();
    let largest = files.max_by_key(|file| file.metadata().map_or(0, |known| known.len())).expect("a segment");
    let mut bytes = std::fs::read(largest.path()).expect("readable");
    for (to, from) in bytes.iter_mut().skip(place).zip(damage) {
        *to = *from;
    }
    std::fs::write(largest.path(), bytes).expect("writable");
}
