//! Backups of a server elsewhere: it takes the moment, this process fetches its files.

use ::backup::{Error, Kind, Origin, Piece, Point, Sink};
use anyhow::{Context, bail};
use serde_json::Value;
use std::io::Read;

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// A moment that a server holds until this is dropped.
pub struct Remote {
    agent: ureq::Agent,
    base: String,
    key: String,
    /// What is in it.
    pub point: Point,
}

impl Remote {
    /// Asks the server at `url` for a moment.
    pub fn take(url: &str, key: &str) -> anyhow::Result<Self> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let base = format!("{}/api/backups", url.trim_end_matches('/'));
        let mut response = agent
            .post(&base)
            .header("Authorization", &format!("Bearer {key}"))
            .send_empty()
            .with_context(|| format!("cannot reach {base}"))?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(1 << 30).read_to_string();
        let body = body.with_context(|| format!("{base} broke off its answer"))?;
        if !status.is_success() {
            let said: Value = serde_json::from_str(&body).unwrap_or_default();
            bail!(
                "{base} answered {status}: {}",
                said["detail"].as_str().unwrap_or("see the log of the server")
            );
        }
        let point = serde_json::from_str(&body).with_context(|| {
            format!("{base} answered something else than a backup: is it a Tenrec of this version?")
        })?;
        Ok(Self { agent, base, key: key.to_owned(), point })
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.key)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let url = format!("{}/{}", self.base, self.point.id);
        let ended = self.agent.delete(&url).header("Authorization", &self.authorization()).call();
        if !ended.is_ok_and(|response| response.status().is_success()) {
            eprintln!("note: the server holds the files of this backup for ten minutes more");
        }
    }
}

impl Origin for Remote {
    fn pour(&self, piece: &Piece, sink: Sink<'_>) -> Result<(), Error> {
        let path = &piece.path;
        let mut fetch = || -> anyhow::Result<()> {
            let url = format!("{}/{}/files/{path}", self.base, self.point.id);
            let mut response = self.agent.get(&url).header("Authorization", &self.authorization()).call()?;
            anyhow::ensure!(response.status().is_success(), "{url} answered {}", response.status());
            let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
            let mut chunk = vec![0; CHUNK];
            let mut got = 0;
            loop {
                match body.read(&mut chunk)? {
                    0 => break,
                    count => {
                        got += count as u64;
                        sink(&chunk[..count])?;
                    }
                }
            }
            anyhow::ensure!(got == piece.size, "{got} bytes of {} came", piece.size);
            Ok(())
        };
        fetch().map_err(|error| {
            let error: Box<dyn std::error::Error + Send + Sync> = error.into();
            Error::because(Kind::Unavailable, format!("cannot fetch {path}"), error)
        })
    }
}
