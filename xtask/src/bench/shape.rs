//! What is sent: which events, how many per request, on how many connections.

use super::client::{Load, Prepared};
use super::process::Running;
use std::sync::Arc;
use std::time::Duration;
use testkit::server::PROJECT_KEY;
use testkit::workload::{Kind, Workload, gzip};

/// One kind of request.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Which events.
    pub kind: Kind,
    /// Events per request.
    pub batch: u64,
    /// Whether bodies travel compressed. Their uuids stay, so each is good for one send.
    pub gzip: bool,
    /// Connections at once.
    pub connections: usize,
}

/// A page view per request, as browsers send it.
pub const PAGE: Shape = Shape { kind: Kind::PageView, batch: 1, gzip: false, connections: 256 };
/// A hundred page views per request.
pub const PAGES: Shape = Shape { kind: Kind::PageView, batch: 100, gzip: false, connections: 16 };
/// The same compressed.
pub const PAGES_GZIP: Shape = Shape { gzip: true, ..PAGES };
/// A hundred server events per request.
pub const SERVER: Shape = Shape { kind: Kind::Server, batch: 100, gzip: false, connections: 32 };

impl Shape {
    /// As many requests as asked for, each with other events.
    pub fn requests(&self, seed: u64, count: u64) -> Arc<Vec<Prepared>> {
        let workload = Workload { kind: self.kind, seed, start: jiff::Timestamp::now() };
        let path = if self.batch == 1 { "/i/v0/e/" } else { "/batch/" };
        let request = |number| {
            let body = match self.batch {
                1 => workload.single(PROJECT_KEY, number),
                many => workload.batch(PROJECT_KEY, number * many, many),
            };
            let body = if self.gzip { gzip(&body) } else { body };
            Prepared::new(path, &body, self.gzip)
        };
        Arc::new((0..count).map(request).collect())
    }

    /// Enough of them that values rarely repeat while they are being sent.
    pub fn many(&self, seed: u64) -> Arc<Vec<Prepared>> {
        let count = match (self.gzip, self.batch) {
            (true, _) => 1_500,
            (false, 1) => 4_000,
            (false, _) => 100,
        };
        self.requests(seed, count)
    }

    /// These requests for that server.
    pub fn load(&self, running: &Running, requests: &Arc<Vec<Prepared>>, span: Duration) -> Load {
        let address = running.address().to_owned();
        Load { address, requests: Arc::clone(requests), connections: self.connections, span, most: u64::MAX }
    }
}
