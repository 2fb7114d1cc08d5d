//! Requests to a REST catalog: addressed, authorised, bounded in time, never led elsewhere.

use super::Rest;
use super::key::Key;
use crate::objects::Wire;
use iceberg::{Error, ErrorKind, NamespaceIdent, Result};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of an answer at most.
const ANSWER_BYTES: usize = 64 << 20;
/// First pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest.
const LONGEST: Duration = Duration::from_secs(3);

/// What the catalog says before anything else.
#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    defaults: HashMap<String, String>,
    #[serde(default)]
    overrides: HashMap<String, String>,
}

/// An answer that was an answer, whatever it says.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

/// Why there is none.
pub(super) enum Silence {
    /// The request was not sent.
    Unsent(Error),
    /// It was sent; what became of it is not known.
    Unknown(Error),
}

impl Silence {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Unsent(error) | Self::Unknown(error) => error,
        }
    }
}

/// See the module.
pub(super) struct Client {
    http: reqwest::Client,
    wire: Wire,
    base: Url,
    /// Parts of the path between version and namespaces.
    prefix: Vec<String>,
    key: Key,
    retry: Duration,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("host", &self.base.host_str()).finish_non_exhaustive()
    }
}

fn wrong(text: String) -> Error {
    Error::new(ErrorKind::FeatureUnsupported, text)
}

impl Client {
    /// Asks the catalog how it wants to be asked.
    pub(super) async fn open(settings: &Rest) -> Result<Self> {
        let base = Url::parse(settings.uri.trim_end_matches('/'))
            .map_err(|error| wrong("catalog.uri is no URL".to_owned()).with_source(error))?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_millis(settings.timeout_ms))
            // A catalog that sends its clients elsewhere would have them send their keys there.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tenrec/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                wrong("a client for the catalog cannot be made".to_owned()).with_source(error)
            })?;
        let retry = Duration::from_millis(settings.retry_ms);
        let key = Key::of(settings);
        let mut client = Self { http, wire: Wire::default(), base, prefix: Vec::new(), key, retry };
        let mut url = client.address(&["config"], true)?;
        if !settings.warehouse.is_empty() {
            url.query_pairs_mut().append_pair("warehouse", &settings.warehouse);
        }
        let config: Config = client.look(url).await?.read("config")?;
        let said = config.overrides.get("prefix").or_else(|| config.defaults.get("prefix"));
        // Some catalogs give a prefix of several parts, written as one.
        let parts = said.map(|prefix| prefix.split('/').map(str::to_owned).collect());
        client.prefix = parts.unwrap_or_default();
        Ok(client)
    }

    fn address(&self, parts: &[&str], bare: bool) -> Result<Url> {
        let mut url = self.base.clone();
        {
            let mut path =
                url.path_segments_mut().map_err(|()| wrong("catalog.uri cannot be a base".to_owned()))?;
            path.pop_if_empty();
            path.push("v1");
            if !bare {
                for part in &self.prefix {
                    // It comes written as it is to be sent.
                    path.push(&decoded(part));
                }
            }
            path.extend(parts);
        }
        Ok(url)
    }

    /// The address of something below the prefix.
    pub(super) fn url(&self, parts: &[&str]) -> Result<Url> {
        self.address(parts, false)
    }

    /// Asks for something that asking does not change, again until the time is up.
    pub(super) async fn look(&self, url: Url) -> Result<Answer> {
        let (begun, mut pause) = (Instant::now(), PAUSE);
        loop {
            let answer = self.send(Method::GET, url.clone(), None).await;
            let passing = match &answer {
                Ok(answer) => is_passing(answer.status),
                Err(_) => true,
            };
            if !passing || begun.elapsed() + pause > self.retry {
                return answer.map_err(Silence::into_error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Sends one request once; again only when the catalog did not know the token any more.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> std::result::Result<Answer, Silence> {
        let body = body.map(|body| body.to_string().into_bytes());
        let answer = self.send_once(&method, &url, body.as_deref()).await?;
        let is_stale = matches!(answer.status.as_u16(), 401 | 419);
        if is_stale && self.key.renew(&self.http, &self.wire).await.map_err(Silence::Unsent)? {
            return self.send_once(&method, &url, body.as_deref()).await;
        }
        Ok(answer)
    }

    async fn send_once(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&[u8]>,
    ) -> std::result::Result<Answer, Silence> {
        let mut request = reqwest::Request::new(method.clone(), url.clone());
        let headers = request.headers_mut();
        headers.insert("accept", reqwest::header::HeaderValue::from_static("application/json"));
        headers.insert(
            "x-iceberg-access-delegation",
            reqwest::header::HeaderValue::from_static("vended-credentials"),
        );
        if let Some(body) = body {
            headers.insert("content-type", reqwest::header::HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.to_vec().into());
        }
        self.key.sign(&mut request, &self.http, &self.wire).await.map_err(Silence::Unsent)?;
        exchange(&self.http, &self.wire, request).await
    }
}

/// Sends a request on the runtime of connections, and reads the whole answer.
pub(super) async fn exchange(
    http: &reqwest::Client,
    wire: &Wire,
    request: reqwest::Request,
) -> std::result::Result<Answer, Silence> {
    let place = request.url().host_str().unwrap_or_default().to_owned();
    let silent = |error: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Unexpected, format!("the catalog at {place} does not answer"))
            .with_source(Whole(error))
    };
    let handle = wire.handle().map_err(|error| Silence::Unsent(silent(error.into())))?;
    let http = http.clone();
    let work = handle.spawn(async move {
        let mut response = http.execute(request).await?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await? {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER_BYTES {
                break;
            }
        }
        Ok::<_, reqwest::Error>(Answer { status, body })
    });
    match work.await {
        Ok(Ok(answer)) if answer.body.len() > ANSWER_BYTES => {
            let text = format!("the answer of the catalog at {place} is larger than {ANSWER_BYTES} bytes");
            Err(Silence::Unknown(Error::new(ErrorKind::Unexpected, text)))
        }
        Ok(Ok(answer)) => Ok(answer),
        // The URL may hold what should not be logged.
        Ok(Err(error)) if error.is_connect() => Err(Silence::Unsent(silent(error.without_url().into()))),
        Ok(Err(error)) => Err(Silence::Unknown(silent(error.without_url().into()))),
        Err(error) => Err(Silence::Unknown(silent(error.into()))),
    }
}

/// A boxed cause as one.
#[derive(Debug)]
struct Whole(Box<dyn std::error::Error + Send + Sync>);

impl std::fmt::Display for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Whole {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Whether asking again may help.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

fn decoded(part: &str) -> String {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        let pair = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.filter(|_| *first == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| part.to_owned())
}

/// What the protocol's errors look like.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    error: Said,
}

#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    message: String,
    #[serde(default, rename = "type")]
    kind: String,
}

