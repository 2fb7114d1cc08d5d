//! Blocks: the items of one session, one line each, compressed as a unit that can be read alone.
//!
//! # Compat
//! The lines `["<window id>",<event>]` and raw snappy are those of PostHog's session batch files
//! (`nodejs/.../sessions/snappy-session-recorder.ts`), so that players made for it read ours.

use crate::active::{self, Moment};
use crate::console::{self, Level, LogLine};
use crate::item::{self, Checked, Dropped, Item};
use crate::summary::{Origin, Summary};
use jiff::Timestamp;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// What happens to console calls found in a recording: a setting of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// Counted and kept.
    Kept,
    /// Neither counted nor kept (they stay inside the items).
    Ignored,
}

/// The items of one request for one session.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Who recorded, with what.
    pub origin: Origin<'a>,
    /// When the server received it.
    pub received_at: Timestamp,
    /// `(window id, event)` in the order sent.
    pub items: &'a [(&'a str, &'a RawValue)],
}

/// A finished block.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Snappy (raw format) over the lines.
    pub bytes: Vec<u8>,
    /// For the index.
    pub summary: Summary,
    /// Console calls, each text and level once per message.
    pub logs: Vec<LogLine>,
}

/// Collects the messages of one session into one block.
pub struct Writer {
    session_id: String,
    console: Console,
    lines: Vec<u8>,
    moments: Vec<Moment>,
    logs: Vec<LogLine>,
    summary: Option<Summary>,
}

impl Writer {
    /// An empty block of `session_id`.
    pub fn open(session_id: &str, console: Console) -> Self {
        let session_id = session_id.to_owned();
        Self { session_id, console, lines: Vec::new(), moments: Vec::new(), logs: Vec::new(), summary: None }
    }

    /// Bytes collected so far, before compression.
    pub fn size(&self) -> usize {
        self.lines.len()
    }

    /// Adds a message; gives how many of its items were left out.
    ///
    /// # Errors
    /// [`Dropped`] when nothing of the message may be kept; the block is then as it was before.
    pub fn append(&mut self, message: &Message<'_>) -> Result<usize, Dropped> {
        let checked = item::check(message.items, message.received_at)?;
        let mut summary = match self.summary.take() {
            Some(summary) => summary,
            None => Summary::new(&self.session_id, &message.origin),
        };
        summary.learn_library(message.origin.snapshot_library);
        summary.first_timestamp = summary.first_timestamp.min(instant(&checked, checked.first_ms, message));
        summary.last_timestamp = summary.last_timestamp.max(instant(&checked, checked.last_ms, message));
        summary.message_count += 1;
        let mut seen = HashSet::new();
        for item in &checked.items {
            self.write(item, &mut summary);
            self.note_console(item, &mut summary, &mut seen);
        }
        self.summary = Some(summary);
        Ok(checked.skipped)
    }

    /// The block, or `None` when no message was kept.
    pub fn finish(self) -> Option<Block> {
        let mut summary = self.summary?;
        summary.active_milliseconds = active::milliseconds(self.moments);
        let bytes = snap::raw::Encoder::new()
            .compress_vec(&self.lines)
            .expect("a block stays far below snappy's 4 GiB");
        Some(Block { bytes, summary, logs: self.logs })
    }

    fn write(&mut self, item: &Item<'_>, summary: &mut Summary) {
        let before = self.lines.len();
        write_line(&mut self.lines, item.window_id, item.json);
        self.moments.push((item.timestamp_ms, item.facts.active));
        summary.size += (self.lines.len() - before) as u64;
        summary.event_count += 1;
        summary.click_count += u64::from(item.facts.click);
        summary.keypress_count += u64::from(item.facts.keypress);
        summary.mouse_activity_count += u64::from(item.facts.mouse);
        if let Some(href) = &item.facts.href {
            summary.visit(href);
        }
    }

    fn note_console(&mut self, item: &Item<'_>, summary: &mut Summary, seen: &mut HashSet<(Level, String)>) {
        let Some(payload) = item.facts.console.filter(|_| self.console == Console::Kept) else { return };
        let (level, message) = console::read(payload);
        match level {
            Level::Info => summary.console_log_count += 1,
            Level::Warn => summary.console_warn_count += 1,
            Level::Error => summary.console_error_count += 1,
        }
        if seen.insert((level, message.clone())) {
            self.logs.push(LogLine { level, message, timestamp_ms: item.timestamp_ms as i64 });
        }
    }
}

/// A block of one message.
///
/// # Errors
/// [`Dropped`] when nothing of it may be kept.
pub fn encode(session_id: &str, message: &Message<'_>, console: Console) -> Result<Block, Dropped> {
    let mut writer = Writer::open(session_id, console);
    writer.append(message)?;
    Ok(writer.finish().expect("a kept message makes a block"))
}

fn instant(checked: &Checked<'_>, ms: f64, message: &Message<'_>) -> Timestamp {
    debug_assert!(checked.first_ms <= checked.last_ms);
    Timestamp::from_millisecond(ms as i64).unwrap_or(message.received_at)
}

/// Writes `["<window>",<event>]` and a line end. The event's bytes are copied as they are, except that
/// line ends between its tokens (JSON allows none inside strings) are left out: one event is one line.
fn write_line(lines: &mut Vec<u8>, window_id: &str, json: &RawValue) {
    lines.push(b'[');
    serde_json::to_writer(&mut *lines, window_id).expect("a string is written to memory");
    lines.push(b',');
    let text = json.get().as_bytes();
    if text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.extend(text.iter().filter(|byte| !matches!(byte, b'\n' | b'\r')));
    } else {
        lines.extend_from_slice(text);
    }
    lines.extend_from_slice(b"]\n");
}

/// Why stored bytes are no block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not snappy, or damaged.
    Compression(String),
    /// The inflated block is larger than the caller allows.
    TooLarge {
        /// Bytes it says it has.
        size: usize,
    },
    /// Not UTF-8.
    Encoding,
    /// A line is not `[window, event]`.
    Line {
        /// Counted from 1.
        number: usize,
    },
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compression(reason) => write!(f, "replay block cannot be inflated: {reason}"),
            Self::TooLarge { size } => write!(f, "replay block has {size} bytes, more than allowed"),
            Self::Encoding => f.write_str("replay block is not UTF-8"),
            Self::Line { number } => write!(f, "replay block line {number} is not a recorded event"),
        }
    }
}

impl std::error::Error for Unreadable {}

/// The lines of a block, byte for byte as they were written; at most `max_bytes` of them.
///
/// # Errors
/// [`Unreadable`]: the stored block is damaged, or no block.
pub fn decode(bytes: &[u8], max_bytes: usize) -> Result<String, Unreadable> {
    let reason = |error: snap::Error| Unreadable::Compression(error.to_string());
    let size = snap::raw::decompress_len(bytes).map_err(reason)?;
    if size > max_bytes {
        return Err(Unreadable::TooLarge { size });
    }
    let text = snap::raw::Decoder::new().decompress_vec(bytes).map_err(reason)?;
    String::from_utf8(text).map_err(|_| Unreadable::Encoding)
}

/// The `(window id, event)` items of decoded lines, in order.
pub fn items(lines: &str) -> impl Iterator<Item = Result<(Cow<'_, str>, &RawValue), Unreadable>> {
    lines.lines().enumerate().map(|(index, line)| {
        serde_json::from_str::<(String, &RawValue)>(line)
            .map(|(window, event)| (Cow::Owned(window), event))
            .map_err(|_| Unreadable::Line { number: index + 1 })
    })
}

#[cfg(test)]
mod tests;
