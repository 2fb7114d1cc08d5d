//! Where people click and how far they scroll, as points on a page.

use crate::fold::Folded;
use crate::js;
use crate::merge;
use crate::row::HeatmapRow;
use crate::rules::Rules;
use crate::verdict::Drop;
use event::name::{event as name, property};
use event::{CapturedEvent, Json, Properties, Warning};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Pixels per step of every coordinate.
const SCALE: i32 = 16;

/// Takes `$heatmap_data` and the scroll depth of the previous page out of an event.
///
/// # Errors
/// Without a usable distinct id or viewport the whole event is dropped if the project is strict about it;
/// otherwise only its points are, with a warning. A project that wants no heatmaps gets none, and loses the
/// events that are nothing else.
pub fn extract(event: &mut CapturedEvent, rules: &Rules, out: &mut Folded) -> Result<(), Drop> {
    let data = event.properties.take("$heatmap_data");
    if rules.heatmap_opt_out {
        return if event.event == name::HEATMAP { Err(Drop::HeatmapOptOut) } else { Ok(()) };
    }
    let mut pages = match data {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(pages)) => pages,
        Some(_) => {
            out.warnings.push(warning(event, "invalid_heatmap_data"));
            Map::new()
        }
    };
    if add_scroll_depth(&event.properties, &mut pages).is_none() {
        out.warnings.push(warning(event, "invalid_heatmap_data"));
    }
    if pages.is_empty() {
        return Ok(());
    }
    let size = (pixels(event, "$viewport_width"), pixels(event, "$viewport_height"));
    let refused = match size {
        _ if merge::is_illegal(&event.distinct_id) => Drop::HeatmapInvalidDistinctId,
        (Some(width), Some(height)) => {
            add_rows(event, &pages, (scaled(width), scaled(height)), out);
            return Ok(());
        }
        _ => Drop::HeatmapInvalidViewportDimensions,
    };
    if rules.heatmap_strict_drop {
        return Err(refused);
    }
    out.warnings.push(warning(event, "invalid_heatmap_data").with("reason", refused.tag()));
    Ok(())
}

fn warning(event: &CapturedEvent, kind: &str) -> Warning {
    Warning::new(kind)
        .with("eventUuid", event.uuid.to_string())
        .with("distinctId", event.distinct_id.as_str())
}

fn pixels(event: &CapturedEvent, key: &str) -> Option<f64> {
    event.properties.get(key).and_then(Json::as_f64)
}

/// Steps of [`SCALE`] pixels, halves rounded up. Numbers beyond the column end at its limits.
fn scaled(pixels: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates")]
    let steps = (pixels / f64::from(SCALE) + 0.5).floor() as i32;
    steps
}

fn add_rows(
    event: &CapturedEvent,
    pages: &Map<String, Value>,
    (width, height): (i32, i32),
    out: &mut Folded,
) {
    for (url, items) in pages {
        let rejecting = |kind| {
            let session = event.properties.value(property::SESSION_ID);
            warning(event, kind).with("heatmapUrl", js::cut(url, 2048)).with("session_id", session)
        };
        if url.trim().is_empty() {
            out.warnings.push(rejecting("rejecting_heatmap_data_with_invalid_url"));
            continue;
        }
        let Value::Array(items) = items else {
            out.warnings.push(rejecting("rejecting_heatmap_data_with_invalid_items"));
            continue;
        };
        for item in items {
            let Some((x, y, fixed, kind)) = point(item) else { continue };
            out.heatmaps.push(HeatmapRow {
                kind: kind.to_owned(),
                x: scaled(x),
                y: scaled(y),
                pointer_target_fixed: fixed,
                viewport_height: height,
                viewport_width: width,
                current_url: url.clone(),
                session_id: event.properties.text_of(property::SESSION_ID).map(Cow::into_owned),
                scale_factor: SCALE,
                timestamp: event.timestamp,
                distinct_id: event.distinct_id.clone(),
            });
        }
    }
}

fn point(item: &Value) -> Option<(f64, f64, bool, &str)> {
    let kind = item.get("type")?.as_str().filter(|kind| !kind.trim().is_empty())?;
    Some((item.get("x")?.as_f64()?, item.get("y")?.as_f64()?, item.get("target_fixed")?.as_bool()?, kind))
}

/// Leaving a page tells how far it was scrolled: a point on the page before this one. `None` when there is
/// such a page but it has no address.
fn add_scroll_depth(properties: &Properties, pages: &mut Map<String, Value>) -> Option<()> {
    let present = |key: &str| properties.get(key).filter(|value| value.is_truthy());
    let (Some(path), Some(url)) = (present("$prev_pageview_pathname"), present(property::CURRENT_URL)) else {
        return Some(());
    };
    let url = with_path(&url.as_str()?, &js::text_of(path))?;
    let depth = properties.value("$prev_pageview_max_scroll");
    let item = json!({"x": 0, "y": depth, "target_fixed": false, "type": "scrolldepth"});
    match pages.entry(url).or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(items) => items.push(item),
        other => *other = Value::Array(vec![item]),
    }
    Some(())
}

/// `url` with another path; query and fragment stay.
fn with_path(url: &str, path: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, rest) = rest.split_at(end);
    let tail = rest.find(['?', '#']).map_or("", |at| &rest[at..]);
    if scheme.is_empty() || host.is_empty() {
        return None;
    }
    let mut out = format!("{}://{}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
    if !path.starts_with('/') {
        out.push('/');
    }
    for c in path.chars() {
        if c.is_ascii_control()
            || !c.is_ascii()
            || matches!(c, ' ' | '"' | '#' | '<' | '>' | '?' | '`' | '{' | '}')
        {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        } else {
            out.push(c);
        }
    }
    out.push_str(tail);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_changes() {
        for (url, path, expected) in [
            ("https://X.io/b?q=1", "/a", "https://x.io/a?q=1"),
            ("https://x.io", "/a b", "https://x.io/a%20b"),
            ("https://x.io?q#f", "a", "https://x.io/a?q#f"),
            ("https://x.io/b#f", "/ä", "https://x.io/%C3%A4#f"),
        ] {
            assert_eq!(with_path(url, path).as_deref(), Some(expected));
        }
        assert_eq!(with_path("/b", "/a"), None);
    }

    #[test]
    fn halves_go_up() {
        assert_eq!([160.0, 33.0, 8.0, -8.0, 1e30].map(scaled), [10, 2, 1, 0, i32::MAX]);
    }
}
