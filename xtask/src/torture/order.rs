//! What a trace of system calls must show: no answer before its bytes are flushed, and no log segment deleted while
//! anything that replaces it is not flushed, content and name.

use super::strace::Call;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Checks that for each marker the answer was sent after the flush of the segment that its record was written to.
/// Gives how many were checked.
///
/// # Errors
/// The first marker whose answer left too early, or whose way cannot be followed.
pub fn acks(calls: &[Call], markers: &[String]) -> anyhow::Result<usize> {
    for marker in markers {
        let holds = |call: &&Call| call.arguments.contains(marker.as_str());
        let asked = calls.iter().filter(holds).find(|call| matches!(call.name.as_str(), "recvfrom" | "read"));
        let asked = asked.ok_or_else(|| anyhow::anyhow!("{marker}: no call received it"))?;
        let socket = asked.target().unwrap_or_default();
        let written =
            calls.iter().filter(holds).find(|call| call.name == "pwrite64" && is_segment(call.target()));
        let written = written.ok_or_else(|| anyhow::anyhow!("{marker}: no call wrote it to a segment"))?;
        let flushed = calls.iter().find(|call| {
            let flushes = matches!(call.name.as_str(), "fdatasync" | "fsync") && call.succeeded();
            flushes && call.target() == written.target() && call.begun > written.ended
        });
        let flushed = flushed.ok_or_else(|| anyhow::anyhow!("{marker}: its segment was never flushed"))?;
        let answered = calls
            .iter()
            .filter(|call| call.begun > asked.ended && call.target() == Some(socket))
            .find(|call| {
                matches!(call.name.as_str(), "sendto" | "write" | "writev" | "sendmsg")
                    && call.arguments.contains("HTTP/1.1 200")
            });
        let answered = answered.ok_or_else(|| anyhow::anyhow!("{marker}: no call answered it"))?;
        anyhow::ensure!(
            answered.begun > flushed.ended,
            "{marker}: answered on line {} of the trace, flushed on line {} only",
            answered.begun,
            flushed.ended
        );
    }
    Ok(markers.len())
}

fn is_segment(target: Option<&str>) -> bool {
    target.is_some_and(|target| target.ends_with(".segment"))
}

/// Follows which files and folders of `data` hold changes that a power cut could take, and looks whenever a segment is
/// deleted. Gives how many deletions were looked at.
///
/// # Errors
/// What was not flushed at the first deletion that came too early.
pub fn releases(calls: &[Call], data: &Path) -> anyhow::Result<usize> {
    let mut disk = Unflushed { data: data.to_owned(), ..Unflushed::default() };
    let mut looked = 0;
    for call in calls {
        if matches!(call.name.as_str(), "unlink" | "unlinkat") && is_segment(call.quoted(0)) {
            let left = disk.left();
            anyhow::ensure!(
                left.is_empty(),
                "line {}: a segment is deleted while not flushed: {left:?}",
                call.begun
            );
            looked += 1;
        }
        disk.follow(call)?;
    }
    Ok(looked)
}

/// What is only in memory as far as a power cut is concerned.
#[derive(Default)]
struct Unflushed {
    data: PathBuf,
    /// Files with content, and the line of the last write to each.
    files: BTreeMap<PathBuf, usize>,
    /// Folders with new names, and the line of the last change to each.
    folders: BTreeMap<PathBuf, usize>,
    known: BTreeSet<PathBuf>,
}

impl Unflushed {
    fn left(&self) -> Vec<&PathBuf> {
        self.files.keys().chain(self.folders.keys()).collect()
    }

    /// Files that matter: the log speaks for itself, and some files are worth nothing after a restart.
    fn matters(&self, path: &Path) -> bool {
        let inside = path.strip_prefix(&self.data).ok();
        inside.is_some_and(|inside| {
            let name = inside.to_string_lossy();
            !name.starts_with("log")
                && !name.starts_with("spill")
                && !name.ends_with("-shm")
                && !name.is_empty()
        })
    }