impl Answer {
    /// What the answer says, when it is what was asked for.
    pub(super) fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T> {
        if !self.status.is_success() {
            return Err(self.refusal(what));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::new(ErrorKind::Unexpected, format!("the catalog's answer for {what} cannot be read"))
                .with_source(Arc::new(error))
        })
    }

    /// The error the answer stands for.
    pub(super) fn refusal(&self, what: &str) -> Error {
        let said = serde_json::from_slice::<Refusal>(&self.body).unwrap_or_default().error;
        let kind = match (self.status.as_u16(), said.kind.as_str()) {
            (404, "NoSuchNamespaceException") => ErrorKind::NamespaceNotFound,
            (404, _) => ErrorKind::TableNotFound,
            (409, "AlreadyExistsException") => ErrorKind::TableAlreadyExists,
            (409, "CommitFailedException" | "") => ErrorKind::CatalogCommitConflicts,
            (409, _) => ErrorKind::CatalogCommitConflicts,
            (400 | 401 | 403 | 405 | 406 | 415 | 422 | 300..=399, _) => ErrorKind::FeatureUnsupported,
            _ => ErrorKind::Unexpected,
        };
        let message: String = said.message.chars().take(500).collect();
        Error::new(kind, format!("the catalog answers {} for {what}: {message}", self.status.as_u16()))
    }
}

/// A namespace as a part of a path.
pub(super) fn namespace_part(namespace: &NamespaceIdent) -> String {
    namespace.join("\u{1f}")
}
