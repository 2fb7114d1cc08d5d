//! Which events were already folded, so that a re-sent one is visible once.
//!
//! An event is the same event when project, UTC day, name, distinct id and uuid are the same (PostHog's sorting
//! key, `posthog/models/event/sql.py`). Keys since the last commit are in memory; older ones are in
//! [`Run`] files. The window is bounded by time and by count, whichever is shorter.

use crate::error::{Error, Kind};
use crate::seen_run::{Run, Span};
use event::{CapturedEvent, ProjectId};
use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use uuid::Uuid;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// How long and how many events are remembered.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Age after which a repeat is no longer recognised.
    pub age: SignedDuration,
    /// Number of events after which the oldest are forgotten. Costs 1.25 bytes of memory and 17 of disk each.
    pub events: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { age: SignedDuration::from_hours(7 * 24), events: 8_000_000 }
    }
}

/// What is known of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Never seen within the window.
    New,
    /// Seen; nothing is to be done.
    Repeat,
    /// Seen since the last commit, with other content: the later copy replaces the earlier.
    Changed,
}

/// The memory of the pump for repeats.
#[derive(Debug)]
pub struct Seen {
    dir: PathBuf,
    window: Window,
    recent: HashMap<u128, u64, RandomState>,
    recent_from: u64,
    newest: i64,
    runs: Vec<Run>,
}

impl Seen {
    /// Opens the memory as it was at log offset `checkpoint`; what lies beyond will be folded again.
    pub fn open(dir: &Path, window: Window, checkpoint: u64) -> Result<Self, Error> {
        let fail = |e| Error::because(Kind::Unavailable, format!("cannot open {}", dir.display()), e);
        eventlog::disk::make_folder(dir).map_err(fail)?;
        let mut runs = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("seen") => runs.push(Run::open(&path)?),
                Some("partial") => std::fs::remove_file(&path).map_err(fail)?,
                _ => {}
            }
        }
        // Widest first, so that a run merged into a wider one before a crash is recognised as covered.
        runs.sort_by_key(|run| (run.span.from, std::cmp::Reverse(run.span.to)));
        let mut kept: Vec<Run> = Vec::new();
        for run in runs {
            let covered = kept.last().is_some_and(|wide| run.span.to <= wide.span.to);
            if covered || run.span.to > checkpoint {
                run.delete()?;
            } else {
                kept.push(run);
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            window,
            recent: HashMap::default(),
            recent_from: checkpoint,
            newest: i64::MIN,
            runs: kept,
        })
    }

    /// Notes an event and says whether it is new.
    pub fn note(&mut self, key: u128, event: &CapturedEvent) -> Result<Verdict, Error> {
        self.note_content(key, event.content, event.received_at)
    }

    /// Notes one event of a replay request; true when it is new.
    pub fn note_recording(&mut self, project: ProjectId, id: &Uuid, at: Timestamp) -> Result<bool, Error> {
        let mut hash = Xxh3::new();
        hash.update(b"recording");
        hash.update(&project.0.to_le_bytes());
        hash.update(id.as_bytes());
        Ok(self.note_content(hash.digest128(), 0, at)? == Verdict::New)
    }

    fn note_content(&mut self, key: u128, content: u64, at: Timestamp) -> Result<Verdict, Error> {
        self.newest = self.newest.max(at.as_microsecond());
        if let Some(known) = self.recent.get_mut(&key) {
            let changed = *known != content;
            *known = content;
            return Ok(if changed { Verdict::Changed } else { Verdict::Repeat });
        }
        for run in self.runs.iter().rev() {
            if run.contains(key)? {
                return Ok(Verdict::Repeat);
            }
        }
        self.recent.insert(key, content);
        Ok(Verdict::New)
    }

    /// Takes a note back: the event was not stored after all.
    pub fn forget(&mut self, key: u128) {
        self.recent.remove(&key);
    }

    /// Writes what was noted up to log offset `to` as a run. Call before the checkpoint of `to` is written;
    /// after a crash in between, [`Seen::open`] forgets the run again. `checkpoint` is the last one written: only runs
    /// below it are merged, so that forgetting takes nothing older along.
    pub fn cut(&mut self, to: u64, checkpoint: u64) -> Result<(), Error> {
        if self.recent.is_empty() {
            self.recent_from = to;
            return Ok(());
        }
        self.merge(checkpoint)?;
        let mut keys: Vec<u128> = self.recent.keys().copied().collect();
        keys.sort_unstable();
        let span = Span { from: self.recent_from, to, newest: self.newest };
        self.runs.push(Run::write(&self.dir, span, &keys)?);
        self.recent = HashMap::default();
        self.recent_from = to;
        self.expire();
        Ok(())
    }

    /// Merges the youngest runs while they are of similar size, so that their number stays logarithmic.
    fn merge(&mut self, checkpoint: u64) -> Result<(), Error> {
        while let [.., a, b] = self.runs.as_slice() {
            if a.count > b.count * 2 || b.span.to > checkpoint {
                break;
            }
            let span = Span { from: a.span.from, to: b.span.to, newest: a.span.newest.max(b.span.newest) };
            let mut keys = a.keys()?;
            keys.extend(b.keys()?);
            keys.sort_unstable();
            keys.dedup();
            let merged = Run::write(&self.dir, span, &keys)?;
            let covered = self.runs.split_off(self.runs.len() - 2);
            self.runs.push(merged);
            covered.into_iter().for_each(Run::retire);
        }
        Ok(())
    }

    fn expire(&mut self) {
        let oldest = self.newest.saturating_sub(self.window.age.as_micros() as i64);
        let mut total: u64 = self.runs.iter().map(|run| run.count).sum();
        while self.runs.len() > 1 {
            let first = &self.runs[0];
            if first.span.newest >= oldest && total <= self.window.events {
                break;
            }
            total -= first.count;
            self.runs.remove(0).retire();
        }
    }
}