    fn named(&mut self, path: PathBuf, line: usize) {
        if self.matters(&path) && self.known.insert(path.clone()) {
            let above = path.parent().map(Path::to_owned).unwrap_or_default();
            self.folders.insert(above, line);
        }
    }

    fn follow(&mut self, call: &Call) -> anyhow::Result<()> {
        if !call.succeeded() {
            return Ok(());
        }
        let path = |number| call.quoted(number).map(PathBuf::from).unwrap_or_default();
        match call.name.as_str() {
            "openat" if call.arguments.contains("O_CREAT") => self.named(path(0), call.ended),
            "mkdir" | "mkdirat" => self.named(path(0), call.ended),
            "pwrite64" | "write" | "writev" | "ftruncate" => {
                let target = PathBuf::from(call.target().unwrap_or_default());
                if self.matters(&target) {
                    self.files.insert(target, call.ended);
                }
            }
            "fsync" | "fdatasync" => {
                let target = PathBuf::from(call.target().unwrap_or_default());
                for map in [&mut self.files, &mut self.folders] {
                    if map.get(&target).is_some_and(|written| *written < call.begun) {
                        map.remove(&target);
                    }
                }
            }
            "rename" | "renameat" | "renameat2" => {
                let (from, to) = (path(0), path(1));
                let late = self.files.contains_key(&from);
                anyhow::ensure!(
                    !late,
                    "line {}: {} is renamed before its content is flushed",
                    call.begun,
                    from.display()
                );
                self.known.remove(&to);
                self.named(to, call.ended);
            }
            "unlink" | "unlinkat" => {
                self.files.remove(&path(0));
                self.known.remove(&path(0));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::strace::calls;
    use super::*;

    const GOOD: &str = "1 recvfrom(5<socket:[9]>, \"POST /e probe-1\", 99, 0, NULL, NULL) = 15\n\
        2 pwrite64(7</d/log/0.segment>, \"probe-1\", 512, 512) = 512\n\
        2 fdatasync(7</d/log/0.segment>) = 0\n\
        1 sendto(5<socket:[9]>, \"HTTP/1.1 200 OK\", 15, 0, NULL, 0) = 15\n";

    #[test]
    fn an_answer_before_its_flush_is_found() {
        let markers = ["probe-1".to_owned()];
        assert_eq!(acks(&calls(GOOD), &markers).unwrap(), 1);
        let lines: Vec<&str> = GOOD.lines().collect();
        for order in [[0, 1, 3, 2], [0, 3, 1, 2], [0, 2, 1, 3]] {
            let text: String = order.iter().map(|at| format!("{}\n", lines[*at])).collect();
            assert!(acks(&calls(&text), &markers).is_err(), "{text}");
        }
        let failed = GOOD.replace("0.segment>) = 0", "0.segment>) = -1 EIO (Input/output error)");
        assert!(acks(&calls(&failed), &markers).is_err());
    }

    #[test]
    fn a_segment_deleted_before_its_successors_are_flushed_is_found() {
        let good = "1 mkdir(\"/d/w\", 0777) = 0\n1 fsync(3</d>) = 0\n\
            1 openat(AT_FDCWD, \"/d/w/a.partial\", O_WRONLY|O_CREAT, 0666) = 4</d/w/a.partial>\n\
            1 write(4</d/w/a.partial>, \"x\", 1) = 1\n1 fsync(4</d/w/a.partial>) = 0\n\
            1 rename(\"/d/w/a.partial\", \"/d/w/a\") = 0\n1 fsync(5</d/w>) = 0\n1 unlink(\"/d/log/0.segment\") = 0\n";
        assert_eq!(releases(&calls(good), Path::new("/d")).unwrap(), 1);
        for missing in ["1 fsync(3</d>) = 0\n", "1 fsync(4</d/w/a.partial>) = 0\n", "1 fsync(5</d/w>) = 0\n"]
        {
            let bad = good.replace(missing, "");
            assert!(releases(&calls(&bad), Path::new("/d")).is_err(), "{missing}");
        }
    }
}
