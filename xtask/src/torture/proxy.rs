//! A proxy on loopback that loses answers: the server has done what it was asked for, and the client never learns.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use testkit::Numbers;

/// Stops taking connections when dropped.
pub struct Proxy {
    /// `http://ADDRESS:PORT`.
    pub url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    ended: AtomicBool,
    passed: AtomicU64,
    lost: AtomicU64,
}

impl Proxy {
    /// Stands before the server at `port`, and loses `percent` of the answers.
    pub fn start(port: u16, percent: u64, seed: u64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}", listener.local_addr()?);
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        listener.set_nonblocking(true)?;
        std::thread::spawn(move || {
            let mut number = 0;
            while !shared.ended.load(Ordering::Relaxed) {
                let Ok((client, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                number += 1;
                let (counts, chance) = (Arc::clone(&shared), Numbers::of(seed, number));
                std::thread::spawn(move || {
                    // A connection that breaks is what this is about.
                    let _ = relay(client, server, &counts, (chance, percent));
                });
            }
        });
        Ok(Self { url, counts })
    }

    /// Answers that came through, and answers that were lost.
    pub fn counts(&self) -> (u64, u64) {
        (self.counts.passed.load(Ordering::Relaxed), self.counts.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.counts.ended.store(true, Ordering::Relaxed);
    }
}

/// Passes bytes on in both directions until an answer is to be lost: then the client finds its connection closed.
fn relay(
    client: TcpStream,
    server: SocketAddr,
    counts: &Counts,
    (mut chance, percent): (Numbers, u64),
) -> std::io::Result<()> {
    client.set_nonblocking(false)?;
    let server = TcpStream::connect(server)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let asking = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let (mut from_server, mut to_client) = (&server, &client);
    let mut bytes = vec![0; 64 << 10];
    loop {
        // The server's answers to events are short: one read is one answer.
        let count = from_server.read(&mut bytes).unwrap_or(0);
        if count == 0 {
            break;
        }
        if chance.below(100) < percent {
            counts.lost.fetch_add(1, Ordering::Relaxed);
            break;
        }
        counts.passed.fetch_add(1, Ordering::Relaxed);
        if to_client.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
    let _ = asking.join();
    Ok(())
}
