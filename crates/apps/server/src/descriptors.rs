//! File descriptors: as many as the system gives, and no more connections than they allow.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for the log, tables, metastore and queries.
const OURS: usize = 512;

/// Raises the limit of this process as far as it may and gives how many of `wanted` connections fit under it.
///
/// Many systems start with 1024 for the sake of programs that use `select`; this is none.
pub fn for_connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let open = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
    let fitting = fitting(wanted, open);
    if fitting < wanted {
        tracing::warn!(
            wanted,
            fitting,
            open_files = open,
            "server.max_connections is lowered: raise the limit of open files (ulimit -n, LimitNOFILE=)"
        );
    }
    fitting
}

fn fitting(wanted: usize, open: usize) -> usize {
    // A limit below our own needs is halved rather than obeyed: a few connections must be possible.
    wanted.min(open.saturating_sub(OURS).max(open / 2)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_rest() {
        for (wanted, open, fits) in [(100, 20_000, 100), (5000, 1024, 512), (5000, 256, 128), (10, 0, 1)] {
            assert_eq!(fitting(wanted, open), fits, "{wanted} of {open}");
        }
        assert!(for_connections(1) == 1);
    }
}
