//! How a client that loaded a table reaches its files.
//!
//! The one place where the `config` and the `storage-credentials` of an answer are made. Tables in the data folder are
//! read and written as local files: by programs on the same machine, or with the folder mounted at the same path. For those
//! in a store a client is told how to speak to it; with what keys, when the settings allow that ours are given away.

use crate::settings::Settings;
use serde_json::{Map, Value, json};

/// What a client is given with a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// Properties of the client's file access, such as `s3.endpoint`.
    pub config: Map<String, Value>,
    /// Credentials, each for the locations below a prefix.
    pub credentials: Vec<Credential>,
}

/// Properties that hold for the locations below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// A location such as `s3://bucket/folder`.
    pub prefix: String,
    /// Its properties, such as `s3.access-key-id`.
    pub config: Map<String, Value>,
}

impl Given {
    /// The credentials as the protocol writes them.
    pub fn credentials(&self) -> Value {
        let one = |credential: &Credential| json!({"prefix": credential.prefix, "config": credential.config});
        self.credentials.iter().map(one).collect()
    }
}

/// What a client needs for the files at `location`: nothing for local ones. Keys are given when the settings say so.
pub fn given(settings: &Settings, location: &str) -> Given {
    let s3 = &settings.s3;
    if !location.starts_with("s3://") {
        return Given::default();
    }
    let mut config = Map::new();
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            config.insert(key.to_owned(), value.into());
        }
    };
    put("s3.endpoint", &s3.endpoint);
    put("s3.region", &s3.region);
    put("client.region", &s3.region);
    put("s3.path-style-access", if s3.path_style { "true" } else { "false" });
    if !s3.lend_keys || s3.access_key_id.is_empty() {
        return Given { config, credentials: Vec::new() };
    }
    put("s3.access-key-id", &s3.access_key_id);
    put("s3.secret-access-key", &s3.secret_access_key);
    put("s3.session-token", &s3.session_token);
    // Not every client reads credentials apart from the rest.
    let credential = Credential { prefix: location.to_owned(), config: config.clone() };
    Given { config, credentials: vec![credential] }
}
