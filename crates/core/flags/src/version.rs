//! Semantic versions, written as people write them.

use crate::text::text;
use semver::{Version, VersionReq};
use serde_json::Value;

/// A version of one to three numbers; a `v` in front and leading zeros do not count.
pub(crate) fn version(value: &Value) -> Option<Version> {
    let text = text(value);
    let text = bare(&text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let mut parts: Vec<String> = numbers.split('.').map(part).collect::<Option<_>>()?;
    if parts.len() > 3 {
        return None;
    }
    parts.resize(3, "0".to_owned());
    Version::parse(&format!("{}{rest}", parts.join("."))).ok()
}

/// What `semver_tilde` and `semver_caret` accept.
pub(crate) fn range(sign: char, value: &Value) -> Option<VersionReq> {
    VersionReq::parse(&format!("{sign}{}", version(value)?)).ok()
}

/// What `semver_wildcard` accepts: numbers, and a star at the end.
pub(crate) fn wildcard(value: &Value) -> Option<VersionReq> {
    let text = text(value);
    let text = bare(&text);
    if text == "*" {
        return Some(VersionReq::STAR);
    }
    let numbers = text.strip_suffix(".*")?;
    let parts: Vec<String> = numbers.split('.').map(part).collect::<Option<_>>()?;
    VersionReq::parse(&format!("{}.*", parts.join("."))).ok()
}

fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('v').unwrap_or(text)
}

fn part(text: &str) -> Option<String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = text.trim_start_matches('0');
    Some(if number.is_empty() { "0".to_owned() } else { number.to_owned() })
}
