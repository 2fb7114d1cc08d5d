//! Accepting connections: bounded in number, in idle time and in the time of a request head, and ended in order.

use crate::pressure::Pressure;
use crate::pulse::{Pulse, Watched};
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

/// Connections that the system completes for us while we are busy; it takes fewer where it is told to (`somaxconn`).
/// Beyond them a client's first packet is dropped and sent again a second later.
const BACKLOG: u32 = 4096;
/// Bytes of one HTTP/2 connection that are read ahead of its handlers, which no other bound counts.
const WINDOW: u32 = 64 * 1024;
/// Requests of one HTTP/2 connection at once.
const STREAMS: u32 = 64;

/// The address of the other end of the connection, as an extension of every request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Bounds of the accept loop.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Time for a request head, and time in which nothing happens on a connection.
    pub header: Duration,
    /// Connections served at once.
    pub connections: usize,
    /// Time that requests in flight get when the server stops.
    pub drain: Duration,
    /// Counts the connections.
    pub pressure: Arc<Pressure>,
}

/// Opens the port.
///
/// # Errors
/// What the system says: the address is in use, or not ours.
pub fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` until `stop` turns true, then lets requests in flight finish within the drain time.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(bounds.connections));
    let graceful = GracefulShutdown::new();
    let builder = protocol(bounds.header);
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stopping| *stopping) => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        let _ = stream.set_nodelay(true);
        let router = router.clone();
        let pulse = Arc::new(Pulse::default());
        let stream = Watched::new(TokioIo::new(stream), pulse.clone());
        let beats = pulse.clone();
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let answering = beats.answer();
            request.extensions_mut().insert(Peer(peer));
            let answer = router.clone().oneshot(request.map(axum::body::Body::new));
            async move {
                let answer = answer.await;
                drop(answering);
                answer
            }
        });
        let watched = graceful.watch(builder.serve_connection(stream, service).into_owned());
        let (pressure, header) = (bounds.pressure.clone(), bounds.header);
        tokio::spawn(async move {
            let _counted = (slot, pressure.connect());
            // A broken connection is the client's affair; requests have been answered or not by then.
            tokio::select! {
                _ = watched => {}
                () = still(&pulse, &pressure, header) => {}
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(bounds.drain, graceful.shutdown()).await;
}

fn protocol(header: Duration) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header).max_buf_size(128 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(64 * 1024)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(WINDOW as usize);
    builder
}

/// Completes when the client has done nothing for too long: sent no request, or read nothing of an answer. What a
/// handler does meanwhile, and the body it reads, have limits of their own.
async fn still(pulse: &Pulse, pressure: &Pressure, usual: Duration) {
    let step = (usual / 10).clamp(Duration::from_millis(1), Duration::from_secs(1));
    while pulse.rest().is_none_or(|rest| rest < pressure.patience(usual)) {
        tokio::time::sleep(step).await;
    }
}

/// Takes one connection once a slot is free; `None` when the system refused to give one (out of descriptors).
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
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
