use super::*;
use crate::limit;
use proptest::prelude::*;

const NOW: &str = "2026-11-20T12:00:00Z";
const NOW_MS: i64 = 1_795_176_000_000;

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn block(items: &[(&str, &str)], console: Console) -> Result<Block, Dropped> {
    let items: Vec<(&str, &RawValue)> =
        items.iter().map(|(window, json)| (*window, serde_json::from_str(json).unwrap())).collect();
    encode("s-1", &message(&items), console)
}

fn message<'a>(items: &'a [(&'a str, &'a RawValue)]) -> Message<'a> {
    let origin = Origin { distinct_id: "u", snapshot_source: None, snapshot_library: Some("web") };
    Message { origin, received_at: now(), items }
}

fn event(kind: i64, data: &str, at: i64) -> String {
    format!(r#"{{"type":{kind},"data":{data},"timestamp":{}}}"#, NOW_MS + at)
}

fn on_one_window(events: &[String]) -> Vec<(&str, &str)> {
    events.iter().map(|event| ("w", event.as_str())).collect()
}

#[test]
fn constant_is_the_instant() {
    assert_eq!(now().as_millisecond(), NOW_MS);
}

/// I13
#[test]
fn counts() {
    let events = [
        event(4, r#"{"href":" https://x.test/a ","width":1,"height":1}"#, 0),
        event(2, r#"{"node":{},"href":"no"}"#, 1),
        event(3, r#"{"source":2,"type":2,"id":1}"#, 2),
        event(3, r#"{"source":2,"type":4,"id":1}"#, 3),
        event(3, r#"{"source":2,"type":1,"id":1}"#, 4),
        event(3, r#"{"source":5,"text":"x"}"#, 5),
        event(3, r#"{"source":1,"positions":[]}"#, 6),
        event(3, r#"{"source":0,"texts":[]}"#, 7),
    ];
    let block = block(&on_one_window(&events), Console::Kept).unwrap();
    let summary = &block.summary;
    assert_eq!((summary.click_count, summary.keypress_count, summary.mouse_activity_count), (2, 1, 4));
    assert_eq!((summary.event_count, summary.message_count), (8, 1));
    assert_eq!(summary.first_url.as_deref(), Some("https://x.test/a"));
    assert_eq!(summary.urls, ["https://x.test/a"]);
    let lines: usize = events.iter().map(|event| format!("[\"w\",{event}]\n").len()).sum();
    assert_eq!(summary.size, lines as u64);
    assert_eq!(summary.active_milliseconds, 5);
    assert_eq!(summary.first_timestamp.as_millisecond(), NOW_MS);
    assert_eq!(summary.last_timestamp.as_millisecond(), NOW_MS + 7);
    assert_eq!((summary.snapshot_source.as_str(), summary.snapshot_library.as_deref()), ("web", Some("web")));
    assert_eq!((summary.session_id.as_str(), summary.distinct_id.as_str()), ("s-1", "u"));
}

#[test]
fn which_interactions_count() {
    // (source, type) -> click, key, mouse, active
    let cases = [
        (2, 0, (0, 0, 1), true),
        (2, 2, (1, 0, 1), true),
        (2, 3, (1, 0, 1), true),
        (2, 4, (1, 0, 1), true),
        (2, 7, (0, 0, 1), true),
        (2, 9, (1, 0, 1), true),
        (6, 2, (0, 0, 1), true),
        (5, 2, (0, 1, 0), true),
        (3, 0, (0, 0, 0), true),
        (4, 0, (0, 0, 0), true),
        (7, 0, (0, 0, 0), true),
        (12, 0, (0, 0, 0), true),
        (8, 0, (0, 0, 0), false),
        (0, 2, (0, 0, 0), false),
    ];
    for (source, detail, counts, active) in cases {
        let events = [event(3, &format!(r#"{{"source":{source},"type":{detail}}}"#), 0)];
        let summary = block(&on_one_window(&events), Console::Kept).unwrap().summary;
        assert_eq!((summary.click_count, summary.keypress_count, summary.mouse_activity_count), counts);
        assert_eq!(summary.active_milliseconds, u64::from(active), "{source}/{detail}");
    }
}

/// I14
#[test]
fn active_time() {
    let move_at = |at| event(3, r#"{"source":1}"#, at);
    let still_at = |at| event(3, r#"{"source":0}"#, at);
    let events = [still_at(0), move_at(1000), still_at(3000), move_at(4000), still_at(12000), move_at(13000)];
    assert_eq!(block(&on_one_window(&events), Console::Kept).unwrap().summary.active_milliseconds, 3001);
}

/// I15
#[test]
fn addresses_are_limited() {
    let mut events: Vec<String> =
        (0..26).map(|n| event(4, &format!(r#"{{"href":"https://x.test/{n}"}}"#), n)).collect();
    events.push(event(5, r#"{"tag":"$url_changed","payload":{"href":"https://x.test/0"}}"#, 30));
    let summary = block(&on_one_window(&events), Console::Kept).unwrap().summary;
    assert_eq!(summary.urls.len(), 25);
    assert_eq!(summary.first_url.as_deref(), Some("https://x.test/0"));
    assert_eq!(summary.urls[24], "https://x.test/24");

    let long = event(5, &format!(r#"{{"payload":{{"href":"{}"}}}}"#, "é".repeat(5000)), 0);
    let summary = block(&[("w", &long)], Console::Kept).unwrap().summary;
    assert_eq!(summary.first_url.unwrap().chars().count(), limit::URL_CHARS);
}

/// I16
#[test]
fn far_clock_drops_the_message() {
    let week = 7 * 24 * 3600 * 1000;
    for (at, dropped) in
        [(-week, true), (-week + 1, false), (week, true), (week - 1, false), (-8 * week / 7, true)]
    {
        let events = [event(3, "{}", 0), event(3, "{}", at)];
        let got = block(&on_one_window(&events), Console::Kept);
        assert_eq!(got.is_err(), dropped, "{at}");
        if let Err(reason) = got {
            let warning = reason.warning("s-1");
            assert_eq!(warning.kind, "message_timestamp_diff_too_large");
            assert_eq!(warning.details["sessionId"], "s-1");
        }
    }
}

/// I17
#[test]
fn items_without_time_are_skipped() {
    let bad = [
        r#"{"type":3,"timestamp":0}"#,
        r#"{"type":3,"timestamp":-5}"#,
        r#"{"type":3,"timestamp":"1795176000000"}"#,
        r#"{"type":3,"timestamp":null}"#,
        r#"{"type":3}"#,
        "null",
        "[1]",
        "7",
    ];
    let good = event(3, "{}", 0);
    let mut items: Vec<(&str, &str)> = bad.iter().map(|json| ("w", *json)).collect();
    items.push(("w", &good));
    let raw: Vec<(&str, &RawValue)> =
        items.iter().map(|(window, json)| (*window, serde_json::from_str(json).unwrap())).collect();
    let mut writer = Writer::open("s", Console::Kept);
    assert_eq!(writer.append(&message(&raw)), Ok(bad.len()));
    let kept = writer.finish().unwrap();
    assert_eq!(decode(&kept.bytes, 1 << 20).unwrap(), format!("[\"w\",{good}]\n"));

    let reason = block(&items[..bad.len()], Console::Kept).unwrap_err();
    assert_eq!(reason, Dropped::NoValidItems { items: bad.len() });
    assert_eq!(reason.warning("s").kind, "message_contained_no_valid_rrweb_events");
    assert!(block(&[], Console::Kept).is_err());
}

/// I18
#[test]
fn windows_keep_their_own_lines() {
    let (one, two) = (event(3, "{}", 0), event(3, "{}", 1));
    let block = block(&[("w1", &one), ("w\"2", &two), ("", &one)], Console::Kept).unwrap();
    let lines = decode(&block.bytes, 1 << 20).unwrap();
    assert_eq!(lines, format!("[\"w1\",{one}]\n[\"w\\\"2\",{two}]\n[\"\",{one}]\n"));
    let windows: Vec<String> = items(&lines).map(|item| item.unwrap().0.into_owned()).collect();
    assert_eq!(windows, ["w1", "w\"2", ""]);
}

/// I19
#[test]
fn console_calls() {
    let call = |level: &str, text: &str, at| {
        let payload = format!(r#"{{"level":"{level}","trace":[],"payload":["{text}"]}}"#);
        event(6, &format!(r#"{{"plugin":"rrweb/console@1","payload":{payload}}}"#), at)
    };
    let events = [
        call("warn", "w", 0),
        call("error", "e", 1),
        call("error", "e", 2),
        call("assert", "e", 3),
        call("log", "e", 4),
        event(6, r#"{"plugin":"rrweb/network@1","payload":{"level":"error","payload":["x"]}}"#, 5),
    ];
    let kept = block(&on_one_window(&events), Console::Kept).unwrap();
    let summary = &kept.summary;
    let counts = (summary.console_log_count, summary.console_warn_count, summary.console_error_count);
    assert_eq!(counts, (1, 1, 3));
    let logs: Vec<(Level, &str, i64)> = kept
        .logs
        .iter()
        .map(|line| (line.level, line.message.as_str(), line.timestamp_ms - NOW_MS))
        .collect();
    assert_eq!(logs, [(Level::Warn, "w", 0), (Level::Error, "e", 1), (Level::Info, "e", 4)]);

    let ignored = block(&on_one_window(&events), Console::Ignored).unwrap();
    assert!(ignored.logs.is_empty());
    assert_eq!(ignored.summary.console_error_count + ignored.summary.console_warn_count, 0);
    assert_eq!(ignored.bytes, kept.bytes);
}

#[test]
fn items_pass_byte_for_byte() {
    // field-compressed data is a latin-1 string; odd spacing, escapes and numbers stay as they are
    let odd = format!(
        r#"{{ "type" : 3, "cv":"2024-10", "data":{{"source":0,"texts":"\u001f\u008b\b\u0000ÿ\u00e9\/"}} ,"x":1.0e0,"timestamp":{NOW_MS}.5}}"#
    );
    let whole = format!(r#"{{"type":2,"cv":"2024-10","data":"\u001f‹ÿþ","timestamp":{NOW_MS}}}"#);
    let got = block(&[("w", &odd), ("w", &whole)], Console::Kept).unwrap();
    let lines = decode(&got.bytes, 1 << 20).unwrap();
    assert_eq!(lines, format!("[\"w\",{odd}]\n[\"w\",{whole}]\n"));
    let back: Vec<&str> = items(&lines).map(|item| item.unwrap().1.get()).collect();
    assert_eq!(back, [odd.as_str(), whole.as_str()]);
}

#[test]
fn line_ends_between_tokens_do_not_split_a_line() {
    let pretty = format!("{{\n  \"type\": 3,\r\n  \"data\": \"a\\nb\",\n  \"timestamp\": {NOW_MS}\n}}");
    let got = block(&[("w", &pretty)], Console::Kept).unwrap();
    let lines = decode(&got.bytes, 1 << 20).unwrap();
    assert_eq!(lines.lines().count(), 1);
    assert_eq!(items(&lines).next().unwrap().unwrap().1.get().len(), pretty.len() - 5);
}

#[test]
fn messages_of_a_session_make_one_block() {
    let (late, early) = (event(3, r#"{"source":1}"#, 500), event(4, r#"{"href":"/b"}"#, -500));
    let mut writer = Writer::open("s", Console::Kept);
    let (late, early) = (serde_json::from_str(&late).unwrap(), serde_json::from_str(&early).unwrap());
    let items = [("w", late)];
    let origin = Origin { distinct_id: "first", snapshot_source: Some("mobile"), snapshot_library: None };
    writer.append(&Message { origin, received_at: now(), items: &items }).unwrap();
    let items = [("w", early)];
    let library = "y".repeat(2000);
    let origin =
        Origin { distinct_id: "second", snapshot_source: Some("web"), snapshot_library: Some(&library) };
    writer.append(&Message { origin, received_at: now(), items: &items }).unwrap();
    assert!(writer.append(&Message { origin, received_at: now(), items: &[] }).is_err());
    let size = writer.size();
    let summary = writer.finish().unwrap().summary;
    assert_eq!((summary.message_count, summary.event_count, summary.size), (2, 2, size as u64));
    assert_eq!((summary.distinct_id.as_str(), summary.snapshot_source.as_str()), ("first", "mobile"));
    assert_eq!(summary.snapshot_library.as_deref().map(str::len), Some(1000));
    assert_eq!(summary.first_timestamp.as_millisecond(), NOW_MS - 500);
    assert_eq!(summary.last_timestamp.as_millisecond(), NOW_MS + 500);
    assert!(Writer::open("s", Console::Kept).finish().is_none());
}

#[test]
fn row_of_the_index() {
    let one = event(3, "{}", 0);
    let block = block(&[("w", &one)], Console::Kept).unwrap();
    let location =
        crate::Location { object: "s3://b/k".to_owned(), start: 10, length: block.bytes.len() as u64 };
    let row = block.summary.clone().row(event::ProjectId(3), &location, "b".to_owned());
    assert_eq!(row.block_url, format!("s3://b/k?range=bytes=10-{}", 9 + block.bytes.len()));
    assert_eq!((row.summary, row.is_deleted, row.retention_period_days), (block.summary, false, None));
}

#[test]
fn damaged_blocks_are_named() {
    let one = event(3, "{}", 0);
    let block = block(&[("w", &one)], Console::Kept).unwrap();
    assert!(matches!(decode(&block.bytes, 3), Err(Unreadable::TooLarge { .. })));
    assert!(matches!(
        decode(&block.bytes[..block.bytes.len() - 1], 1 << 20),
        Err(Unreadable::Compression(_))
    ));
    assert!(matches!(decode(b"", 1 << 20), Err(Unreadable::Compression(_))));
    let binary = snap::raw::Encoder::new().compress_vec(&[0xff, 0xfe]).unwrap();
    assert_eq!(decode(&binary, 1 << 20), Err(Unreadable::Encoding));
    let wrong = ["[\"w\",1]\n{}\n", "[\"w\",1]\n[1,2]\n", "[\"w\",1]\nx\n"];
    for lines in wrong {
        assert_eq!(items(lines).last().unwrap().unwrap_err(), Unreadable::Line { number: 2 });
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(lines) = decode(&bytes, 1 << 16) {
            items(&lines).for_each(drop);
        }
    }

    #[test]
    fn any_json_is_checked_without_panic(
        window in ".{0,8}", kind in -2i64..9, source in -1i64..20, at in any::<f64>(), text in ".{0,20}",
    ) {
        let at = if at.is_finite() { at } else { 1.0 };
        let data = serde_json::json!({"source": source, "type": source, "href": text, "payload": {"level": text, "payload": [text, 1]}, "plugin": "rrweb/console@1"});
        let event = serde_json::json!({"type": kind, "timestamp": at, "data": data}).to_string();
        let _ = block(&[(&window, &event)], Console::Kept);
        let near = serde_json::json!({"type": kind, "timestamp": NOW_MS, "data": data}).to_string();
        let kept = block(&[(&window, &near)], Console::Kept).unwrap();
        let lines = decode(&kept.bytes, 1 << 20).unwrap();
        let back = items(&lines).next().unwrap().unwrap();
        prop_assert_eq!(back.0.as_ref(), window.as_str());
        prop_assert_eq!(back.1.get(), near.as_str());
    }
}
