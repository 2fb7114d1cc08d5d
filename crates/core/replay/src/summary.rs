//! What is known about a block without reading it.

use crate::Location;
use crate::limit::{ORIGIN_CHARS, URL_CHARS, URLS, cut};
use event::ProjectId;
use jiff::Timestamp;

/// Whose recording it is and what recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The visitor.
    pub distinct_id: &'a str,
    /// `web`, `mobile`; `None` means `web`.
    pub snapshot_source: Option<&'a str>,
    /// The SDK that recorded, if it said so.
    pub snapshot_library: Option<&'a str>,
}

/// Everything the index keeps about one block, except where it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The session.
    pub session_id: String,
    /// The visitor of the first message.
    pub distinct_id: String,
    /// Earliest item.
    pub first_timestamp: Timestamp,
    /// Latest item.
    pub last_timestamp: Timestamp,
    /// The first page seen.
    pub first_url: Option<String>,
    /// Distinct pages in the order seen, at most 25.
    pub urls: Vec<String>,
    /// Clicks, double clicks, context menus and ended touches.
    pub click_count: u64,
    /// Inputs.
    pub keypress_count: u64,
    /// Moves, touches and mouse interactions.
    pub mouse_activity_count: u64,
    /// Time the visitor was active.
    pub active_milliseconds: u64,
    /// Console calls of level info.
    pub console_log_count: u64,
    /// Console calls of level warn.
    pub console_warn_count: u64,
    /// Console calls of level error.
    pub console_error_count: u64,
    /// Bytes of the lines before compression, line ends included.
    pub size: u64,
    /// Items.
    pub event_count: u64,
    /// Messages the items came in.
    pub message_count: u64,
    /// `web` unless the sender said otherwise.
    pub snapshot_source: String,
    /// The SDK that recorded.
    pub snapshot_library: Option<String>,
}

impl Summary {
    /// An empty summary whose first message comes from `origin`.
    pub(crate) fn new(session_id: &str, origin: &Origin<'_>) -> Self {
        let source = origin.snapshot_source.filter(|source| !source.is_empty()).unwrap_or("web");
        Self {
            session_id: session_id.to_owned(),
            distinct_id: origin.distinct_id.to_owned(),
            first_timestamp: Timestamp::MAX,
            last_timestamp: Timestamp::MIN,
            first_url: None,
            urls: Vec::new(),
            click_count: 0,
            keypress_count: 0,
            mouse_activity_count: 0,
            active_milliseconds: 0,
            console_log_count: 0,
            console_warn_count: 0,
            console_error_count: 0,
            size: 0,
            event_count: 0,
            message_count: 0,
            snapshot_source: cut(source, ORIGIN_CHARS).to_owned(),
            snapshot_library: None,
        }
    }

    /// Fills in the library from a later message when the first did not name one.
    pub(crate) fn learn_library(&mut self, library: Option<&str>) {
        if self.snapshot_library.is_none() {
            let library = library.filter(|library| !library.is_empty());
            self.snapshot_library = library.map(|library| cut(library, ORIGIN_CHARS).to_owned());
        }
    }

    /// Adds a page.
    pub(crate) fn visit(&mut self, href: &str) {
        let href = cut(href, URL_CHARS);
        if self.first_url.is_none() {
            self.first_url = Some(href.to_owned());
        }
        if self.urls.len() < URLS && !self.urls.iter().any(|known| known == href) {
            self.urls.push(href.to_owned());
        }
    }

    /// The row of the block index, once the block has been stored.
    pub fn row(self, project: ProjectId, location: &Location, batch_id: String) -> BlockRow {
        BlockRow {
            project,
            summary: self,
            block_url: location.to_string(),
            retention_period_days: None,
            batch_id,
            is_deleted: false,
        }
    }
}

/// One row of `session_replay_blocks`: a summary and where its block lies.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockRow {
    /// The project (`team_id`).
    pub project: ProjectId,
    /// What is in the block.
    pub summary: Summary,
    /// The block, as [`Location`] writes it.
    pub block_url: String,
    /// Days after which the block may be removed; `None` keeps it.
    pub retention_period_days: Option<u32>,
    /// The flush that wrote it (UUIDv7).
    pub batch_id: String,
    /// The session was deleted; the block must not be served.
    pub is_deleted: bool,
}
