//! Sends a request and reads its answer, looking at every place it is sent to.

use crate::error::{Error, Reason, Result};
use crate::names::{Checked, Names, System};
use crate::policy::{Policy, Settings};
use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use reqwest::redirect;
use std::sync::Arc;
use url::Url;

/// What to send. The address and the headers may come from a user.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST or another.
    pub method: Method,
    /// As the user wrote it.
    pub url: String,
    /// Beside those of the connection, which cannot be given.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Any status but those of redirects that were followed.
    pub status: StatusCode,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as it came, packed or not.
    pub body: Bytes,
    /// Who answered, after redirects.
    pub url: Url,
}

/// Headers that frame or steer the connection, or choose another host on it.
const CONNECTION: &[HeaderName] = &[
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
];

/// Headers that say nothing but how the body is to be read: all that goes on to another origin.
const BODY: &[HeaderName] =
    &[header::CONTENT_TYPE, header::CONTENT_ENCODING, header::ACCEPT, header::USER_AGENT];

/// Sends requests. Cheap to clone; connections are shared.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    policy: Arc<Policy>,
    settings: Arc<Settings>,
}

impl Client {
    /// Reads the settings.
    ///
    /// # Errors
    /// `Url` for an entry of the operator's list that cannot be read, `Setup` when TLS is not to be had.
    pub fn open(settings: Settings) -> Result<Self> {
        Self::with(settings, Arc::new(System))
    }

    pub(crate) fn with(settings: Settings, names: Arc<dyn Names>) -> Result<Self> {
        let policy = Arc::new(Policy::read(&settings)?);
        let resolver = Checked { names, policy: Arc::clone(&policy) };
        let http = reqwest::Client::builder()
            .dns_resolver(Arc::new(resolver))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .no_zstd()
            .connect_timeout(settings.deadline)
            .build()
            .map_err(|cause| Reason::Setup.because("an HTTP client cannot be made", cause))?;
        Ok(Self { http, policy, settings: Arc::new(settings) })
    }

    /// Sends, follows redirects, reads the answer to its end.
    ///
    /// # Errors
    /// Of kind `Invalid` when something of it is never called or read, `Unavailable` when the other side failed.
    pub async fn send(&self, request: Request) -> Result<Answer> {
        let deadline = self.settings.deadline;
        match tokio::time::timeout(deadline, self.follow(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Reason::Time.error(format!("no whole answer within {deadline:?}"))),
        }
    }

    async fn follow(&self, request: Request) -> Result<Answer> {
        let Request { mut method, url, mut headers, mut body } = request;
        if let Some(name) = CONNECTION.iter().find(|name| headers.contains_key(*name)) {
            return Err(Reason::Header.error(format!("the header {name} cannot be given")));
        }
        let mut url = Url::parse(&url).map_err(|cause| Reason::Url.because("this is not a URL", cause))?;
        for _ in 0..=self.settings.redirects {
            self.policy.url(&url)?;
            let sent =
                self.http.request(method.clone(), url.clone()).headers(headers.clone()).body(body.clone());
            let answer = sent.send().await.map_err(failed)?;
            let Some(next) = target(&url, &answer)? else { return self.read(url, answer).await };
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(Reason::Scheme.error("a redirect from https to something else is not followed"));
            }
            if url.origin() != next.origin() {
                headers =
                    BODY.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect();
            }
            let keeps =
                matches!(answer.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if !keeps && method != Method::HEAD {
                (method, body) = (Method::GET, Bytes::new());
                headers.remove(header::CONTENT_TYPE);
                headers.remove(header::CONTENT_ENCODING);
            }
            url = next;
        }
        Err(Reason::Redirect.error(format!("more than {} redirects", self.settings.redirects)))
    }

    async fn read(&self, url: Url, mut answer: reqwest::Response) -> Result<Answer> {
        let most = self.settings.answer_bytes;
        let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            if body.len() + piece.len() > most {
                return Err(Reason::Size.error(format!("the answer is longer than {most} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer { status, headers, body: body.freeze(), url })
    }
}

/// Where a redirect leads; nothing for any other answer.
///
/// # Errors
/// `Redirect` when it leads nowhere.
fn target(url: &Url, answer: &reqwest::Response) -> Result<Option<Url>> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let place = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let place = place.ok_or_else(|| Reason::Redirect.error("a redirect that does not say where to"))?;
    url.join(place)
        .map(Some)
        .map_err(|cause| Reason::Redirect.because("a redirect to what is not a URL", cause))
}

/// What the HTTP client says, or what our resolver told it inside.
fn failed(cause: reqwest::Error) -> Error {
    let mut inner: Option<&(dyn std::error::Error + 'static)> = Some(&cause);
    while let Some(error) = inner {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return ours.told();
        }
        inner = error.source();
    }
    // The URL may hold what only its owner may know.
    Reason::Connection.because("the other side did not answer", cause.without_url())
}
