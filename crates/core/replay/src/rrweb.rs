//! What an rrweb event says about the visitor: a click, a key, a move, an address, a console call.
//!
//! # Compat
//! Type and source numbers are rrweb's; which of them count as a click, a key press, mouse activity and
//! activity follows PostHog's `nodejs/.../sessionreplay/rrweb-types.ts` and `segmentation.ts`.

use crate::object::{fields, integer, string};
use serde_json::value::RawValue;

const FULL_SNAPSHOT: i64 = 2;
const INCREMENTAL: i64 = 3;
const PLUGIN: i64 = 6;

const MOUSE_MOVE: i64 = 1;
const MOUSE_INTERACTION: i64 = 2;
const INPUT: i64 = 5;
const TOUCH_MOVE: i64 = 6;
/// Mouse move, interaction, scroll, resize, input, touch move, media, drag.
const ACTIVE: [i64; 8] = [1, 2, 3, 4, 5, 6, 7, 12];
/// Click, context menu, double click, touch end.
const CLICKS: [i64; 4] = [2, 3, 4, 9];

const CONSOLE_PLUGIN: &str = "rrweb/console@1";

/// What one event tells.
#[derive(Default)]
pub(crate) struct Facts<'a> {
    pub click: bool,
    pub keypress: bool,
    pub mouse: bool,
    /// The visitor did something.
    pub active: bool,
    /// Address of the page, trimmed, not empty.
    pub href: Option<String>,
    /// Payload of a console call.
    pub console: Option<&'a RawValue>,
}

/// Reads the facts of an event of type `kind` from its `data`.
pub(crate) fn read(kind: Option<i64>, data: Option<&RawValue>) -> Facts<'_> {
    let Some(data) = data else { return Facts::default() };
    match kind {
        // A full snapshot is large and has no address at its top.
        Some(FULL_SNAPSHOT) => Facts::default(),
        Some(INCREMENTAL) => interaction(data),
        _ => page(kind, data),
    }
}

fn interaction(data: &RawValue) -> Facts<'_> {
    let [source, detail] = fields(data, ["source", "type"]);
    let Some(source) = source.and_then(integer) else { return Facts::default() };
    let detail = detail.and_then(integer);
    Facts {
        click: source == MOUSE_INTERACTION && detail.is_some_and(|detail| CLICKS.contains(&detail)),
        keypress: source == INPUT,
        mouse: matches!(source, MOUSE_MOVE | MOUSE_INTERACTION | TOUCH_MOVE),
        active: ACTIVE.contains(&source),
        ..Facts::default()
    }
}

fn page(kind: Option<i64>, data: &RawValue) -> Facts<'_> {
    let [href, payload, plugin] = fields(data, ["href", "payload", "plugin"]);
    let inner = payload.and_then(|payload| fields(payload, ["href"])[0]);
    let address = |value: Option<&RawValue>| {
        let text = string(value?)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let console = kind == Some(PLUGIN) && plugin.and_then(string).as_deref() == Some(CONSOLE_PLUGIN);
    Facts {
        href: address(href).or_else(|| address(inner)),
        console: if console { payload } else { None },
        ..Facts::default()
    }
}
