//! Reading a request body: bounded in size, bounded in time, and polite about refusing.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use std::time::Duration;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes than the limit, which is given.
    TooLarge(usize),
    /// No bytes for too long, after this many.
    Timeout(usize),
    /// The client went away.
    Gone,
}

/// Reads the whole body.
///
/// Once the limit is passed, up to as many bytes again are read and thrown away, so that a client that is still
/// writing receives the 413 instead of a reset connection.
pub async fn collect(body: Body, limit: usize, pause: Duration) -> Result<Bytes, Fault> {
    let mut stream = body.into_data_stream();
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    let mut length = 0_usize;
    loop {
        let piece = tokio::time::timeout(pause, stream.next()).await.map_err(|_| Fault::Timeout(length))?;
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

async fn drain(stream: &mut axum::body::BodyDataStream, mut budget: usize, pause: Duration) {
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

    const PAUSE: Duration = Duration::from_secs(5);

    fn pieces(sizes: &[usize]) -> Body {
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            sizes.iter().map(|n| Ok(Bytes::from(vec![b'x'; *n]))).collect();
        Body::from_stream(futures::stream::iter(pieces))
    }

    #[tokio::test]
    async fn pieces_are_joined() {
        for sizes in [&[][..], &[0], &[3], &[3, 4], &[0, 3, 0, 4, 5]] {
            let total = sizes.iter().sum::<usize>();
            assert_eq!(collect(pieces(sizes), 100, PAUSE).await.expect("body").len(), total);
        }
    }

    #[tokio::test]
    async fn the_limit_is_exact() {
        assert!(collect(pieces(&[50, 50]), 100, PAUSE).await.is_ok());
        assert_eq!(collect(pieces(&[50, 51]), 100, PAUSE).await, Err(Fault::TooLarge(100)));
        assert_eq!(collect(pieces(&[50, 51, 500, 500]), 100, PAUSE).await, Err(Fault::TooLarge(100)));
    }

    #[tokio::test]
    async fn a_stalled_body_times_out() {
        let stalled = futures::stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"x")) })
            .chain(futures::stream::pending());
        assert_eq!(
            collect(Body::from_stream(stalled), 100, Duration::from_millis(20)).await,
            Err(Fault::Timeout(1))
        );
    }
}
