//! Reading a request body: bounded in size, bounded in time, and polite about refusing.

use crate::app::App;
use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use ingest::Hold;
use std::time::{Duration, Instant};

/// A connection may be slow at first: a phone that wakes up, a handshake of a proxy.
const GRACE: Duration = Duration::from_secs(10);

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of the body.
    pub bytes: usize,
    /// Time between two pieces of it.
    pub pause: Duration,
    /// Time for all of it: a client that sends a byte now and then would otherwise hold its memory for days.
    pub whole: Duration,
    /// Bytes a second that a body must come to, once `grace` has passed; 0 for no such rule.
    pub rate: usize,
    /// Time in which the rate is not asked for.
    pub grace: Duration,
}

impl Bounds {
    /// The times of the settings, as far as the crowd allows, and a size.
    pub fn of(app: &App, bytes: usize) -> Self {
        let settings = &app.settings.server;
        Self {
            bytes,
            pause: app.pressure.patience(Duration::from_millis(settings.body_timeout_ms)),
            whole: Duration::from_millis(settings.body_deadline_ms),
            rate: settings.body_bytes_per_second,
            grace: app.pressure.patience(GRACE),
        }
    }

    /// Time from the start until more than `length` bytes must be there.
    fn allowance(&self, length: usize) -> Duration {
        if self.rate == 0 {
            return self.whole;
        }
        self.grace.saturating_add(Duration::from_secs_f64(length as f64 / self.rate as f64))
    }
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes than the limit, which is given.
    TooLarge(usize),
    /// No bytes for too long, after this many.
    Stalled(usize),
    /// Bytes kept coming, but too slowly.
    Late,
    /// The client went away.
    Gone,
    /// There is no room for it beside the bodies of other requests.
    NoRoom,
}

/// Reads the whole body, and counts it in `hold` as it comes.
///
/// Once the limit is passed, up to as many bytes again are read and thrown away, so that a client that is still
/// writing receives the 413 instead of a reset connection.
pub async fn collect(body: Body, bounds: Bounds, hold: &Hold) -> Result<Bytes, Fault> {
    let reading = read(body.into_data_stream(), bounds, hold);
    tokio::time::timeout(bounds.whole, reading).await.unwrap_or(Err(Fault::Late))
}

/// Reads a body and throws it away, up to the bounds, for an answer that does not depend on it: a client that is
/// still writing may not see an answer on a connection that is closed under it.
pub async fn discard(body: Body, bounds: Bounds) {
    let mut stream = body.into_data_stream();
    // As far as `collect` reads on behind its limit.
    let draining = drain(&mut stream, bounds.bytes.saturating_mul(2), bounds.pause);
    let _ = tokio::time::timeout(bounds.whole, draining).await;
}

async fn read(mut stream: BodyDataStream, bounds: Bounds, hold: &Hold) -> Result<Bytes, Fault> {
    let Bounds { bytes: limit, pause, .. } = bounds;
    let started = Instant::now();
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut length = 0_usize;
    loop {
        let left = bounds.allowance(length).saturating_sub(started.elapsed());
        let next = tokio::time::timeout(pause.min(left), stream.next()).await;
        let piece = next.map_err(|_| if left < pause { Fault::Late } else { Fault::Stalled(length) })?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| Fault::Gone)?;
        length += piece.len();
        if length > limit {
            drain(&mut stream, limit.saturating_mul(2).saturating_sub(length), pause).await;
            return Err(Fault::TooLarge(limit));
        }
        if hold.grow(piece.len()).is_err() {
            // Let go before the rest is waited for.
            drop((first, rest));
            drain(&mut stream, limit.saturating_mul(2).saturating_sub(length), pause).await;
            return Err(Fault::NoRoom);
        }
        // Most bodies arrive in one piece; that piece is then passed on without copying.
        match (&first, rest.is_empty()) {
            (None, true) => first = Some(piece),
            (Some(head), true) => {
                rest.reserve(head.len() + piece.len());
                rest.extend_from_slice(head);
                rest.extend_from_slice(&piece);
            }
            _ => rest.extend_from_slice(&piece),
        }
    }
    Ok(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() })
}

async fn drain(stream: &mut BodyDataStream, mut budget: usize, pause: Duration) {
    while let Ok(Some(Ok(piece))) = tokio::time::timeout(pause, stream.next()).await {
        match budget.checked_sub(piece.len()) {
            Some(left) => budget = left,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        bytes: 100,
        pause: Duration::from_secs(5),
        whole: Duration::from_secs(10),
        rate: 0,
        grace: Duration::ZERO,
    };

    fn pieces(sizes: &[usize]) -> Body {
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            sizes.iter().map(|n| Ok(Bytes::from(vec![b'x'; *n]))).collect();
        Body::from_stream(futures::stream::iter(pieces))
    }

    async fn collect(body: Body, bounds: Bounds) -> Result<Bytes, Fault> {
        super::collect(body, bounds, &Hold::default()).await
    }

    #[tokio::test]
    async fn pieces_are_joined() {
        for sizes in [&[][..], &[0], &[3], &[3, 4], &[0, 3, 0, 4, 5]] {
            let total = sizes.iter().sum::<usize>();
            assert_eq!(collect(pieces(sizes), BOUNDS).await.expect("body").len(), total);
        }
    }

    #[tokio::test]
    async fn the_limit_is_exact() {
        assert!(collect(pieces(&[50, 50]), BOUNDS).await.is_ok());
        assert_eq!(collect(pieces(&[50, 51]), BOUNDS).await, Err(Fault::TooLarge(100)));
        assert_eq!(collect(pieces(&[50, 51, 500, 500]), BOUNDS).await, Err(Fault::TooLarge(100)));
    }

    #[tokio::test]
    async fn a_body_counts_while_it_is_held() {
        let room = std::sync::Arc::new(ingest::Inflight::new(80, 1));
        let (one, two) = (Hold::of(&room), Hold::of(&room));
        assert!(super::collect(pieces(&[30, 30]), BOUNDS, &one).await.is_ok());
        assert_eq!(super::collect(pieces(&[10, 30]), BOUNDS, &two).await, Err(Fault::NoRoom));
        drop(one);
        assert!(super::collect(pieces(&[10, 30]), BOUNDS, &two).await.is_ok());
    }

    #[tokio::test]
    async fn a_stalled_body_times_out() {
        let stalled = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"x")) })
            .chain(futures::stream::pending());
        let bounds = Bounds { pause: Duration::from_millis(20), ..BOUNDS };
        assert_eq!(collect(Body::from_stream(stalled), bounds).await, Err(Fault::Stalled(1)));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let trickle = || {
            Body::from_stream(futures::stream::unfold((), |()| async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Some((Ok::<_, std::io::Error>(Bytes::new()), ()))
            }))
        };
        let bounds = Bounds { whole: Duration::from_millis(40), ..BOUNDS };
        assert_eq!(collect(trickle(), bounds).await, Err(Fault::Late));
        let slow = Bounds { grace: Duration::from_millis(40), rate: 1000, ..BOUNDS };
        assert_eq!(collect(trickle(), slow).await, Err(Fault::Late));
        discard(trickle(), bounds).await;
    }
}
