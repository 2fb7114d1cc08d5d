//! Credentials that a catalog lends with a table, for a while.

use crate::care::now_ms;
use async_trait::async_trait;
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Result as Answer};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Credentials are renewed this many milliseconds before they end.
const EARLY_MS: i64 = 120_000;
/// Pause between two tries to renew while the old ones still hold.
const PAUSE: Duration = Duration::from_secs(10);

/// Who lends them.
#[async_trait]
pub(crate) trait Lender: Send + Sync {
    /// The properties of a table's files, as they are now.
    async fn renew(&self) -> iceberg::Result<HashMap<String, String>>;
}

/// See the module.
pub(super) struct Lent {
    state: Mutex<State>,
    lender: Arc<dyn Lender>,
}

struct State {
    keys: Arc<AwsCredential>,
    /// Milliseconds since 1970.
    until: Option<i64>,
    again: Instant,
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lent")
    }
}

/// The keys among a table's properties, and when they end.
fn keys(config: &HashMap<String, String>) -> Option<(AwsCredential, Option<i64>)> {
    let get = |key: &str| config.get(key).filter(|value| !value.is_empty()).cloned();
    let keys = AwsCredential {
        key_id: get("s3.access-key-id")?,
        secret_key: get("s3.secret-access-key")?,
        token: get("s3.session-token"),
    };
    let until = get("s3.session-token-expires-at-ms").and_then(|text| text.parse().ok());
    Some((keys, until))
}

impl Lent {
    /// What a catalog lends; none when it lends nothing.
    pub(super) fn of(config: &HashMap<String, String>, lender: Arc<dyn Lender>) -> Option<Self> {
        let (keys, until) = keys(config)?;
        let state = State { keys: Arc::new(keys), until, again: Instant::now() };
        Some(Self { state: Mutex::new(state), lender })
    }

    /// Goes on with what has been lent since.
    pub(super) fn renewed(&self, config: &HashMap<String, String>) {
        if let Some((keys, until)) = keys(config) {
            let mut state = self.state.lock();
            if *state.keys != keys {
                state.keys = Arc::new(keys);
            }
            state.until = until;
        }
    }
}

#[async_trait]
impl CredentialProvider for Lent {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Answer<Arc<AwsCredential>> {
        let (known, ending) = {
            let mut state = self.state.lock();
            let ending = state.until.is_some_and(|until| until <= now_ms() + EARLY_MS);
            let due = ending && state.again <= Instant::now();
            if due {
                state.again = Instant::now() + PAUSE;
            }
            (state.keys.clone(), due)
        };
        if !ending {
            return Ok(known);
        }
        match self.lender.renew().await {
            Ok(config) => self.renewed(&config),
            // They may still hold; when they do not, the store says so.
            Err(error) => tracing::warn!(%error, "the catalog does not renew the credentials of its files"),
        }
        Ok(self.state.lock().keys.clone())
    }
}