/// What makes an event the same event, as a hash.
pub fn key(project: ProjectId, event: &CapturedEvent) -> u128 {
    const DAY: i64 = 86_400;
    let mut bytes = Vec::with_capacity(40 + event.event.len() + event.distinct_id.len());
    bytes.extend_from_slice(&project.0.to_le_bytes());
    bytes.extend_from_slice(&event.timestamp.as_second().div_euclid(DAY).to_le_bytes());
    bytes.extend_from_slice(event.uuid.as_bytes());
    bytes.extend_from_slice(&(event.event.len() as u64).to_le_bytes());
    bytes.extend_from_slice(event.event.as_bytes());
    bytes.extend_from_slice(event.distinct_id.as_bytes());
    xxh3_128(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Properties;
    use serde_json::Map;

    fn sent(id: u128, at: i64, content: u64) -> CapturedEvent {
        CapturedEvent {
            uuid: Uuid::from_u128(id),
            event: "e".into(),
            distinct_id: "d".into(),
            timestamp: Timestamp::from_second(at).expect("time"),
            received_at: Timestamp::from_second(at).expect("time"),
            sent_at: None,
            ip: None,
            properties: Properties::new(),
            context: None,
            extra: Map::new(),
            api_key: String::new(),
            force_personless: false,
            historical: false,
            content,
            warnings: vec![],
        }
    }

    const P: ProjectId = ProjectId(1);

    fn note(seen: &mut Seen, project: ProjectId, event: &CapturedEvent) -> Verdict {
        seen.note(key(project, event), event).expect("note")
    }

    #[test]
    fn a_repeat_is_known_before_and_after_a_cut_and_a_reopen() {
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        assert_eq!(note(&mut seen, P, &sent(1, 0, 1)), Verdict::New);
        assert_eq!(note(&mut seen, P, &sent(1, 0, 1)), Verdict::Repeat);
        assert_eq!(note(&mut seen, P, &sent(1, 0, 2)), Verdict::Changed);
        seen.cut(10, 10).expect("cut");
        assert_eq!(note(&mut seen, P, &sent(1, 0, 2)), Verdict::Repeat);
        let mut seen = Seen::open(dir.path(), Window::default(), 10).expect("open");
        assert_eq!(note(&mut seen, P, &sent(1, 0, 1)), Verdict::Repeat);
    }

    #[test]
    fn another_day_name_or_project_is_another_event() {
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        note(&mut seen, P, &sent(1, 0, 1));
        assert_eq!(note(&mut seen, P, &sent(1, 86_400, 1)), Verdict::New);
        let mut renamed = sent(1, 0, 1);
        renamed.event = "f".into();
        assert_eq!(note(&mut seen, P, &renamed), Verdict::New);
        assert_eq!(note(&mut seen, ProjectId(2), &sent(1, 0, 1)), Verdict::New);
    }

    #[test]
    fn runs_beyond_the_checkpoint_are_forgotten() {
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        note(&mut seen, P, &sent(1, 0, 1));
        seen.cut(10, 10).expect("cut");
        note(&mut seen, P, &sent(2, 0, 1));
        seen.cut(20, 20).expect("cut");
        let mut seen = Seen::open(dir.path(), Window::default(), 10).expect("open");
        assert_eq!(note(&mut seen, P, &sent(1, 0, 1)), Verdict::Repeat);
        assert_eq!(note(&mut seen, P, &sent(2, 0, 1)), Verdict::New);
    }

    #[test]
    fn many_cuts_leave_few_files_and_forget_nothing_inside_the_window() {
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        for i in 0..200_u64 {
            note(&mut seen, P, &sent(u128::from(i), 0, 1));
            seen.cut(i + 1, i).expect("cut");
        }
        assert!(seen.runs.len() < 20, "{} runs", seen.runs.len());
        let mut seen = Seen::open(dir.path(), Window::default(), 200).expect("open");
        for i in 0..200 {
            assert_eq!(note(&mut seen, P, &sent(i, 0, 1)), Verdict::Repeat, "{i}");
        }
    }

    #[test]
    fn the_window_is_bounded_by_count_and_age() {
        let dir = tempfile::tempdir().expect("dir");
        let window = Window { age: SignedDuration::from_secs(100), events: 50 };
        let mut seen = Seen::open(dir.path(), window, 0).expect("open");
        for i in 0..100_u64 {
            note(&mut seen, P, &sent(u128::from(i), 0, 1));
            seen.cut(i + 1, i).expect("cut");
        }
        assert!(seen.runs.iter().map(|run| run.count).sum::<u64>() <= 64 + 50);
        note(&mut seen, P, &sent(1_000, 10_000, 1));
        seen.cut(1_000, 1_000).expect("cut");
        assert_eq!(seen.runs.len(), 1);
    }

    /// Notes the given ids, all arrived at one time, and cuts.
    fn cut_of(seen: &mut Seen, ids: std::ops::Range<u128>, at: i64, to: u64) {
        for id in ids {
            assert_eq!(note(seen, P, &sent(id, at, 1)), Verdict::New, "{id}");
        }
        seen.cut(to, to - 1).expect("cut");
    }

    fn files(dir: &Path) -> usize {
        std::fs::read_dir(dir).expect("readable").count()
    }

    #[test]
    fn a_run_is_forgotten_when_it_is_too_old_and_not_before() {
        let dir = tempfile::tempdir().expect("dir");
        let window = Window { age: SignedDuration::from_secs(100), events: 1_000 };
        let mut seen = Seen::open(dir.path(), window, 0).expect("open");
        cut_of(&mut seen, 0..10, 0, 10);
        cut_of(&mut seen, 10..13, 100, 20);
        assert_eq!((seen.runs.len(), files(dir.path())), (2, 2));
        assert_eq!(note(&mut seen, P, &sent(0, 0, 1)), Verdict::Repeat);
        cut_of(&mut seen, 13..14, 101, 30);
        assert_eq!((seen.runs.len(), files(dir.path())), (2, 2), "the oldest is gone from memory and disk");
        assert_eq!(note(&mut seen, P, &sent(10, 0, 1)), Verdict::Repeat);
        assert_eq!(note(&mut seen, P, &sent(0, 0, 1)), Verdict::New);
    }

    #[test]
    fn runs_are_forgotten_when_there_are_too_many_events_and_not_before() {
        let dir = tempfile::tempdir().expect("dir");
        let window = Window { age: SignedDuration::from_hours(1), events: 13 };
        let mut seen = Seen::open(dir.path(), window, 0).expect("open");
        cut_of(&mut seen, 0..10, 0, 10);
        cut_of(&mut seen, 10..13, 0, 20);
        assert_eq!(note(&mut seen, P, &sent(0, 0, 1)), Verdict::Repeat);
        cut_of(&mut seen, 13..14, 0, 30);
        let counts: Vec<u64> = seen.runs.iter().map(|run| run.count).collect();
        assert_eq!(counts, [3, 1]);
        assert_eq!(note(&mut seen, P, &sent(0, 0, 1)), Verdict::New);
        // The last run stays, however large.
        seen.forget(key(P, &sent(0, 0, 1)));
        cut_of(&mut seen, 100..140, 0, 40);
        assert_eq!(seen.runs.len(), 1);
        assert_eq!(note(&mut seen, P, &sent(100, 0, 1)), Verdict::Repeat);
    }

    #[test]
    fn only_runs_of_similar_size_are_merged_and_the_newest_arrival_stays_known() {
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        cut_of(&mut seen, 0..7, 50, 10);
        cut_of(&mut seen, 7..10, 20, 20);
        // Seven are more than twice three: they stay apart.
        cut_of(&mut seen, 10..11, 20, 30);
        assert_eq!(seen.runs.iter().map(|run| run.count).collect::<Vec<_>>(), [7, 3, 1]);
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        cut_of(&mut seen, 0..6, 50, 10);
        cut_of(&mut seen, 6..9, 20, 20);
        // Six are not: they become one, which is as new as the newer of both.
        cut_of(&mut seen, 9..10, 20, 30);
        assert_eq!(seen.runs.iter().map(|run| run.count).collect::<Vec<_>>(), [9, 1]);
        assert_eq!(seen.runs[0].span, Span { from: 0, to: 20, newest: 50_000_000 });
        assert_eq!(files(dir.path()), 2);
    }

    #[test]
    fn nothing_beyond_the_checkpoint_is_merged_with_what_is_below() {
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        for (id, to, checkpoint) in [(1, 10, 0), (2, 20, 10), (3, 30, 10)] {
            note(&mut seen, P, &sent(id, 0, 1));
            seen.cut(to, checkpoint).expect("cut");
        }
        let mut seen = Seen::open(dir.path(), Window::default(), 10).expect("open");
        let verdicts = [1, 2, 3].map(|id| note(&mut seen, P, &sent(id, 0, 1)));
        assert_eq!(verdicts, [Verdict::Repeat, Verdict::New, Verdict::New]);
        assert_eq!(files(dir.path()), 1);
    }

    #[test]
    fn what_a_crash_left_behind_is_cleared_away() {
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        cut_of(&mut seen, 0..1, 0, 10);
        let narrow =
            std::fs::read_dir(dir.path()).expect("readable").next().expect("a run").expect("a run").path();
        let kept = std::fs::read(&narrow).expect("readable");
        cut_of(&mut seen, 1..2, 0, 20);
        cut_of(&mut seen, 2..3, 0, 30);
        assert_eq!(files(dir.path()), 2, "the first two are one");
        std::fs::write(&narrow, kept).expect("writable");
        std::fs::write(dir.path().join("half.partial"), "half a run").expect("writable");
        let mut seen = Seen::open(dir.path(), Window::default(), 30).expect("open");
        assert_eq!((seen.runs.len(), files(dir.path())), (2, 2));
        for id in 0..3 {
            assert_eq!(note(&mut seen, P, &sent(id, 0, 1)), Verdict::Repeat, "{id}");
        }
    }

    #[test]
    fn an_event_that_was_not_stored_is_new_again() {
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        note(&mut seen, P, &sent(1, 0, 1));
        seen.forget(key(P, &sent(1, 0, 1)));
        assert_eq!(note(&mut seen, P, &sent(1, 0, 1)), Verdict::New);
    }

    #[test]
    fn recordings_are_known_by_project_and_uuid() {
        let dir = tempfile::tempdir().expect("dir");
        let mut seen = Seen::open(dir.path(), Window::default(), 0).expect("open");
        let at = Timestamp::from_second(0).expect("time");
        let mut note =
            |project, id| seen.note_recording(ProjectId(project), &Uuid::from_u128(id), at).expect("note");
        assert_eq!(
            [note(1, 1), note(1, 1), note(2, 1), note(1, 2), note(1, 2)],
            [true, false, true, true, false]
        );
    }
}
