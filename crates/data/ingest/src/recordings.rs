//! Session replay requests become blocks: one per session of a request.

use crate::blocks::Blocks;
use crate::directory::Entry;
use crate::error::Error;
use crate::landing::Opened;
use crate::seen::Seen;
use event::{Rejection, Warning};
use replay::{Console, Message, Origin, Summary, Writer};
use table::{ReplayBlockRow, Rows};
use wire::replay::Recording;

/// Where recordings go, and how repeats are known.
pub struct Shelf<'a> {
    /// Blocks that wait for the next commit.
    pub blocks: &'a mut Blocks,
    /// What was seen lately.
    pub seen: &'a mut Seen,
    /// Log offset of the request.
    pub offset: u64,
    /// The table has no row of this request yet; otherwise only the memory for repeats is brought up to date.
    pub fresh: bool,
}

/// Stores the recordings of one request and adds their rows.
///
/// # Errors
/// The rejection that the door would have answered; the record then goes to the dead letters. And a failing store.
pub fn land(
    opened: &Opened,
    entry: Option<&Entry>,
    shelf: Shelf<'_>,
    rows: &mut Rows,
) -> Result<Result<(), Rejection>, Error> {
    let mut recordings = match read(opened) {
        Ok(recordings) => recordings,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let received = &opened.received;
    for recording in &mut recordings {
        let mut items = std::mem::take(&mut recording.items).into_iter();
        for (id, count) in &recording.events {
            let sent: Vec<_> = items.by_ref().take(*count).collect();
            if shelf.seen.note_recording(received.project, id, received.at)? {
                recording.items.extend(sent);
            } else {
                telemetry::pump::duplicates(1);
            }
        }
    }
    recordings.retain(|recording| !recording.items.is_empty());
    if shelf.fresh {
        store(opened, entry, &recordings, shelf, rows);
    }
    Ok(Ok(()))
}

fn read(opened: &Opened) -> Result<Vec<Recording<'_>>, Rejection> {
    let request = wire::replay::parse(&opened.json)?;
    wire::replay::recordings(&request, &opened.received)
}

fn store(
    opened: &Opened,
    entry: Option<&Entry>,
    recordings: &[Recording<'_>],
    shelf: Shelf<'_>,
    rows: &mut Rows,
) {
    let received = &opened.received;
    if entry.is_some_and(|entry| !entry.settings.session_recording_opt_in) {
        telemetry::pump::dropped("session_recording_opted_out", 1);
        return;
    }
    let mut sessions: Vec<(&str, Vec<&Recording<'_>>)> = Vec::new();
    for recording in recordings {
        match sessions.iter_mut().find(|(session, _)| *session == recording.session_id) {
            Some((_, windows)) => windows.push(recording),
            None => sessions.push((&recording.session_id, vec![recording])),
        }
        if recording.distinct_id_cut {
            rows.warnings
                .push(Warning::new("distinct_id_truncated").with("distinctId", &*recording.distinct_id));
        }
    }
    for (session, windows) in sessions {
        let mut writer = Writer::open(session, Console::Kept);
        for recording in windows {
            let items: Vec<_> = recording.items.iter().map(|item| (&*recording.window_id, *item)).collect();
            let origin = Origin {
                distinct_id: &recording.distinct_id,
                snapshot_source: Some(&recording.snapshot_source),
                snapshot_library: Some(&recording.lib),
            };
            match writer.append(&Message { origin, received_at: received.at, items: &items }) {
                Ok(0) => {}
                Ok(skipped) => telemetry::pump::dropped("invalid_rrweb_event", skipped as u64),
                Err(dropped) => {
                    telemetry::pump::dropped(dropped.tag(), 1);
                    rows.warnings.push(dropped.warning(session));
                }
            }
        }
        if let Some(block) = writer.finish() {
            let address = shelf.blocks.add(received.project, shelf.offset, &block.bytes);
            rows.replay_blocks.push(row(block.summary, address));
        }
    }
}

fn row(summary: Summary, address: crate::blocks::Address) -> ReplayBlockRow {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    ReplayBlockRow {
        session_id: summary.session_id,
        distinct_id: summary.distinct_id,
        first_timestamp: summary.first_timestamp,
        last_timestamp: summary.last_timestamp,
        block_url: Some(address.url),
        first_url: summary.first_url,
        urls: summary.urls,
        click_count: count(summary.click_count),
        keypress_count: count(summary.keypress_count),
        mouse_activity_count: count(summary.mouse_activity_count),
        active_milliseconds: count(summary.active_milliseconds),
        console_log_count: count(summary.console_log_count),
        console_warn_count: count(summary.console_warn_count),
        console_error_count: count(summary.console_error_count),
        size: count(summary.size),
        event_count: count(summary.event_count),
        message_count: count(summary.message_count),
        snapshot_source: summary.snapshot_source,
        snapshot_library: summary.snapshot_library,
        retention_period_days: None,
        batch_id: address.batch,
        is_deleted: false,
    }
}
