//! A proxy of HTTP requests that fails some of them: before they are done, while they are, or after.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use testkit::Numbers;

/// How long a stalled request is left without an answer: longer than its client waits.
const STALL: Duration = Duration::from_secs(3);

/// What is behind the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// S3.
    Store,
    /// Iceberg's REST protocol.
    Catalog,
}

/// Stops taking connections when dropped.
pub struct Failing {
    /// `http://ADDRESS:PORT`.
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    server: SocketAddr,
    kind: Kind,
    ended: AtomicBool,
    percent: AtomicU64,
    counts: Mutex<BTreeMap<String, u64>>,
}

/// A message as it came: head and body.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Failing {
    /// Stands before the server at `port`; nothing fails before it is told to.
    pub fn start(port: u16, kind: Kind, seed: u64) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            server: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            kind,
            ended: AtomicBool::default(),
            percent: AtomicU64::default(),
            counts: Mutex::default(),
        });
        let given = Arc::clone(&shared);
        listener.set_nonblocking(true)?;
        std::thread::spawn(move || {
            let mut number = 0;
            while !given.ended.load(Ordering::Relaxed) {
                let Ok((client, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                number += 1;
                let (shared, mut chance) = (Arc::clone(&given), Numbers::of(seed, number));
                std::thread::spawn(move || {
                    // A connection that breaks is what this is about.
                    let _ = shared.serve(&client, &mut chance);
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
        Ok(Self { url, shared })
    }

    /// From now on this many requests of a hundred fail.
    pub fn fail(&self, percent: u64) {
        self.shared.percent.store(percent, Ordering::Relaxed);
    }

    /// How often what was done.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.shared.counts.lock().map(|counts| counts.clone()).unwrap_or_default()
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream, chance: &mut Numbers) -> std::io::Result<()> {
        client.set_nonblocking(false)?;
        let mut from_client = BufReader::new(client);
        while let Some(request) = read(&mut from_client, false)? {
            if !self.answer(client, &request, chance)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Answers one request, or fails it; says whether the connection goes on.
    fn answer(
        &self,
        mut client: &TcpStream,
        request: &Message,
        chance: &mut Numbers,
    ) -> std::io::Result<bool> {
        let get = request.head.starts_with("GET ");
        if chance.below(100) >= self.percent.load(Ordering::Relaxed) {
            let Some(answer) = self.forward(request)? else { return Ok(false) };
            client.write_all(answer.head.as_bytes())?;
            client.write_all(&answer.body)?;
            self.count("passed");
            return Ok(true);
        }
        match chance.below(20) {
            0..8 => {
                let status =
                    *chance.pick(&["503 Slow Down", "500 Internal Server Error", "503 Service Unavailable"]);
                self.refuse(client, status)?;
                self.count("refused");
                Ok(true)
            }
            8..9 => {
                std::thread::sleep(STALL);
                self.count("stalled");
                Ok(false)
            }
            9..12 => {
                self.count("reset");
                Ok(false)
            }
            12..14 if self.kind == Kind::Catalog && !get => {
                self.refuse(client, "409 Conflict")?;
                self.count("conflict");
                Ok(true)
            }
            12..15 => {
                let Some(answer) = self.forward(request)? else { return Ok(false) };
                let half = answer.body.len() / 2;
                client.write_all(answer.head.as_bytes())?;
                client.write_all(&answer.body[..half])?;
                self.count(if get { "truncated" } else { "unanswered" });
                Ok(false)
            }
            _ => {
                self.forward(request)?;
                self.count("unanswered");
                Ok(false)
            }
        }
    }

    fn refuse(&self, mut client: &TcpStream, status: &str) -> std::io::Result<()> {
        let body = match self.kind {
            Kind::Store => {
                "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>".to_owned()
            }
            Kind::Catalog => {
                let kind = if status.starts_with("409") { "CommitFailedException" } else { "ServiceFailure" };
                let code = &status[..3];
                format!("{{\"error\":{{\"message\":\"as told\",\"type\":\"{kind}\",\"code\":{code}}}}}")
            }
        };
        let length = body.len();
        write!(
            client,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: text/plain\r\n\r\n{body}"
        )
    }

    /// Has the server do it; its answer, if it gave one.
    fn forward(&self, request: &Message) -> std::io::Result<Option<Message>> {
        let mut server = TcpStream::connect(self.server)?;
        let mut lines: Vec<&str> = request.head.trim_end().split("\r\n").collect();
        lines.retain(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let head = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
        server.write_all(head.as_bytes())?;
        server.write_all(&request.body)?;
        let bodiless = request.head.starts_with("HEAD ");
        let answer = read(&mut BufReader::new(&server), bodiless)?;
        Ok(answer.map(|answer| {
            let mut lines: Vec<&str> = answer.head.trim_end().split("\r\n").collect();
            lines.retain(|line| {
                let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
                !matches!(name.as_str(), "connection" | "transfer-encoding")
                    && (bodiless || name != "content-length")
            });
            let length = match bodiless {
                true => String::new(),
                false => format!("Content-Length: {}\r\n", answer.body.len()),
            };
            Message { head: format!("{}\r\n{length}\r\n", lines.join("\r\n")), body: answer.body }
        }))
    }

    fn count(&self, what: &str) {
        if let Ok(mut counts) = self.counts.lock() {
            *counts.entry(what.to_owned()).or_default() += 1;
        }
    }
}

/// Reads one message; none when the other side has ended.
fn read(from: &mut BufReader<&TcpStream>, bodiless: bool) -> std::io::Result<Option<Message>> {
    let mut head = String::new();
    loop {
        if from.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        if head.ends_with("\r\n\r\n") {
            break;
        }
    }
    let field = |name: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let mut body = Vec::new();
    if bodiless {
        return Ok(Some(Message { head, body }));
    }
    if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let size =
                usize::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16).unwrap_or(0);
            let start = body.len();
            body.resize(start + size, 0);
            from.read_exact(&mut body[start..])?;
            from.read_line(&mut line)?;
            if size == 0 {
                return Ok(Some(Message { head, body }));
            }
        }
    }
    let status = head.starts_with("HTTP/");
    match field("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => {
            body.resize(length, 0);
            from.read_exact(&mut body)?;
        }
        // An answer without a length ends with its connection.
        None if status && !head.contains(" 204 ") => {
            from.read_to_end(&mut body)?;
        }
        None => {}
    }
    Ok(Some(Message { head, body }))
}
