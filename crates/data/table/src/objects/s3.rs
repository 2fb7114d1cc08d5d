//! How a store that speaks S3 is spoken to.

use super::lent::Lent;
use crate::error::Context;
use crate::{Kind, Result};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredentialProvider};
use object_store::client::SpawnedReqwestConnector;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Tries of one request at most; the time for them all is a setting.
const TRIES: usize = 20;
/// Time to be connected.
const CONNECT: Duration = Duration::from_secs(5);

/// `[s3]`: the store of tables that lie at `s3://`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// URL, or empty for Amazon's.
    pub endpoint: String,
    /// Region, or empty for what the environment says.
    pub region: String,
    /// Access key, or empty for what the environment or the machine gives.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// Token of temporary keys, or empty.
    pub session_token: String,
    /// The bucket is the first part of the path and not of the host's name.
    pub path_style: bool,
    /// Requests may leave unencrypted.
    pub allow_http: bool,
    /// Programs that load a table through `/iceberg` are given the keys.
    pub lend_keys: bool,
    /// Milliseconds for one request.
    pub timeout_ms: u64,
    /// Milliseconds in which a request is tried again.
    pub retry_ms: u64,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { endpoint, region, path_style, .. } = self;
        let shown = (endpoint, region, path_style);
        f.debug_tuple("S3").field(&shown).finish()
    }
}

impl S3 {
    /// What is wrong with the values, each with its key.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let plain = self.endpoint.starts_with("http://");
        if !self.endpoint.is_empty() && !plain && !self.endpoint.starts_with("https://") {
            found.push("s3.endpoint: must start with https:// (or http://)".to_owned());
        }
        if plain && !self.allow_http {
            found.push("s3.endpoint: http:// sends everything unencrypted; set s3.allow_http = true if that is meant".to_owned());
        }
        if self.access_key_id.is_empty() != self.secret_access_key.is_empty() {
            found.push("s3.access_key_id and s3.secret_access_key: set both or neither".to_owned());
        }
        for (key, value) in [("s3.timeout_ms", self.timeout_ms), ("s3.retry_ms", self.retry_ms)] {
            if value == 0 {
                found.push(format!("{key}: must be greater than 0"));
            }
        }
        found
    }

    /// A client with everything but bucket and credentials.
    fn client(&self, builder: AmazonS3Builder, wire: &Handle) -> AmazonS3Builder {
        let options = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            .with_timeout(Duration::from_millis(self.timeout_ms));
        let retry = RetryConfig {
            max_retries: TRIES,
            retry_timeout: Duration::from_millis(self.retry_ms),
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(50),
                max_backoff: Duration::from_secs(5),
                base: 2.,
            },
        };
        let mut builder = builder
            .with_client_options(options)
            .with_retry(retry)
            .with_allow_http(self.allow_http)
            .with_http_connector(SpawnedReqwestConnector::new(wire.clone()))
            .with_virtual_hosted_style_request(!self.path_style);
        if !self.endpoint.is_empty() {
            builder = builder.with_endpoint(&self.endpoint);
        }
        if !self.region.is_empty() {
            builder = builder.with_region(&self.region);
        }
        builder
    }

    /// These settings, filled up with what a catalog says about a table's files.
    pub(super) fn with(&self, config: &HashMap<String, String>) -> Self {
        let said = |keys: &[&str]| keys.iter().find_map(|key| config.get(*key)).cloned().unwrap_or_default();
        let mut filled = self.clone();
        if filled.endpoint.is_empty() {
            filled.endpoint = said(&["s3.endpoint"]);
            if let Some(style) = config.get("s3.path-style-access") {
                filled.path_style = style == "true";
            }
        }
        if filled.region.is_empty() {
            filled.region = said(&["s3.region", "client.region"]);
        }
        filled
    }

    /// A client of one bucket with credentials that a catalog lends.
    pub(super) fn open_lent(&self, bucket: &str, lent: Arc<Lent>, wire: &Handle) -> Result<AmazonS3> {
        let builder = AmazonS3Builder::new().with_credentials(lent);
        let built = self.client(builder, wire).with_bucket_name(bucket).build();
        built.context(Kind::Invalid, || format!("make a client of the bucket {bucket}"))
    }

    /// A client of one bucket with the credentials of the settings, the environment or the machine.
    ///
    /// # Errors
    /// `Invalid` when the settings do not make one.
    pub(crate) fn open(&self, bucket: &str, wire: &Handle) -> Result<AmazonS3> {
        // Keys of the settings and a token of the environment do not belong together.
        let builder = if self.access_key_id.is_empty() {
            AmazonS3Builder::from_env()
        } else {
            let keys = AmazonS3Builder::new()
                .with_access_key_id(&self.access_key_id)
                .with_secret_access_key(&self.secret_access_key);
            if self.session_token.is_empty() { keys } else { keys.with_token(&self.session_token) }
        };
        let built = self.client(builder, wire).with_bucket_name(bucket).build();
        built.context(Kind::Invalid, || format!("make a client of the bucket {bucket}"))
    }
}

/// The keys of the settings, the environment or the machine, for signing other requests than those for objects.
pub(crate) fn chain(s3: &S3) -> Option<AwsCredentialProvider> {
    let builder = if s3.access_key_id.is_empty() {
        AmazonS3Builder::from_env()
    } else {
        let keys = AmazonS3Builder::new()
            .with_access_key_id(&s3.access_key_id)
            .with_secret_access_key(&s3.secret_access_key);
        if s3.session_token.is_empty() { keys } else { keys.with_token(&s3.session_token) }
    };
    let made = builder.with_bucket_name("keys").with_allow_http(s3.allow_http).build().ok()?;
    Some(made.credentials().clone())
}
