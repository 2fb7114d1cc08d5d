//! HTTP/1.1 with exactly the bytes given, one request after the other on a connection.

use anyhow::Context as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Whether it says in whole seconds when to come again.
    pub fn says_when(&self) -> bool {
        self.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A header's value in a head.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Status and whole length of an answer whose head is complete.
pub fn measure(answer: &[u8]) -> Option<(u16, usize, &str)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = header(head, "content-length").and_then(|value| value.parse::<usize>().ok()).unwrap_or(0);
    Some((status, end + length, head))
}

/// A request as bytes. Headers are whole lines with their ends.
pub fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: torture\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A connection.
pub struct Line(TcpStream);

impl Line {
    /// Connects to `ADDRESS:PORT`.
    pub fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot reach {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// Sends bytes and reads an answer, also when the server stopped reading before all were sent.
    pub fn send(&mut self, bytes: &[u8]) -> anyhow::Result<Answer> {
        let written = self.0.write_all(bytes);
        match (self.read(), written) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Err(write)) => Err(write.into()),
            (Err(read), Ok(())) => Err(read),
        }
    }

    fn read(&mut self) -> anyhow::Result<Answer> {
        let mut bytes = Vec::new();
        let mut piece = [0; 16 * 1024];
        loop {
            let length = self.0.read(&mut piece)?;
            anyhow::ensure!(length > 0, "the connection ended after {} bytes of an answer", bytes.len());
            bytes.extend_from_slice(&piece[..length]);
            let Some((status, whole, head)) = measure(&bytes) else { continue };
            if bytes.len() >= whole {
                let head = head.to_owned();
                let body = bytes[head.len()..whole].to_vec();
                return Ok(Answer { status, head, body });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured() {
        let text = b"HTTP/1.1 503 Busy\r\ncontent-LENGTH: 2\r\nRetry-After: 1\r\n\r\nok";
        let (status, length, head) = measure(text).unwrap();
        assert_eq!((status, length, header(head, "retry-after")), (503, text.len(), Some("1")));
        assert!(measure(&text[..20]).is_none());
    }
}
