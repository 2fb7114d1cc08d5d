//! Accepting connections: header timeout, connection bound, and an orderly end.

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// The address of the other end of the connection, as an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Bounds of the accept loop.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Time for a request head.
    pub header: Duration,
    /// Connections served at once.
    pub connections: usize,
    /// Time that requests in flight get when the server stops.
    pub drain: Duration,
}

/// Serves `router` until `stop` turns true, then lets requests in flight finish within the drain time.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(bounds.header).max_buf_size(128 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(bounds.header))
        .max_header_list_size(64 * 1024);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stopping| *stopping) => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let begun = Arc::new(AtomicBool::new(false));
        let silent = silent(begun.clone(), bounds.header);
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            begun.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(Peer(peer));
            router.clone().oneshot(request.map(axum::body::Body::new))
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // A broken connection is the client's affair; requests have been answered or not by then.
            tokio::select! {
                _ = watched => {}
                () = silent => {}
            }
            drop(slot);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(bounds.drain, graceful.shutdown()).await;
}

/// Completes when no request has begun in time. Hyper's own timeout starts only once it knows the protocol, and a
/// client that sends nothing, or half of a preface, would hold its slot for ever.
async fn silent(begun: Arc<AtomicBool>, patience: Duration) {
    tokio::time::sleep(patience).await;
    if begun.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Takes one connection once a slot is free; `None` when the system refused to give one (out of descriptors).
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer.ip(), slot)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection; trying again in 50 ms");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
