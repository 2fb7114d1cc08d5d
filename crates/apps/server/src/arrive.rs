//! From an HTTP request to what the door takes: body, addresses, headers, signature.

use crate::app::App;
use crate::body::{self, Bounds, Fault};
use crate::client_ip;
use crate::connection::Peer;
use crate::pressure::Counted;
use crate::{clock, place, signature};
use axum::extract::Request;
use bytes::Bytes;
use event::{Rejection, Route};
use http::HeaderMap;
use http::request::Parts;
use ingest::{Arrival, Hold};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use wire::capture_query::Query;

/// Taking apart more than this would keep other requests of the thread waiting.
const LARGE: usize = 256 * 1024;

/// A write request that has arrived whole.
pub struct Arrived {
    /// Its head.
    pub parts: Parts,
    /// Its body.
    pub body: Bytes,
    /// Counts the body, and what is made of it, until it is dropped.
    pub hold: Hold,
    /// Counts the request until it is dropped.
    pub begun: Counted,
}

/// Reads a write request: bounded, and signed if a secret is configured.
///
/// # Errors
/// `Retry` when the server is asked for more than it can do.
pub async fn read(app: &App, request: Request, limit: usize) -> Result<Arrived, Rejection> {
    let (parts, body) = request.into_parts();
    let bounds = Bounds::of(app, limit);
    if app.pressure.refuses() {
        body::discard(body, bounds).await;
        return Err(Rejection::Retry);
    }
    let hold = app.pressure.hold();
    let bytes = body::collect(body, bounds, &hold).await.map_err(|fault| match fault {
        Fault::TooLarge(limit) => {
            telemetry::capture::payload_too_large("wire");
            Rejection::TooLarge(format!("request body above {limit} bytes"))
        }
        Fault::Stalled(_) | Fault::Late => Rejection::BodyTimeout,
        Fault::NoRoom => Rejection::Retry,
        // Nobody is there to read it; the text is for the log of a proxy.
        Fault::Gone => Rejection::Decoding("the request body ended early".into()),
    })?;
    let secret = &app.settings.server.signing_secret;
    if !secret.is_empty() {
        signature::verify(secret.as_bytes(), &parts.headers, &signed(&parts, &bytes))?;
    }
    Ok(Arrived { parts, body: bytes, hold, begun: app.pressure.begin() })
}

/// Takes a body apart: at once when it is short, else in its turn and away from the other requests of the thread.
///
/// # Errors
/// `Retry` when its turn does not come.
pub async fn take_apart<T>(arrived: &Arrived, work: impl FnOnce() -> T) -> Result<T, Rejection> {
    if wire::encoding::claimed_size(&arrived.body) < LARGE {
        return Ok(work());
    }
    arrived.hold.begin_turn().await?;
    Ok(tokio::task::block_in_place(work))
}

/// What a signature covers: the payload that will be read, so the query's `data` where that replaces the body.
fn signed<'a>(parts: &'a Parts, body: &'a Bytes) -> Cow<'a, [u8]> {
    let query = parts.uri.query().map(Query::parse).unwrap_or_default();
    query.data.unwrap_or(Cow::Borrowed(body))
}

/// Describes a request for the door.
pub fn describe<'a>(app: &App, parts: &'a Parts, route: Route, (body, hold): (Bytes, Hold)) -> Arrival<'a> {
    let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let trusted = client_ip::is_trusted(peer, &app.trusted);
    let ip = client_ip::client_ip(&parts.headers, peer, &app.trusted);
    Arrival {
        route,
        at: app.clock.now(),
        seed: clock::seed(),
        query: parts.uri.query().map(Query::parse).unwrap_or_default(),
        content_type: text(&parts.headers, "content-type"),
        content_encoding: text(&parts.headers, "content-encoding"),
        user_agent: text(&parts.headers, "user-agent"),
        ip: Some(ip.to_string()),
        place: if trusted { place::from_headers(&parts.headers) } else { None },
        body,
        hold,
    }
}

/// A header as text, if it is text.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
