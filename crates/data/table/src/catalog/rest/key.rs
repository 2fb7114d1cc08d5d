//! How requests to a REST catalog are authorised: not at all, by a token, by one that credentials buy, or signed.

use super::Rest;
use super::client::exchange;
use crate::objects::{Wire, chain};
use iceberg::{Error, ErrorKind, Result};
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::HttpRequestBody;
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// A token is renewed this long before it ends.
const EARLY: Duration = Duration::from_secs(60);

/// See the module.
pub(super) enum Key {
    /// The catalog asks for none.
    None,
    /// The same at every request.
    Token(HeaderValue),
    /// Bought with credentials, for a while.
    Bought(Purchase),
    /// AWS signature, version 4.
    Signed { service: String, region: String, keys: Option<AwsCredentialProvider> },
}

/// OAuth2's client credentials.
pub(super) struct Purchase {
    url: String,
    id: String,
    secret: String,
    scope: String,
    token: Mutex<Option<(HeaderValue, Option<Instant>)>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_in: Option<u64>,
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn refused(text: &str) -> Error {
    Error::new(ErrorKind::FeatureUnsupported, text.to_owned())
}

impl Key {
    pub(super) fn of(settings: &Rest) -> Self {
        if !settings.sigv4_service.is_empty() {
            let (service, region) = (settings.sigv4_service.clone(), settings.sigv4_region.clone());
            return Self::Signed { service, region, keys: chain(&settings.keys) };
        }
        if !settings.credential.is_empty() {
            let (id, secret) = settings.credential.split_once(':').unwrap_or(("", &settings.credential));
            let url = match settings.oauth2_uri.as_str() {
                "" => format!("{}/v1/oauth/tokens", settings.uri.trim_end_matches('/')),
                own => own.to_owned(),
            };
            return Self::Bought(Purchase {
                url,
                id: id.to_owned(),
                secret: secret.to_owned(),
                scope: settings.scope.clone(),
                token: Mutex::default(),
            });
        }
        bearer(&settings.token).filter(|_| !settings.token.is_empty()).map_or(Self::None, Self::Token)
    }

    /// Authorises a request that is otherwise complete.
    pub(super) async fn sign(
        &self,
        request: &mut reqwest::Request,
        http: &reqwest::Client,
        wire: &Wire,
    ) -> Result<()> {
        match self {
            Self::None => {}
            Self::Token(token) => {
                request.headers_mut().insert(AUTHORIZATION, token.clone());
            }
            Self::Bought(purchase) => {
                let token = purchase.token(http, wire).await?;
                request.headers_mut().insert(AUTHORIZATION, token);
            }
            Self::Signed { service, region, keys } => {
                let keys = keys.as_ref().ok_or_else(|| refused("there are no keys to sign requests with"))?;
                let keys = keys.get_credential().await.map_err(|error| {
                    Error::new(ErrorKind::Unexpected, "no keys to sign requests with").with_source(error)
                })?;
                let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default().to_vec();
                let mut copy = http::Request::builder()
                    .method(request.method().clone())
                    .uri(request.url().as_str())
                    .body(HttpRequestBody::from(body))
                    .map_err(|error| refused("a request cannot be signed").with_source(error))?;
                *copy.headers_mut() = request.headers().clone();
                AwsAuthorizer::new(&keys, service, region).authorize(&mut copy, None);
                *request.headers_mut() = copy.headers().clone();
            }
        }
        Ok(())
    }

    /// Gets another token, when there is one to be had; says whether.
    pub(super) async fn renew(&self, http: &reqwest::Client, wire: &Wire) -> Result<bool> {
        let Self::Bought(purchase) = self else { return Ok(false) };
        *purchase.token.lock() = None;
        purchase.token(http, wire).await.map(|_| true)
    }
}

impl Purchase {
    async fn token(&self, http: &reqwest::Client, wire: &Wire) -> Result<HeaderValue> {
        let known = self.token.lock().clone();
        if let Some((token, until)) = known
            && until.is_none_or(|until| Instant::now() < until)
        {
            return Ok(token);
        }
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.id.as_str()),
            ("client_secret", self.secret.as_str()),
            ("scope", self.scope.as_str()),
        ];
        let form = form.into_iter().filter(|(_, value)| !value.is_empty());
        let request = http
            .post(&self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encoded(form))
            .build()
            .map_err(|error| refused("catalog.oauth2_uri is no URL").with_source(error.without_url()))?;
        let answer = exchange(http, wire, request).await.map_err(super::client::Silence::into_error)?;
        let bought: Token = answer.read("a token")?;
        let token = bearer(&bought.access_token).ok_or_else(|| refused("the catalog's token is no token"))?;
        let until = bought
            .expires_in
            .map(|seconds| Instant::now() + Duration::from_secs(seconds).saturating_sub(EARLY));
        *self.token.lock() = Some((token.clone(), until));
        Ok(token)
    }
}

fn encoded<'a>(pairs: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    pairs.for_each(|(key, value)| {
        form.append_pair(key, value);
    });
    form.finish()
}
