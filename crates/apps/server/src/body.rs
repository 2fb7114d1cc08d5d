//! Reading a request body: bounded in size, bounded in time, and polite about refusing.

use crate::settings::Server;
use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::time::Duration;

/// How much of a body is read, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of the body.
    pub bytes: usize,
    /// Time between two pieces of it.
    pub pause: Duration,
    /// Time for all of it: a client that sends a byte now and then would otherwise hold its memory for days.
    pub whole: Duration,
}

impl Bounds {
    /// The times of the settings, and a size.
    pub fn of(settings: &Server, bytes: usize) -> Self {
        Self {
            bytes,
            pause: Duration::from_millis(settings.body_timeout_ms),
            whole: Duration::from_millis(settings.body_deadline_ms),
        }
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
}

/// Reads the whole body.
///
/// Once the limit is passed, up to as many bytes again are read and thrown away, so that a client that is still
/// writing receives the 413 instead of a reset connection.
pub async fn collect(body: Body, bounds: Bounds) -> Result<Bytes, Fault> {
    let reading = read(body.into_data_stream(), bounds);
    tokio::time::timeout(bounds.whole, reading).await.unwrap_or(Err(Fault::Late))
}

/// Reads a body and throws it away, up to the bounds, for an answer that does not depend on it: a client that is
/// still writing may not see an answer on a connection that is closed under it.
pub async fn discard(body: Body, bounds: Bounds) {
    let mut stream = body.into_data_stream();
    let draining = drain(&mut stream, bounds.bytes, bounds.pause);
    let _ = tokio::time::timeout(bounds.whole, draining).await;
}

async fn read(mut stream: BodyDataStream, bounds: Bounds) -> Result<Bytes, Fault> {
    let Bounds { bytes: limit, pause, .. } = bounds;
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut length = 0_usize;
    loop {
        let piece = tokio::time::timeout(pause, stream.next()).await.map_err(|_| Fault::Stalled(length))?;
        let Some(piece) = piece else { break };
        let piece = piece.map_err(|_| Fault::Gone)?;
        length += piece.len();
        if length > limit {
            drain(&mut stream, limit.saturating_mul(2).saturating_sub(length), pause).await;
            return Err(Fault::TooLarge(limit));
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

    const BOUNDS: Bounds =
        Bounds { bytes: 100, pause: Duration::from_secs(5), whole: Duration::from_secs(10) };

    fn pieces(sizes: &[usize]) -> Body {
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            sizes.iter().map(|n| Ok(Bytes::from(vec![b'x'; *n]))).collect();
        Body::from_stream(futures::stream::iter(pieces))
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
        discard(trickle(), bounds).await;
    }
}
