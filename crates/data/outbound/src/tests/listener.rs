//! A server that notes what it is sent, and a book of names that can change its mind.

use crate::names::Names;
use crate::{Client, Request, Settings};
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What a listener answers to a path.
pub(super) type Script = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// A listener on the loopback, for the life of the test's runtime.
pub(super) struct Listener {
    pub(super) at: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// Listens and answers by the script, one request a connection.
    pub(super) async fn start(
        address: &str,
        script: impl Fn(&str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::try_start(address, Arc::new(script)).await.expect("a free address")
    }

    /// Two that differ in address and share a port: the first answers `first`, the second `second`.
    pub(super) async fn pair(first: &'static str, second: &'static str) -> (Self, Self) {
        for _ in 0..50 {
            let one = Self::start("127.0.0.2:0", |_| ok(first)).await;
            let other = format!("127.0.0.3:{}", one.at.port());
            if let Ok(two) = Self::try_start(&other, Arc::new(|_: &str| ok(second))).await {
                return (one, two);
            }
        }
        panic!("no port is free on both addresses");
    }

    async fn try_start(address: &str, script: Script) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let at = socket.local_addr()?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((peer, _)) = socket.accept().await {
                tokio::spawn(converse(peer, Arc::clone(&script), Arc::clone(&notes)));
            }
        });
        Ok(Self { at, seen })
    }

    /// Requests so far, head and body.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("notes").clone()
    }
}

async fn converse(mut peer: TcpStream, script: Script, notes: Arc<Mutex<Vec<String>>>) {
    let mut text = Vec::new();
    let whole = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        body.len() >= length.and_then(|length| length.parse().ok()).unwrap_or(0)
    };
    while !whole(&text) {
        match peer.read_buf(&mut text).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
    notes.lock().expect("notes").push(text);
    let _ = peer.write_all(script(&path).as_bytes()).await;
    let _ = peer.shutdown().await;
}

/// A whole answer.
pub(super) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// A redirect.
pub(super) fn to(status: u16, place: &str) -> String {
    format!("HTTP/1.1 {status} Go\r\nlocation: {place}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// Names with the answers they give in turn; the last one stays.
#[derive(Default)]
pub(super) struct Book {
    entries: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Book {
    /// A book of entries: a name, and its addresses at each question, by commas.
    pub(super) fn of(entries: &[(&str, &[&str])]) -> Arc<Self> {
        let read = |text: &&str| text.split(',').map(|one| one.parse().expect("an address")).collect();
        let entries =
            entries.iter().map(|(name, turns)| ((*name).to_owned(), turns.iter().map(read).collect()));
        Arc::new(Self { entries: Mutex::new(entries.collect()), ..Self::default() })
    }

    /// Names that were asked for.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("notes").clone()
    }
}

impl Names for Book {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.asked.lock().expect("notes").push(name.clone());
        let mut entries = self.entries.lock().expect("entries");
        let found = match entries.get_mut(name.trim_end_matches('.')) {
            Some(turns) if turns.len() > 1 => Ok(turns.remove(0)),
            Some(turns) => Ok(turns[0].clone()),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
        };
        Box::pin(async move { found })
    }
}

/// A client that may call the given places, on the given ports.
pub(super) fn client(allow: &[&str], ports: &[u16], book: &Arc<Book>) -> Client {
    let allow = allow.iter().map(|entry| (*entry).to_owned()).collect();
    let settings = Settings { allow, ports: ports.to_vec(), ..Settings::default() };
    Client::with(settings, Arc::clone(book) as Arc<dyn Names>).expect("a client")
}

/// A POST with a body and a secret.
pub(super) fn post(url: &str) -> Request {
    let headers =
        [("authorization", "Bearer s3cret"), ("x-key", "s3cret"), ("content-type", "application/json")];
    let headers = headers
        .into_iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")))
        .collect();
    Request { method: http::Method::POST, url: url.to_owned(), headers, body: "{\"a\":1}".into() }
}
