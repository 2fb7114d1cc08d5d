//! Keeps secrets out of logs, errors and settings dumps.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const HIDDEN: &str = "***";
/// A masked key shows this many of its last characters.
const SHOWN: usize = 4;
/// A key whose secret part is shorter than this shows nothing of it.
const SHORTEST_SHOWN: usize = 12;

/// Holds a value that is never printed: `Debug`, `Display` and `Serialize` all give `***`.
///
/// Reading the value is spelled [`Secret::expose`], so that a search finds every place that does.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Secret(value)
    }

    /// Gives the value itself; never pass it on to anything that prints.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Unwraps the value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Secret(value)
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl<T> Serialize for Secret<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Secret)
    }
}

/// Shows enough of a key to recognise it: its kind and its last four characters.
///
/// `phx_0123456789abcdef` becomes `phx_...cdef`. A key too short to stay secret after that shows
/// its kind only. The kind is what stands before the first `_`, when it is at most four bytes.
pub fn mask(key: &str) -> String {
    let (kind, secret) = match key.split_once('_') {
        Some((kind, secret)) if kind.len() <= 4 => (&key[..kind.len() + 1], secret),
        _ => ("", key),
    };
    let count = secret.chars().count();
    if count < SHORTEST_SHOWN {
        return format!("{kind}{HIDDEN}");
    }
    let last: String = secret.chars().skip(count - SHOWN).collect();
    format!("{kind}...{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked() {
        let cases = [
            ("phx_0123456789abcdef", "phx_...cdef"),
            ("phc_0123456789abcdef", "phc_...cdef"),
            ("phx_short", "phx_***"),
            ("0123456789abcdef", "...cdef"),
            ("a_longer_kind_than_allowed", "a_...owed"),
            ("password_0123456789abcdef", "...cdef"),
            ("short", "***"),
            ("", "***"),
            ("phx_🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀🦀", "phx_...🦀🦀🦀🦀"),
        ];
        for (key, masked) in cases {
            assert_eq!(mask(key), masked, "{key}");
        }
    }

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("canary".to_owned());
        let json = serde_json::to_string(&secret).expect("serializes");
        for text in [format!("{secret}"), format!("{secret:?}"), format!("{:?}", Some(&secret)), json] {
            assert!(!text.contains("canary") && text.contains(HIDDEN), "{text}");
        }
        let read: Secret<String> = serde_json::from_str("\"canary\"").expect("reads as its inner type");
        assert_eq!(read.expose(), "canary");
        assert_eq!(read.into_inner(), "canary");
    }
}
