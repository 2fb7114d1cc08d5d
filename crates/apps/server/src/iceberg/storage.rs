//! How a client that loaded a table reaches its files.
//!
//! The one place where the `config` and the `storage-credentials` of an answer are made. Tables in the data folder are
//! read and written as local files: by programs on the same machine, or with the folder mounted at the same path.

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

/// What a client needs for the files at `location`: nothing for local ones.
pub fn given(_settings: &Settings, _location: &str) -> Given {
    Given::default()
}
